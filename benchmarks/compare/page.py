"""Results on a page of the documentation, between a pair of comments that names them."""

from __future__ import annotations

from pathlib import Path


def insert(page: Path, name: str, text: str) -> None:
    """Replaces what stands between `<!-- name -->` and `<!-- end of name -->` in `page`. Raises
    ValueError where the page does not have both."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    old = page.read_text()
    if begin not in old or end not in old.split(begin, 1)[1]:
        raise ValueError(f"{page}: expected the lines {begin} and {end}")
    head, rest = old.split(begin, 1)
    _, tail = rest.split(end, 1)
    page.write_text(f"{head}{begin}\n\n{text.strip()}\n\n{end}{tail}")
