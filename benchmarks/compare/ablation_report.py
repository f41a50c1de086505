"""The cells of ablation.py as a CSV that grows row by row, as Markdown and as a plot."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Cell:
    """One compressor at one K/N on one data set."""

    data_set: str
    compressor: str
    share: float  # K / N
    n: int
    k: int
    seeds: int
    status: str
    representatives: int | None = None  # K'
    reconstruction: float | None = None
    purity: float | None = None
    metric: str = ""
    mean: float | None = None  # over the seeds, of the estimator with this compressor
    sd: float | None = None
    base_mean: float | None = None  # of the encoder's own head, the same seeds
    base_sd: float | None = None
    linear_mean: float | None = None  # of the estimator's base, linear on the embedding
    linear_sd: float | None = None
    gated: int | None = None  # seeds in which the gate kept the base
    seconds: float | None = None  # of the compression alone
    peak_mb: float | None = None
    downstream_seconds: float | None = None  # of all seeds
    note: str = ""

    @property
    def key(self) -> tuple[str, str, float, int, int]:
        return self.data_set, self.compressor, self.share, self.n, self.seeds


def read_cells(path: Path) -> list[Cell]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [Cell(**{f.name: _parsed(row[f.name], f.type) for f in fields(Cell)})
                for row in csv.DictReader(file)]  # fmt: skip


def _parsed(text: str, kind: Any) -> Any:
    if kind == "str":
        return text
    if text == "":
        return None
    return int(text) if kind.startswith("int") else float(text)


def write(path: Path, cells: Iterable[Cell]) -> None:
    """A new file."""
    path.unlink(missing_ok=True)
    for cell in cells:
        append(path, cell)


def append(path: Path, cell: Cell) -> None:
    """One more row, with the headings first where the file is new."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Cell)])
        if new:
            writer.writeheader()
        writer.writerow(asdict(cell))


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def metric_text(metric: str, mean: float | None, sd: float | None) -> str:
    """AUC and AP in percent, RMSE as it is."""
    if mean is None:
        return ""
    factor = 1 if metric == "rmse" else 100
    spread = "" if sd is None else f" ± {factor * sd:.2f}"
    return f"{factor * mean:.2f}{spread}"


def row_text(cell: Cell) -> str:
    row = [
        cell.compressor,
        f"{100 * cell.share:g} %",
        str(cell.representatives) if cell.status == "done" else cell.status,
        _number(cell.reconstruction, ".3f"),
        _number(cell.purity, ".3f"),
        metric_text(cell.metric, cell.mean, cell.sd),
        "" if cell.gated is None else f"{cell.gated} of {cell.seeds}",
        _number(cell.seconds, ".3g"),
        _number(cell.peak_mb, ".0f"),
        cell.note.strip().replace("|", "/"),
    ]
    return f"| {' | '.join(row)} |"


def markdown(cells: Iterable[Cell]) -> str:
    """A table per data set."""
    by_set: dict[str, list[Cell]] = {}
    for cell in cells:
        by_set.setdefault(cell.data_set, []).append(cell)
    out = []
    for name, found in by_set.items():
        metric = next((cell.metric for cell in found if cell.metric), "")
        judged = {"auc": "AUC x 100", "ap": "AP x 100", "rmse": "RMSE"}.get(metric, "metric")
        grouped = "R^2 of means" if metric == "rmse" else "purity"
        base = metric_text(metric, found[0].base_mean, found[0].base_sd)
        linear = next((c for c in found if c.linear_mean is not None), found[0])
        headings = ["compressor", "K/N", "K'", "error", grouped, judged, "base kept", "s", "MB", ""]
        out += [
            f"**{name}**, {found[0].n:,} training rows, seeds: {found[0].seeds}. {judged} of the "
            f"encoder's own head: {base}; of the estimators' base, linear on the embedding: "
            f"{metric_text(metric, linear.linear_mean, linear.linear_sd)}.",
            "",
            f"| {' | '.join(headings)} |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|",
            *(row_text(cell) for cell in found),
            "",
        ]
    return "\n".join(out)


def plot(cells: Iterable[Cell], path: Path) -> None:
    """Quality against seconds: above the reconstruction error, below the downstream metric, with
    the encoder's head (dashes) and the linear base (dots) as lines; a column per data set, a larger
    mark for a larger K/N."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    done = [cell for cell in cells if cell.status == "done"]
    sets = list(dict.fromkeys(cell.data_set for cell in done))
    names = list(dict.fromkeys(cell.compressor for cell in done))
    shares = sorted({cell.share for cell in done})
    colours = pyplot.get_cmap("tab20")
    figure, axes = pyplot.subplots(
        2, len(sets), figsize=(4 * len(sets) + 2, 7), squeeze=False, sharex="col"
    )
    for column, data_set in enumerate(sets):
        above, below = axes[:, column]
        here = [cell for cell in done if cell.data_set == data_set]
        for i, name in enumerate(names):
            own = sorted((c for c in here if c.compressor == name), key=lambda c: c.share)
            sizes = [20 + 25 * shares.index(cell.share) for cell in own]
            style = {"color": colours(i % 20), "marker": "os^D"[i // 20 % 4]}
            above.scatter([c.seconds for c in own], [c.reconstruction for c in own], sizes, **style)
            judged = [(c, size) for c, size in zip(own, sizes, strict=True) if c.mean is not None]
            below.errorbar(
                [c.seconds for c, _ in judged],
                [c.mean for c, _ in judged],
                yerr=[c.sd or 0 for c, _ in judged],
                color=style["color"],
                linestyle="none",
                alpha=0.5,
            )
            below.scatter(
                [c.seconds for c, _ in judged],
                [c.mean for c, _ in judged],
                [size for _, size in judged],
                label=name,
                **style,
            )
        above.set_title(data_set)
        above.set_xscale("log")
        below.set_xlabel("seconds of the compression")
        below.set_ylabel(here[0].metric.upper())
        for value, dashes in (
            (here[0].base_mean, "--"),
            (next((c.linear_mean for c in here if c.linear_mean is not None), None), ":"),
        ):
            if value is not None:
                below.axhline(value, color="grey", linestyle=dashes, linewidth=1)
    axes[0, 0].set_ylabel("reconstruction error")
    handles, labels = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="center right", fontsize=8)
    figure.tight_layout(rect=(0, 0, 1 - 2 / (4 * len(sets) + 2), 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    pyplot.close(figure)
