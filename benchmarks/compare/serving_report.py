"""Tables of the serving latencies."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from serving_timing import Latency

OURS = "ecseq, C++"
# Sides and rounds: what was measured in each round.
Rounds = Mapping[str, Sequence[Latency]]


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] + ["---:"] * (len(headings) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(x: float) -> str:
    return f"{x:.3g}" if x < 1000 else f"{x:,.0f}"


def _spread(values: Iterable[float]) -> str:
    """Median, smallest and largest."""
    numbers = list(values)
    low, middle, high = map(_number, (min(numbers), statistics.median(numbers), max(numbers)))
    return middle if low == high else f"{middle} ({low}..{high})"


def _ratios(others: Sequence[Latency], ours: Sequence[Latency], percentile: int) -> list[float]:
    return [b[percentile] / a[percentile] for a, b in zip(ours, others, strict=True)]


def latencies(first: str, measured: Rounds, against: Sequence[Latency]) -> str:
    """One line per side; the ratios are those of the rounds, to `against`."""
    rows = []
    for side, rounds in measured.items():
        cells = [_spread(latency[p] for latency in rounds) for p in range(3)]
        same = rounds is against
        ratios = ["1" if same else _spread(_ratios(rounds, against, p)) for p in range(2)]
        rows.append([side, *cells, *ratios])
    headings = [first, "p50, us", "p99, us", "p99.9, us", "p50, times ours", "p99, times ours"]
    return _table(headings, rows)


def batches(measured: Mapping[str, Sequence[float]], ours: Sequence[float]) -> str:
    """Sequences per second, and how many times the side's rate ours is."""
    rows = []
    for side, rates in measured.items():
        ratios = [a / b for a, b in zip(ours, rates, strict=True)]
        times = "1" if rates is ours else _spread(ratios)
        rows.append([side, _spread(rate / 1e3 for rate in rates), times])
    return _table(["batch", "thousand sequences per second", "ours, times this"], rows)
