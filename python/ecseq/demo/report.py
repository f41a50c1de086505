"""Lay the demonstration's results out as one self-contained page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray

from ecseq.demo.figures import (
    curve_figure,
    precision_curves,
    representative_map,
    roc_curves,
    stage_bars,
)
from ecseq.metrics import paired_difference

FloatArray = NDArray[np.float64]

SIMULATED = (
    "This data is simulated. Part of the fraud is made at terminals by construction, where the "
    "sequence of a card shows nothing, so relations through the terminal gain by design. The size "
    "of the gain says nothing about your data: fit on your own events and look at the same table."
)

METRIC_NAMES = {"auc": "AUC", "ap": "AP", "recall_at_p90": "R@P0.9"}
_PLURAL_WORDS = {1: "one run", 2: "two runs", 3: "three runs", 4: "four runs", 5: "five runs"}


@dataclass(frozen=True)
class DataSummary:
    """Sizes of the first seed's simulation and of its parts."""

    n_cards: int
    n_terminals: int
    n_payments: int
    n_training: int
    n_validation: int
    n_test: int
    fraud_rate: float
    days: int
    window: int
    label_delay_days: int


@dataclass(frozen=True)
class Variant:
    """One model over the seeds: its test measures, and its test scores when curves are drawn."""

    name: str
    metrics: tuple[Mapping[str, float], ...]
    scores: tuple[FloatArray, ...] = ()


@dataclass(frozen=True)
class RepresentativeMap:
    """vectors: [k, h]; mass: [k] training sequences; fraud_share: [k] in 0..1."""

    vectors: FloatArray
    mass: FloatArray
    fraud_share: FloatArray


@dataclass(frozen=True)
class ExplainedCase:
    """A flagged payment: what the models said, what happened, and the card's last payments."""

    title: str
    score: float
    base_score: float
    is_fraud: bool
    cause: str
    words: str
    event_columns: tuple[str, ...]
    events: tuple[tuple[str, ...], ...]  # oldest first; the last one is the flagged payment


@dataclass(frozen=True)
class DemoResults:
    """All that the report shows."""

    data: DataSummary
    seeds: tuple[int, ...]
    labels: tuple[FloatArray, ...]  # test labels, one array per seed
    base: Variant
    variants: tuple[Variant, ...]  # the last one is drawn against the base
    controls: tuple[Variant, ...]  # other heads on the base's embedding
    representatives: RepresentativeMap
    cases: tuple[ExplainedCase, ...]
    seconds: Mapping[str, float]
    total_seconds: float
    versions: Mapping[str, str]


def _percent(value: float, digits: int = 1) -> str:
    return "n/a" if math.isnan(value) else f"{100 * value:.{digits}f}"


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}")


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; the deviation of one value is NaN."""
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()), float(array.std(ddof=1)) if array.size > 1 else math.nan


def _cell(values: Sequence[float], base: Sequence[float] | None) -> str:
    mean, deviation = mean_and_deviation(values)
    text = _percent(mean)
    if len(values) > 1:
        text += f" ± {_percent(deviation)}"
    if base is None:
        return f"<td>{text}</td>"
    if len(values) < 2:
        return f"<td>{text}<small>{_signed(mean - base[0])}</small></td>"
    difference = paired_difference(values, base)
    low, high = (_signed(bound).removeprefix("+") for bound in (difference.low, difference.high))
    mark = ' class="up"' if difference.low > 0 else ""
    small = f"{_signed(difference.mean)} [{low},&nbsp;{high}]"
    return f"<td>{text}<small{mark}>{small}</small></td>"


def _table(head: Iterable[str], rows: Iterable[str]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _comparison(base: Variant, others: Sequence[Variant], ours: Sequence[str]) -> str:
    """A row for each variant, those named in ``ours`` in bold."""
    rows = []
    for variant in (base, *others):
        cells = []
        for metric in METRIC_NAMES:
            values = [measured[metric] for measured in variant.metrics]
            reference = [measured[metric] for measured in base.metrics]
            cells.append(_cell(values, None if variant is base else reference))
        row_class = ' class="ours"' if variant.name in ours else ""
        rows.append(f"<tr{row_class}><td>{escape(variant.name)}</td>{''.join(cells)}</tr>")
    return _table(["model", *METRIC_NAMES.values()], rows)


def _meter(name: str, style: str, value: float) -> str:
    width = 100 * min(max(value, 0.0), 1.0)
    return (
        f'<span>{name}</span><span class="meter {style}"><i style="width:{width:.1f}%"></i></span>'
        f"<span>{_percent(value)} %</span>"
    )


def _case(case: ExplainedCase) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in case.event_columns)
    rows = []
    for position, event in enumerate(case.events):
        flagged = ' class="flagged"' if position == len(case.events) - 1 else ""
        rows.append(f"<tr{flagged}>{''.join(f'<td>{escape(value)}</td>' for value in event)}</tr>")
    outcome = f"fraud: {case.cause}" if case.is_fraud else "not fraud: a false alarm"
    return (
        '<article class="case"><header>'
        f"<h3>{escape(case.title)}</h3>"
        f'<span class="pill {"fraud" if case.is_fraud else "fine"}">{escape(outcome)}</span>'
        '</header><div class="scores">'
        f"{_meter('base', 'base', case.base_score)}{_meter('ECSeq', 'ours', case.score)}</div>"
        f'<div class="words">{escape(case.words)}</div>'
        '<div class="scroll"><table><thead><tr>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></article>"
    )


def _key(base: str, ours: str) -> str:
    return (
        f'<span class="key base"></span>{escape(base)}<span class="key ours"></span>{escape(ours)}'
    )


def render_report(results: DemoResults) -> str:
    """The page as a string; everything it needs is inside it."""
    data, ours = results.data, results.variants[-1]
    runs = _PLURAL_WORDS.get(len(results.seeds), f"{len(results.seeds)} runs")
    curves = (("base", results.base), ("ours", ours))
    lines = (
        ". Thin lines are single runs, thick ones their mean." if len(results.seeds) > 1 else "."
    )
    roc = [roc_curves(v.name, style, results.labels, v.scores) for style, v in curves]
    precision = [precision_curves(v.name, style, results.labels, v.scores) for style, v in curves]
    mapped = results.representatives
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    page = {
        "title": "ecseq on simulated card payments",
        "lead": (
            f"{data.n_payments:,} payments of {data.n_cards:,} cards at {data.n_terminals:,} "
            f"terminals over {data.days} days, {_percent(data.fraud_rate)} % of them fraud. Each "
            f"payment is judged from the card's last {data.window} payments, and its label is "
            f"known {data.label_delay_days} days later."
        ),
        "simulated": SIMULATED,
        "question": (
            f"Trained on the earlier {data.n_training:,} payments, tuned on the next "
            f"{data.n_validation:,}, measured on the last {data.n_test:,} as they would have "
            "happened: each score sees only what was known at its moment."
        ),
        "result_table": _comparison(
            results.base, results.variants, [variant.name for variant in results.variants]
        ),
        "result_note": (
            f"In percent; mean ± standard deviation over {runs}, each with its own simulation and "
            "training. Small print: paired difference to the base encoder, with its 95 % interval "
            "where there are at least two runs; green where the whole interval is above zero. "
            "R@P0.9 is the share of fraud found while nine of ten alarms are right."
        ),
        "roc_figure": curve_figure("ROC curves", "false alarm rate", "recall", roc),
        "roc_caption": _key(results.base.name, ours.name) + lines,
        "precision_figure": curve_figure(
            "Precision-recall curves", "recall", "precision", precision, rule=0.9
        ),
        "precision_caption": _key(results.base.name, ours.name)
        + lines
        + " Dashed: nine of ten alarms are right.",
        "control_text": (
            "A stronger head on the same embedding could explain a gain, so each fit trains two, "
            "measured here on the same test payments."
        ),
        "control_table": _comparison(results.base, (*results.controls, ours), [ours.name]),
        "map_figure": representative_map(mapped.vectors, mapped.mass, mapped.fraud_share),
        "map_caption": (
            f"The {len(mapped.mass)} representatives of {mapped.mass.sum():,.0f} training "
            "sequences on their two principal directions. Area grows with the number of sequences "
            "each stands for, colour shows the share of fraud among them."
        ),
        "case_text": (
            "The explanations are the library's own words. The last line of each table is the "
            "flagged payment. What really happened, on the right of the title, is the "
            "simulator's secret and was not known to any model."
        ),
        "cases": "".join(map(_case, results.cases)),
        "stage_figure": stage_bars(results.seconds),
        "stage_caption": (
            f"Mean over {runs}; the whole demonstration took {results.total_seconds:.0f} s."
        ),
        "footer": f"{escape(versions)}. {SIMULATED.split('. ')[0]}.",
    }
    template = resources.files("ecseq.demo").joinpath("report.html").read_text(encoding="utf-8")
    return Template(template).substitute(page)


def write_report(results: DemoResults, path: str | Path) -> Path:
    """Write the page to ``path``, creating its folder, and return the path."""
    path = Path(path)
    page = render_report(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path
