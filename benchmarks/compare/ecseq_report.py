"""What the tasks of ecseq.py measured: figures that outlive an interrupted run, and their tables.

A task is a module with PARTS, one `Part` per table, and ``run(data, part, seed)``, which gives the
table's rows for one seed: by method, by metric. Rows may hold more than the table shows, such as
figures by week for a plot.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecseq.metrics import paired_difference

Rows = dict[str, dict[str, Any]]  # by method: metrics, and "seconds" where they are meant


@dataclass(frozen=True)
class Metric:
    """A column: its key in the rows, its heading, and what its figures are multiplied by."""

    key: str
    heading: str
    factor: float = 100.0
    digits: int = 2

    def of(self, row: dict[str, Any]) -> float:
        return self.factor * float(row[self.key])


AUC = Metric("auc", "AUC")
AP = Metric("ap", "AP")
RECALL = Metric("recall_at_p90", "R@P0.9")
MAE = Metric("mae", "MAE", 1.0, 3)


class Figures:
    """The figures of one part: `rows[seed][method][metric]`."""

    def __init__(self, part: Part, rows: dict[int, Rows]) -> None:
        self.part = part
        self.rows = rows
        self.methods = list(dict.fromkeys(name for found in rows.values() for name in found))

    def values(self, method: str, metric: Metric) -> dict[int, float]:
        """By seed, in the table's unit."""
        return {
            seed: metric.of(found[method])
            for seed, found in sorted(self.rows.items())
            if method in found and metric.key in found[method]
        }

    def mean(self, method: str, metric: Metric) -> float:
        return statistics.mean(self.values(method, metric).values())

    def differences(self, method: str, other: str, metric: Metric) -> tuple[list[float], ...]:
        """The figures of both for the seeds that both have."""
        ours, theirs = self.values(method, metric), self.values(other, metric)
        seeds = [seed for seed in ours if seed in theirs]
        return [ours[seed] for seed in seeds], [theirs[seed] for seed in seeds]

    def gain(self, method: str, other: str, metric: Metric) -> float:
        """Mean difference over the seeds that both have."""
        ours, theirs = self.differences(method, other, metric)
        return float(np.mean(ours) - np.mean(theirs))

    def difference_text(self, method: str, other: str, metric: Metric) -> str:
        ours, theirs = self.differences(method, other, metric)
        if not ours:
            return ""
        if len(ours) == 1:
            return f"{ours[0] - theirs[0]:+.{metric.digits}f}"
        found = paired_difference(ours, theirs)
        mean, low, high = (f"{x:+.{metric.digits}f}" for x in (found.mean, found.low, found.high))
        return f"{mean} [{low}, {high}]"


@dataclass(frozen=True)
class Part:
    """A table: what stands above it, its columns, and the rows that others are compared with."""

    title: str
    text: str
    metrics: tuple[Metric, ...]
    against: tuple[str, ...]
    compared: tuple[Metric, ...]  # whose paired differences are shown
    verdicts: Callable[[Figures], list[str]] = lambda figures: []


class Log:
    """Lines of JSON, one for each part and seed that has been run."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def lines(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        return [json.loads(line) for line in self._path.read_text().splitlines()]

    def add(self, line: dict[str, Any]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def forget(self, tasks: Iterable[str]) -> None:
        """Drops what was measured for these tasks."""
        kept = [line for line in self.lines() if line["task"] not in set(tasks)]
        self._path.write_text("".join(json.dumps(line) + "\n" for line in kept))

    def figures(self, task: str, name: str, part: Part) -> Figures:
        rows = {
            line["seed"]: line["rows"]
            for line in self.lines()
            if (line["task"], line["part"]) == (task, name)
        }
        return Figures(part, rows)


def table(figures: Figures) -> str:
    """Mean +- sd, paired differences with 95 % intervals, and seconds, as Markdown."""
    part = figures.part
    head = ["", *(metric.heading for metric in part.metrics)]
    head += [f"{m.heading} - {name} [95 %]" for name in part.against for m in part.compared]
    timed = any("seconds" in row for rows in figures.rows.values() for row in rows.values())
    if timed:
        head.append("s")
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for method in figures.methods:
        cells = [method]
        for metric in part.metrics:
            cells.append(_spread(list(figures.values(method, metric).values()), metric.digits))
        for other in part.against:
            for metric in part.compared:
                same = method == other
                cells.append("" if same else figures.difference_text(method, other, metric))
        if timed:
            seconds = figures.values(method, Metric("seconds", "s", 1.0))
            cells.append(f"{statistics.median(seconds.values()):.3g}" if seconds else "")
        lines.append(cells)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def section(figures: Figures) -> str:
    """Title, text, table and verdicts of a part that has figures."""
    part = figures.part
    seeds = len(figures.rows)
    out = [
        f"### {part.title}",
        "",
        part.text,
        "",
        f"{seeds} seed{'' if seeds == 1 else 's'}:",
        "",
        table(figures),
    ]
    verdicts = part.verdicts(figures)
    if verdicts:
        out += ["", *(f"- {verdict}" for verdict in verdicts)]
    return "\n".join(out) + "\n"


def verdict(what: str, figure: str, wanted: str, met: bool) -> str:
    return f"{what}: {figure}; wanted: {wanted}: {'met' if met else '**missed**'}"


def _spread(values: list[float], digits: int) -> str:
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"
