"""The check of the floors must see what it is there to see."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from check_floors import find_problems


class CheckFloors(unittest.TestCase):
    def problems(self, files: dict[str, str]) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            return find_problems(Path(folder))

    def test_downwards_is_fine(self) -> None:
        files = {"include/ecseq/nn/a.hpp": '#include "ecseq/core/b.hpp"\n'}
        self.assertEqual(self.problems(files), [])

    def test_upwards_is_named(self) -> None:
        (problem,) = self.problems({"src/core/a.cpp": "  #  include <ecseq/nn/b.hpp>\n"})
        self.assertIn("src/core/a.cpp: floor 1 (core) includes floor 4 (nn)", problem)

    def test_one_floor_one_direction(self) -> None:
        forward = {"src/relation/a.cpp": '#include "ecseq/compress/b.hpp"\n'}
        self.assertEqual(self.problems(forward), [])
        backward = {"include/ecseq/compress/c.hpp": '#include "ecseq/relation/d.hpp"\n'}
        (problem,) = self.problems({**forward, **backward})
        self.assertIn("compress -> relation -> compress", problem)

    def test_unknown_folder_and_empty_project(self) -> None:
        (problem,) = self.problems({"src/attic/a.cpp": ""})
        self.assertIn("attic", problem)
        (problem,) = self.problems({})
        self.assertIn("no source files", problem)


if __name__ == "__main__":
    unittest.main()
