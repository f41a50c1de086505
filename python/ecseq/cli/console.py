"""What the commands show: bars on a terminal, plain lines elsewhere; all of it on stderr but for
the results."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

METRIC_NAMES = {
    "auc": "AUC",
    "ap": "AP",
    "recall_at_p90": "R@P0.9",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "log_loss": "log-loss",
    "rmse": "RMSE",
    "mae": "MAE",
}
_PLAIN_INTERVAL = 5.0  # seconds between lines about the same stage


class Stages:
    """Follows (stage, done, total, message) reports, as estimators give them."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._last = 0.0
        self._stage = ""

    def __deepcopy__(self, memo: object) -> Stages:
        # scikit-learn's clone copies an estimator's parameters; a terminal cannot be copied.
        return self

    def __call__(self, stage: str, done: int, total: int, message: str) -> None:
        if self._progress is None:
            now = time.monotonic()
            if stage != self._stage or now - self._last >= _PLAIN_INTERVAL:
                count = f" {done:,}/{total:,}" if total > 0 else f" {done:,}" if done else ""
                print(f"{stage}{count}  {message}".rstrip(), file=sys.stderr, flush=True)
                self._stage, self._last = stage, now
            return
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total or None)
        self._progress.update(
            self._tasks[stage],
            completed=done,
            total=total or None,
            description=f"{stage}  [dim]{message}[/dim]" if message else stage,
        )


@contextmanager
def stages(quiet: bool = False) -> Iterator[Stages | None]:
    """Where progress goes while work runs; None when nothing is to be shown."""
    if quiet:
        yield None
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Stages(None)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Stages(progress)


def say(line: str) -> None:
    """A line of the result, on stdout."""
    print(line, flush=True)


def note(line: str) -> None:
    """A line about the work, on stderr."""
    print(line, file=sys.stderr, flush=True)


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """A table on stdout: drawn by rich on a terminal, aligned text elsewhere."""
    console = Console()
    if console.is_terminal:
        table = Table(title=title or None, title_justify="left")
        for position, name in enumerate(head):
            table.add_column(name, justify="left" if position == 0 else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        return
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    if title:
        say(title)
    for row in (head, *rows):
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        say("  ".join(cells).rstrip())


def show_metrics(measured: Mapping[str, Mapping[str, float]], title: str = "") -> None:
    """One row per method, one column per measure that has a name here."""
    first = next(iter(measured.values()))
    metrics = [name for name in METRIC_NAMES if name in first]
    rows = [
        [method, *(f"{values[metric]:.4f}" for metric in metrics)]
        for method, values in measured.items()
    ]
    show_table(["", *(METRIC_NAMES[metric] for metric in metrics)], rows, title)


def show_seconds(seconds: Mapping[str, float]) -> None:
    rows = [[stage, f"{value:.2f}"] for stage, value in seconds.items() if stage != "total"]
    if "total" in seconds:
        rows.append(["total", f"{seconds['total']:.2f}"])
    show_table(["stage", "seconds"], rows)
