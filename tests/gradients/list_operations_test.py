"""The list of operations must not overlook one."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from list_operations import UnreadableHeader, find_operations, generate, missing_from_summary

FOLDER = "ecseq/autograd/operations"
SIGMOID = "template <class Scalar>\nclass Sigmoid final : public Operation<Scalar> {};\n"
LSTM = "template <class T, class Cell>\nclass Lstm final\n    : public autograd::Operation<T> {};\n"


class ListOperations(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.include = Path(folder.name)

    def write(self, name: str, text: str) -> None:
        path = self.include / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def test_every_floor_and_line_break_is_read(self) -> None:
        self.write(f"{FOLDER}/sigmoid.hpp", SIGMOID)
        self.write(f"{FOLDER}/shapes.hpp", "inline void require_shape();\n")
        self.write("ecseq/nn/lstm.hpp", LSTM)
        operations = find_operations(self.include)
        self.assertEqual(
            operations,
            [(f"{FOLDER}/sigmoid.hpp", "autograd::Sigmoid"), ("ecseq/nn/lstm.hpp", "nn::Lstm")],
        )
        text = generate(operations)
        self.assertIn("gradient_case<autograd::Sigmoid>", text)
        self.assertIn("gradient_case<nn::Lstm>", text)

    def test_what_is_not_understood_is_refused(self) -> None:
        for text in (
            "struct Odd : public Operation<float> {};",
            "template <class S, int N>\nclass Odd final : public Operation<S> {};",
            "template <class S>\nclass Odd final : Operation<S> {};",
        ):
            self.write(f"{FOLDER}/odd.hpp", text)
            with self.assertRaises(UnreadableHeader, msg=text):
                find_operations(self.include)

    def test_nothing_found_is_an_error(self) -> None:
        self.write("ecseq/core/a.hpp", "")
        with self.assertRaises(UnreadableHeader):
            find_operations(self.include)

    def test_left_out_of_the_summary(self) -> None:
        self.write(f"{FOLDER}/sigmoid.hpp", SIGMOID)
        self.write(f"{FOLDER}.hpp", "")
        self.assertEqual(missing_from_summary(self.include), [f"{FOLDER}/sigmoid.hpp"])
        self.write(f"{FOLDER}.hpp", f'#include "{FOLDER}/sigmoid.hpp"\n')
        self.assertEqual(missing_from_summary(self.include), [])


if __name__ == "__main__":
    unittest.main()
