"""How far new rows lie from what a model was fitted on."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecseq import _core, metrics
from ecseq._frames import pandas_frame
from ecseq._freshness import in_words
from ecseq._inputs import Samples

# Scores of the validation rows kept: all of them where there are no more, else their quantiles.
_KEPT_SCORES = 201
_SCORE_BINS = 10


@dataclass(frozen=True)
class DriftReport:
    """What `drift` found. ``str`` of it gives a few sentences.

    Everything but `performance` needs no label. What a model has no part for, or was not asked, is
    None. All shifts of few rows are large by chance: compare with those of a like number of rows of
    a quiet period.

    Attributes
    ----------
    rows : int
    beyond_radius : float or None
        Share of the rows farther from their nearest representative than 99 % of its training rows,
        in the standardised space that the representatives were found in.
    usage_shift : float or None
        Total variation distance, 0 to 1, between the representatives' shares of the training rows
        and of these.
    beyond_radius_at_fit, usage_shift_at_fit : float or None
        The same of the validation rows, to compare with: where representatives have few rows each,
        new ones lie beyond their radius more often than 1 % without any drift.
    unseen_entities : dict of str to float
        For each entity relation the share of rows whose entity was never seen.
    label_shift : float or None
        Classes: total variation distance between the shares of the labels at fit and now. Values:
        difference of their means in standard deviations at fit, with its sign.
    score_shift : float or None
        Population stability index between the scores, before calibration, of the validation rows at
        fit and of these: sum over ten bins, of as many validation rows each, of
        ``(now - then) * log(now / then)``. Below 0.1 is commonly read as none, above 0.25 as large.
        Of several classes the largest.
    score_distance : float or None
        Kolmogorov-Smirnov statistic of the same scores: the largest distance of their distribution
        functions.
    performance : list of dict
        For each period with labels its ``start`` (seconds), ``rows``, the metrics of the model's
        scores and, as ``base_...``, of the base's. A period of one class has its mean score and
        share alone.
    period : float
        Seconds.
    """

    rows: int
    beyond_radius: float | None
    usage_shift: float | None
    unseen_entities: dict[str, float]
    label_shift: float | None
    score_shift: float | None
    score_distance: float | None
    beyond_radius_at_fit: float | None = None
    usage_shift_at_fit: float | None = None
    performance: list[dict[str, float]] = field(default_factory=list, repr=False)
    period: float = math.nan

    def __str__(self) -> str:
        lines = [f"Drift of {self.rows} rows from what the model was fitted on:"]
        if self.beyond_radius is not None:
            lines.append(
                f"{100 * self.beyond_radius:.1f} % lie beyond the radius of their representative"
                f"{_compared(self.beyond_radius_at_fit, 100, '.1f', ' %')}."
            )
        if self.usage_shift is not None:
            lines.append(
                f"Use of the representatives moved by {self.usage_shift:.2f} of 1"
                f"{_compared(self.usage_shift_at_fit, 1, '.2f', '')}."
            )
        lines += [
            f"{100 * share:.1f} % have a {by} never seen before."
            for by, share in self.unseen_entities.items()
        ]
        if self.label_shift is not None:
            lines.append(f"Labels moved by {self.label_shift:.3f}.")
        if self.score_shift is not None:
            lines.append(
                f"Scores moved by a population stability index of {self.score_shift:.3f} "
                f"({_reading(self.score_shift)}), {self.score_distance:.3f} by Kolmogorov-Smirnov."
            )
        if self.performance:
            lines.append(f"By periods of {in_words(self.period)}:")
            names = [name for name in self.performance[0] if name not in ("start", "rows")]
            for found in self.performance:
                figures = ", ".join(f"{name} {found[name]:.3f}" for name in names if name in found)
                lines.append(f"  {_moment(found['start'])}, {found['rows']} rows: {figures}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name, in JSON's own types."""
        found = dict(vars(self))
        found["period"] = None if math.isnan(self.period) else self.period
        copied: dict[str, Any] = json.loads(json.dumps(found))
        return copied

    def to_frame(self) -> Any:
        """A pandas DataFrame with one row per figure.

        Columns: ``measure``; ``start`` of the period in seconds, NaN for figures of all rows; and
        ``value``.

        Raises
        ------
        ImportError
            When pandas is not installed.
        """
        whole = {
            name: value
            for name, value in vars(self).items()
            if isinstance(value, (int, float)) and name != "period"
        }
        whole |= {f"unseen {by}": share for by, share in self.unseen_entities.items()}
        records = [(name, math.nan, float(value)) for name, value in whole.items()]
        records += [
            (name, found["start"], float(value))
            for found in self.performance
            for name, value in found.items()
            if name != "start"
        ]
        return pandas_frame(records, columns=["measure", "start", "value"])


def reference_of(
    task: str, n_classes: int, codes: NDArray[np.float32], scores: NDArray[np.float64] | None
) -> dict[str, Any]:
    """What `drift` compares with, in JSON's own types. codes: class numbers or values of all rows
    of the fit [n]; scores: of the validation rows [m, columns], see `score_columns`."""
    if task == "regression":
        labels: dict[str, Any] = {"mean": float(np.mean(codes)), "sd": float(np.std(codes))}
    else:
        shares = np.bincount(codes.astype(int), minlength=n_classes) / len(codes)
        labels = {"shares": shares.tolist()}
    kept = None
    if scores is not None:
        kept = [_kept(column).tolist() for column in scores.T]
    return {"labels": labels, "scores": kept}


def score_columns(shares: NDArray[np.float32], task: str) -> NDArray[np.float64]:
    """What is watched of outputs: the second class of two, each of several, the value.

    shares: probabilities [n, classes], or values [n, 1].
    """
    columns = shares[:, 1:] if task == "binary" else shares
    return columns.astype(np.float64)


def label_shift(reference: dict[str, Any], codes: NDArray[np.float32]) -> float:
    labels = reference["labels"]
    if "mean" in labels:
        return float((np.mean(codes) - labels["mean"]) / (labels["sd"] or 1.0))
    shares = np.bincount(codes.astype(int), minlength=len(labels["shares"])) / len(codes)
    return 0.5 * float(np.abs(shares - labels["shares"]).sum())


def score_shift(reference: dict[str, Any], scores: NDArray[np.float64]) -> tuple[float, float]:
    """Population stability index and Kolmogorov-Smirnov statistic, the largest of the columns."""
    found = [
        (stability_index(np.asarray(kept), column), distribution_distance(np.asarray(kept), column))
        for kept, column in zip(reference["scores"], scores.T, strict=True)
    ]
    return max(index for index, _ in found), max(distance for _, distance in found)


def stability_index(reference: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Sum over bins between the reference's deciles of ``(q - p) log(q / p)``.

    Half a row is added to each bin, so that an empty one is no infinite shift.
    """
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, _SCORE_BINS + 1)[1:-1]))

    def shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
        count = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1) + 0.5
        found: NDArray[np.float64] = count / count.sum()
        return found

    p, q = shares(reference), shares(scores)
    return float(np.sum((q - p) * np.log(q / p)))


def distribution_distance(reference: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Largest distance of the two empirical distribution functions."""
    values = np.concatenate([reference, scores])
    ours = np.searchsorted(np.sort(reference), values, side="right") / len(reference)
    theirs = np.searchsorted(np.sort(scores), values, side="right") / len(scores)
    return float(np.abs(ours - theirs).max())


def distances(
    model: _core.Model, embedding: NDArray[np.float32], num_threads: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The representative nearest to each row and the distance to it, in the standardised space of
    the similarity relation. embedding: [n, h]; both [n]."""
    representatives = model.representatives()
    assert representatives is not None
    mean, inverse_std, bound = model.similarity_scale()

    def scaled(x: NDArray[np.float32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = np.clip((x - mean) * inverse_std, -bound, bound)
        return found

    points, rows = scaled(representatives["vectors"]), scaled(embedding)
    nearest = _core.nearest_rows(points, rows, num_threads)
    gaps = rows.astype(np.float64) - points[nearest]
    return nearest, np.sqrt(np.einsum("ij,ij->i", gaps, gaps))


def use_of_representatives(
    model: _core.Model, samples: Samples, num_threads: int
) -> tuple[float, float] | None:
    """Share of the rows beyond their radius, and shift of their shares; None without
    representatives."""
    representatives = model.representatives()
    if representatives is None:
        return None
    encoder = model.encoder
    if encoder is None:
        assert isinstance(samples.x, np.ndarray)
        embedding = samples.x
    else:
        assert isinstance(samples.x, tuple)
        embedding = encoder.encode(samples.x, num_threads)
    nearest, distance = distances(model, embedding, num_threads)
    beyond = float(np.mean(distance > representatives["radius"][nearest]))
    now = np.bincount(nearest, minlength=len(representatives["mass"])) / len(nearest)
    then = representatives["mass"] / representatives["mass"].sum()
    return beyond, 0.5 * float(np.abs(now - then).sum())


def performance(
    task: str,
    codes: NDArray[np.float32],
    scores: NDArray[np.float64],
    base: NDArray[np.float64],
    times: NDArray[np.float64],
    period: float,
) -> list[dict[str, float]]:
    """Metrics of each period that has rows, from the first row's time on.

    scores, base: [n, columns], as `score_columns` gives them.
    """
    first = float(times.min())
    number = np.floor((times - first) / period).astype(np.int64)
    found = []
    for i in np.unique(number):
        rows = number == i
        of_period: dict[str, float] = {"start": first + float(i) * period, "rows": int(rows.sum())}
        of_period |= _measures(task, codes[rows], scores[rows])
        of_base = _measures(task, codes[rows], base[rows])
        of_base.pop("share", None)
        of_period |= {f"base_{name}": value for name, value in of_base.items()}
        found.append(of_period)
    return found


def _measures(
    task: str, codes: NDArray[np.float32], scores: NDArray[np.float64]
) -> dict[str, float]:
    if task == "regression":
        return {
            "rmse": metrics.rmse(codes, scores[:, 0]),
            "mae": metrics.mae(codes, scores[:, 0]),
        }
    if task == "multiclass":
        hits = scores.argmax(axis=1) == codes
        return {
            "accuracy": float(np.mean(hits)),
            "brier": metrics.brier_score(codes.astype(int), scores),
        }
    y, p = codes == 1, scores[:, 0]
    found = {"share": float(y.mean()), "mean_score": float(p.mean())}
    if y.any() and not y.all():
        found |= {
            "auc": metrics.roc_auc(y, p),
            "ap": metrics.average_precision(y, p),
            "recall_at_p90": metrics.recall_at_precision(y, p, 0.9),
        }
    return found | {"brier": metrics.brier_score(y, p)}


def _compared(at_fit: float | None, scale: float, digits: str, unit: str) -> str:
    if at_fit is None:
        return ""
    return f" ({scale * at_fit:{digits}}{unit} of the validation rows at fit)"


def _kept(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(scores) <= _KEPT_SCORES:
        return np.sort(scores)
    return np.quantile(scores, np.linspace(0.0, 1.0, _KEPT_SCORES))


def _reading(index: float) -> str:
    return "little" if index < 0.1 else "moderate" if index <= 0.25 else "large"


def _moment(seconds: float) -> str:
    """A date where it can be one, as times that were dates are seconds since 1970."""
    if seconds < 1e8:
        return f"from {seconds:.6g} s"
    return f"from {np.datetime64(int(seconds), 's')}"
