"""The comparisons that are commands of their own, entity.py and series.py: their pages in ours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Sibling:
    """A script of this folder that makes Markdown."""

    heading: str
    script: str
    options: Callable[[Path], list[str]]  # given the folder of the results
    written: str | None = None  # the file in it that the script writes; None: it prints

    def run(self, data: Path, seeds: int, folder: Path, *, resume: bool) -> None:
        """Raises CalledProcessError where the script fails."""
        page = self._page(folder)
        if resume and page.exists() and page.read_text().startswith(_mark(seeds)):
            return
        command = [sys.executable, str(_HERE / self.script), "--data", str(data)]
        command += ["--seeds", str(seeds), *self.options(folder)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        text = done.stdout if self.written is None else (folder / self.written).read_text()
        page.write_text(_mark(seeds) + text)

    def section(self, folder: Path) -> str:
        page = self._page(folder)
        if not page.exists():
            return ""
        return f"## {self.heading}\n\n{page.read_text().split(chr(10), 1)[1].strip()}\n"

    def _page(self, folder: Path) -> Path:
        return folder / f"{Path(self.script).stem}.md"


def _mark(seeds: int) -> str:
    return f"<!-- {seeds} seeds -->\n"


SIBLINGS = {
    "entity": Sibling("Shared entities", "entity.py", lambda folder: []),
    "series": Sibling(
        "Parallel series",
        "series.py",
        lambda folder: ["--output", str(folder / "series")],
        "series/series.md",
    ),
}
