"""Fails where a floor of the library includes a floor above it.

Usage: check_floors.py <project>. Reads include/ecseq/<folder> and src/<folder>. Folders of one
floor may include each other, as long as they do so in one direction.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

FLOORS = {
    "core": 1,
    "io": 2,
    "kernels": 2,
    "autograd": 3,
    "nn": 4,
    "encoders": 5,
    "graph": 5,
    "compress": 6,
    "relation": 6,
    "gnn": 6,
    "pipeline": 7,
    "serving": 8,
    "recommend": 8,
}

_INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]ecseq/([^/">]+)/', re.MULTILINE)


def find_problems(project: Path) -> list[str]:
    problems = []
    uses: dict[str, set[str]] = {folder: set() for folder in FLOORS}
    files = 0
    for root in (project / "include" / "ecseq", project / "src"):
        for path in sorted([*root.rglob("*.hpp"), *root.rglob("*.cpp")]):
            files += 1
            folder = path.relative_to(root).parts[0]
            name = path.relative_to(project)
            if folder not in FLOORS:
                problems.append(f"{name}: no floor is given for folder '{folder}' in {__file__}")
                continue
            for included in _INCLUDE.findall(path.read_text(encoding="utf-8")):
                if included not in FLOORS:
                    problems.append(f"{name}: includes unknown folder '{included}'")
                elif FLOORS[included] > FLOORS[folder]:
                    problems.append(
                        f"{name}: floor {FLOORS[folder]} ({folder}) includes "
                        f"floor {FLOORS[included]} ({included})"
                    )
                elif included != folder:
                    uses[folder].add(included)
    if files == 0:
        problems.append(f"no source files under {project}")
    problems += [f"folders include each other: {' -> '.join(c)}" for c in find_cycles(uses)]
    return problems


def find_cycles(uses: dict[str, set[str]]) -> list[list[str]]:
    """One cycle for each folder from which the walk returns to a folder it is still inside."""
    cycles: list[list[str]] = []
    finished: set[str] = set()

    def walk(folder: str, path: list[str]) -> None:
        if folder in path:
            cycles.append([*path[path.index(folder) :], folder])
            return
        if folder in finished:
            return
        for included in sorted(uses.get(folder, ())):
            walk(included, [*path, folder])
        finished.add(folder)

    for folder in sorted(uses):
        walk(folder, [])
    return cycles


if __name__ == "__main__":
    found = find_problems(Path(sys.argv[1]))
    print("\n".join(found) or "every include goes down")
    sys.exit(1 if found else 0)
