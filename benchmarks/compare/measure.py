"""Interleaved timing of several functions, and the table of what came out."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    rounds: int
    slice_seconds: float  # of one function in one round, at least one call


@dataclass(frozen=True)
class Times:
    """Seconds per call, one value per round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def text(self) -> str:
        unit, factor = ("ms", 1e3) if self.median >= 1e-3 else ("us", 1e6)
        low, high = min(self.seconds) * factor, max(self.seconds) * factor
        return f"{self.median * factor:.4g} {unit} ({low:.4g}..{high:.4g})"


def interleaved(functions: dict[str, Callable[[], object]], effort: Effort) -> dict[str, Times]:
    """Times each function in turn, round after round, so that all see the same machine."""
    calls = {}
    for name, function in functions.items():
        function()  # warm-up
        begin = time.perf_counter()
        function()
        elapsed = time.perf_counter() - begin
        calls[name] = max(1, round(effort.slice_seconds / elapsed))
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(effort.rounds):
        for name, function in functions.items():
            begin = time.perf_counter()
            for _ in range(calls[name]):
                function()
            seconds[name].append((time.perf_counter() - begin) / calls[name])
    return {name: Times(tuple(values)) for name, values in seconds.items()}


@dataclass(frozen=True)
class Comparison:
    """One line of the table: `ratios` has a value per round."""

    row: str
    problem: str
    against: str
    ours: Times
    theirs: Times | None
    ratios: tuple[float, ...]
    target: float
    at_most: bool = False  # the ratio should stay below the target instead of above
    note: str = ""
    met: bool = field(init=False)

    def __post_init__(self) -> None:
        ratio = statistics.median(self.ratios)
        object.__setattr__(
            self, "met", ratio <= self.target if self.at_most else ratio >= self.target
        )


def speedup(
    row: str,
    problem: str,
    against: str,
    ours: Times,
    theirs: Times,
    target: float,
    note: str = "",
) -> Comparison:
    """How many times the peer's time ours is, round by round."""
    ratios = tuple(b / a for a, b in zip(ours.seconds, theirs.seconds, strict=True))
    return Comparison(row, problem, against, ours, theirs, ratios, target, note=note)


def slowdown(
    row: str, problem: str, against: str, ours: Times, theirs: Times, target: float
) -> Comparison:
    """Our time over that of the other, which should be at most the target."""
    ratios = tuple(a / b for a, b in zip(ours.seconds, theirs.seconds, strict=True))
    return Comparison(row, problem, against, ours, theirs, ratios, target, at_most=True)


def fraction_of_limit(
    row: str, problem: str, ours: Times, flops: float, limit: Times, limit_flops: float
) -> Comparison:
    """Our rate of arithmetic over that of a large matrix product, round by round."""
    ratios = tuple(
        (flops / a) / (limit_flops / b) for a, b in zip(ours.seconds, limit.seconds, strict=True)
    )
    return Comparison(row, problem, "sgemm 1024^3", ours, limit, ratios, 0.8)


def markdown(comparisons: Iterable[Comparison]) -> str:
    lines = [
        "| row | problem | ours | against | theirs | ratio | target | met |",
        "|---|---|---:|---|---:|---:|---:|---|",
    ]
    for c in comparisons:
        ratio = statistics.median(c.ratios)
        spread = f"{ratio:.3g} ({min(c.ratios):.3g}..{max(c.ratios):.3g})"
        theirs = c.theirs.text() if c.theirs else ""
        target = f"{'<=' if c.at_most else '>='} {c.target:g}"
        against = f"{c.against} ({c.note})" if c.note else c.against
        met = "yes" if c.met else "**no**"
        lines.append(
            f"| {c.row} | {c.problem} | {c.ours.text()} | {against} | {theirs} | {spread} "
            f"| {target} | {met} |"
        )
    return "\n".join(lines)


def write_json(path: Path, machine: dict[str, object], comparisons: list[Comparison]) -> None:
    path.write_text(
        json.dumps({"machine": machine, "rows": [asdict(c) for c in comparisons]}, indent=1) + "\n"
    )
