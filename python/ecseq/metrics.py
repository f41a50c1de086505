"""Measures of prediction quality, and the comparison of two methods over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

__all__ = [
    "PairedDifference",
    "average_precision",
    "binary_metrics",
    "log_loss",
    "mae",
    "multiclass_metrics",
    "paired_difference",
    "recall_at_precision",
    "regression_metrics",
    "rmse",
    "roc_auc",
    "smape",
]


class PairedDifference(NamedTuple):
    """Mean and standard deviation of a paired difference, with its 95 % interval."""

    mean: float
    sd: float
    low: float
    high: float


def roc_auc(y_true: ArrayLike, score: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties half.

    Parameters
    ----------
    y_true : array [n] of 0 and 1
    score : array [n]
        Larger means more likely positive.

    Raises
    ------
    ValueError
        For lengths that differ, scores that are not finite, labels other than 0 and 1, or when only
        one class is present.

    Examples
    --------
    >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    positives, negatives, _ = _counts_above(y_true, score)
    # Area under the curve through (negatives, positives) by trapezoids: a tie counts half.
    x = np.concatenate([[0], negatives])
    y = np.concatenate([[0], positives])
    area = float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2.0))
    return area / (float(positives[-1]) * float(negatives[-1]))


def average_precision(y_true: ArrayLike, score: ArrayLike) -> float:
    """Sum over thresholds of precision times the gain in recall (no interpolation).

    Parameters and errors as in `roc_auc`.

    Examples
    --------
    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    positives, negatives, _ = _counts_above(y_true, score)
    precision = positives / (positives + negatives)
    gain = np.diff(positives, prepend=0) / positives[-1]
    return float(np.sum(gain * precision))


def recall_at_precision(y_true: ArrayLike, score: ArrayLike, precision: float = 0.9) -> float:
    """Largest recall at which the precision is at least ``precision``; 0 when it never is.

    Parameters
    ----------
    y_true : array [n] of 0 and 1
    score : array [n]
    precision : float in (0, 1]

    Raises
    ------
    ValueError
        As in `roc_auc`, and for a precision outside (0, 1].

    Examples
    --------
    >>> recall_at_precision([1, 1, 0, 1], [0.9, 0.8, 0.7, 0.6], precision=0.9)
    0.6666666666666666
    """
    if not 0.0 < precision <= 1.0:
        raise ValueError(f"precision: expected a number in (0, 1], got {precision}")
    positives, negatives, _ = _counts_above(y_true, score)
    reached = positives / (positives + negatives) >= precision
    if not reached.any():
        return 0.0
    return float(positives[reached].max() / positives[-1])


def log_loss(y_true: ArrayLike, probability: ArrayLike) -> float:
    """Mean negative log-likelihood of 0/1 labels [n] under probabilities [n] in [0, 1].

    A probability of exactly 0 or 1 is moved inside by the float64 epsilon.

    Examples
    --------
    >>> round(log_loss([1, 0], [0.5, 0.5]), 4)
    0.6931
    """
    y, p = _binary(y_true, probability, "probability")
    _check_probabilities(p)
    epsilon = np.finfo(np.float64).eps
    p = np.clip(p, epsilon, 1.0 - epsilon)
    return float(-np.mean(np.where(y, np.log(p), np.log1p(-p))))


def binary_metrics(y_true: ArrayLike, score: ArrayLike) -> dict[str, float]:
    """``auc``, ``ap``, ``recall_at_p90`` and ``log_loss`` of the probabilities of class 1.

    Parameters
    ----------
    y_true : array [n] of 0 and 1
    score : array [n], each in [0, 1]

    Examples
    --------
    >>> sorted(binary_metrics([0, 1], [0.2, 0.9]))
    ['ap', 'auc', 'log_loss', 'recall_at_p90']
    """
    return {
        "auc": roc_auc(y_true, score),
        "ap": average_precision(y_true, score),
        "recall_at_p90": recall_at_precision(y_true, score, 0.9),
        "log_loss": log_loss(y_true, score),
    }


def multiclass_metrics(
    y_true: ArrayLike, probability: ArrayLike, classes: Sequence[Any] | NDArray[Any] | None = None
) -> dict[str, float]:
    """``accuracy``, ``log_loss``, ``macro_f1`` and ``auc`` (mean of one class against the rest).

    Parameters
    ----------
    y_true : array [n]
    probability : array [n, c]
        Each row sums to 1.
    classes : sequence of c labels, optional
        The class of each column; 0 to c - 1 by default.

    Raises
    ------
    ValueError
        For shapes that do not fit, rows that are no distribution, or a label outside ``classes``.

    Notes
    -----
    ``auc`` and ``macro_f1`` average over the classes that occur in ``y_true``.

    Examples
    --------
    >>> multiclass_metrics([0, 1, 2], [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])["auc"]
    1.0
    """
    p = np.asarray(probability, dtype=np.float64)
    y = np.asarray(y_true)
    if p.ndim != 2 or p.shape[1] < 2:
        raise ValueError(f"probability: expected shape [n, c] with c >= 2, got {p.shape}")
    if y.shape != (len(p),):
        raise ValueError(f"y_true: expected shape ({len(p)},) as probability has, got {y.shape}")
    if len(p) == 0:
        raise ValueError("y_true: expected at least one row, got zero rows")
    _check_probabilities(p)
    sums = p.sum(axis=1)
    # Probabilities may come as float32, whose rows sum to 1 only this closely.
    wrong = np.abs(sums - 1.0) > 1e-4
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"probability: row {row} sums to {sums[row]}, expected 1")
    names = list(range(p.shape[1])) if classes is None else list(classes)
    if len(names) != p.shape[1]:
        raise ValueError(f"classes: expected {p.shape[1]} labels, got {len(names)}")
    index = {name: j for j, name in enumerate(names)}
    for row, label in enumerate(y.tolist()):
        if label not in index:
            raise ValueError(f"y_true: row {row}: {label!r} is not one of the classes {names}")
    code = np.fromiter((index[label] for label in y.tolist()), np.int64, count=len(y))
    if (code == code[0]).all():
        raise ValueError(f"y_true: expected at least two classes, got only {names[code[0]]!r}")

    predicted = p.argmax(axis=1)
    likelihood = np.maximum(p[np.arange(len(p)), code], np.finfo(np.float64).eps)
    f1, auc = [], []
    for j in np.unique(code):
        hit = int(np.sum((predicted == j) & (code == j)))
        f1.append(2.0 * hit / (int(np.sum(predicted == j)) + int(np.sum(code == j))))
        auc.append(roc_auc(code == j, p[:, j]))
    return {
        "accuracy": float(np.mean(predicted == code)),
        "log_loss": float(-np.mean(np.log(likelihood))),
        "macro_f1": float(np.mean(f1)),
        "auc": float(np.mean(auc)),
    }


def rmse(y_true: ArrayLike, prediction: ArrayLike) -> float:
    """Root of the mean squared error of predictions of any shape.

    Examples
    --------
    >>> rmse([0.0, 0.0], [3.0, 4.0])
    3.5355339059327378
    """
    y, prediction = _pair(y_true, prediction)
    return float(np.sqrt(np.mean((y - prediction) ** 2)))


def mae(y_true: ArrayLike, prediction: ArrayLike) -> float:
    """Mean absolute error of predictions of any shape.

    Examples
    --------
    >>> mae([0.0, 0.0], [3.0, -4.0])
    3.5
    """
    y, prediction = _pair(y_true, prediction)
    return float(np.mean(np.abs(y - prediction)))


def smape(y_true: ArrayLike, prediction: ArrayLike, *, floor: float = 1.0) -> float:
    """Symmetric relative error of counts: mean of ``2 |y - p| / (y + p)``, both at least ``floor``.

    Follows ECSeq (arXiv 2406.02979), where counts below 1 are read as 1.

    Parameters
    ----------
    y_true, prediction : arrays of one shape
    floor : float > 0

    Examples
    --------
    >>> smape([10.0], [30.0])
    1.0
    """
    if not floor > 0.0:
        raise ValueError(f"floor: expected a positive number, got {floor}")
    y, prediction = _pair(y_true, prediction)
    y, prediction = np.maximum(y, floor), np.maximum(prediction, floor)
    return float(np.mean(2.0 * np.abs(y - prediction) / (y + prediction)))


def regression_metrics(y_true: ArrayLike, prediction: ArrayLike) -> dict[str, float]:
    """``rmse``, ``mae`` and ``smape`` of predictions of any shape.

    Examples
    --------
    >>> regression_metrics([1.0, 2.0], [1.0, 2.0])
    {'rmse': 0.0, 'mae': 0.0, 'smape': 0.0}
    """
    return {
        "rmse": rmse(y_true, prediction),
        "mae": mae(y_true, prediction),
        "smape": smape(y_true, prediction),
    }


def paired_difference(a: ArrayLike, b: ArrayLike) -> PairedDifference:
    """Mean, standard deviation and 95 % Student interval of ``a - b`` over the same seeds.

    Parameters
    ----------
    a, b : arrays [seeds]
        One figure per seed, in the same order; at least two.

    Raises
    ------
    ValueError
        For shapes that differ, fewer than two seeds or figures that are not finite.

    Examples
    --------
    >>> paired_difference([0.8, 0.9], [0.7, 0.8]).mean.__round__(3)
    0.1
    """
    first, second = _pair(a, b, ("a", "b"))
    if first.ndim != 1 or len(first) < 2:
        raise ValueError(f"a: expected one figure for each of two or more seeds, got {first.shape}")
    difference = first - second
    n = len(difference)
    mean = float(np.mean(difference))
    sd = float(np.std(difference, ddof=1))
    half = float(stdtrit(n - 1, 0.975)) * sd / float(np.sqrt(n))
    return PairedDifference(mean, sd, mean - half, mean + half)


def _pair(
    first: ArrayLike, second: ArrayLike, names: tuple[str, str] = ("y_true", "prediction")
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two finite float64 arrays of one shape."""
    a = np.asarray(first, dtype=np.float64)
    b = np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"{names[1]}: expected shape {a.shape} as {names[0]} has, got {b.shape}")
    if a.size == 0:
        raise ValueError(f"{names[0]}: expected at least one row, got zero rows")
    for name, array in ((names[0], a), (names[1], b)):
        if not np.isfinite(array).all():
            row = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0]) if array.ndim else ()
            raise ValueError(f"{name}: row {row}: expected a finite number, got {array[row]}")
    return a, b


def _binary(
    y_true: ArrayLike, score: ArrayLike, name: str
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    y, scores = _pair(y_true, score, ("y_true", name))
    if y.ndim != 1:
        raise ValueError(f"y_true: expected one dimension, got shape {y.shape}")
    other = (y != 0.0) & (y != 1.0)
    if other.any():
        row = int(np.argmax(other))
        raise ValueError(f"y_true: row {row}: expected 0 or 1, got {y[row]}")
    return y == 1.0, scores


def _check_probabilities(p: NDArray[np.float64]) -> None:
    outside = ~((p >= 0.0) & (p <= 1.0))
    if outside.any():
        row = int(np.argwhere(outside)[0][0])
        raise ValueError(f"probability: row {row}: expected numbers in [0, 1], got {p[row]}")


def _counts_above(
    y_true: ArrayLike, score: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Positives and negatives at or above each distinct score, from the highest score down."""
    y, scores = _binary(y_true, score, "score")
    if y.all() or not y.any():
        raise ValueError(f"y_true: expected both classes, got only {int(y[0])}")
    order = np.argsort(-scores, kind="stable")
    y, scores = y[order], scores[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    positives = np.cumsum(y, dtype=np.int64)[last]
    return positives, last + 1 - positives, scores[last]
