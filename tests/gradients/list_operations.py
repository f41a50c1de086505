"""Writes one gradient test per operation of the tape that the library's headers declare.

Usage: list_operations.py <output.cpp> <include folder>. The tests call
`testing::gradient_case<Operation>()`, which a test file has to define: an operation without one
leaves the test program without a symbol to link.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_BASE = re.compile(r":\s*public\s+(?:(?:ecseq::)?autograd::)?Operation\s*<")
_OPERATION = re.compile(
    r"template\s*<\s*class\s+\w+(?:\s*,\s*class\s+\w+)*\s*>\s*class\s+(\w+)(?:\s+final)?\s*"
    r":\s*public\s+(?:(?:ecseq::)?autograd::)?Operation\s*<"
)


class UnreadableHeader(ValueError):
    """A header derives from Operation in a way the list does not understand."""


def find_operations(include: Path) -> list[tuple[str, str]]:
    """(header, qualified class name) of every operation under `include`, by header."""
    found = []
    for path in sorted((include / "ecseq").rglob("*.hpp")):
        text = path.read_text(encoding="utf-8")
        header = path.relative_to(include).as_posix()
        names = _OPERATION.findall(text)
        if len(names) != len(_BASE.findall(text)):
            raise UnreadableHeader(
                f"{header}: expected every class derived from Operation to be declared as "
                "'template <class Scalar> class Name final : public Operation<Scalar>'"
            )
        if path.parent.name == "operations" and "Operation<" in text and not names:
            raise UnreadableHeader(f"{header}: names Operation but declares none")
        found += [(header, f"{path.relative_to(include / 'ecseq').parts[0]}::{n}") for n in names]
    if not found:
        raise UnreadableHeader(f"no operation under {include}")
    return found


def missing_from_summary(include: Path) -> list[str]:
    """Headers of autograd/operations that autograd/operations.hpp does not include."""
    folder = "ecseq/autograd/operations"
    summary = (include / f"{folder}.hpp").read_text(encoding="utf-8")
    headers = sorted({h for h, _ in find_operations(include) if h.startswith(folder + "/")})
    return [header for header in headers if f'#include "{header}"' not in summary]


def generate(operations: list[tuple[str, str]]) -> str:
    lines = [f'#include "{header}"' for header in dict.fromkeys(h for h, _ in operations)]
    lines += ['#include "gradient_case.hpp"', "", "namespace ecseq::testing {", ""]
    for _, operation in operations:
        name = operation.replace("::", "_")
        lines += [
            f"ECSEQ_GRADIENT_CASE({operation});",
            f"TEST(Gradients, {name}) {{ expect_case(gradient_case<{operation}>); }}",
        ]
    return "\n".join([*lines, "", "}  // namespace ecseq::testing", ""])


if __name__ == "__main__":
    output, include_folder = Path(sys.argv[1]), Path(sys.argv[2])
    left_out = missing_from_summary(include_folder)
    if left_out:
        sys.exit(f"ecseq/autograd/operations.hpp does not include {', '.join(left_out)}")
    output.write_text(generate(find_operations(include_folder)), encoding="utf-8")
