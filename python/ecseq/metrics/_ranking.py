"""Measures of the order that scores put rows in."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecseq.metrics._checks import binary


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
    positives, negatives, _ = counts_above(y_true, score)
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
    positives, negatives, _ = counts_above(y_true, score)
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
    positives, negatives, _ = counts_above(y_true, score)
    reached = positives / (positives + negatives) >= precision
    if not reached.any():
        return 0.0
    return float(positives[reached].max() / positives[-1])


def precision_at_k(y_true: ArrayLike, score: ArrayLike, k: int) -> float:
    """Share of positives among the k rows with the largest scores.

    Where rows tie at the k-th place, it is what an order among them at random gives on average.

    Parameters
    ----------
    y_true : array [n] of 0 and 1
    score : array [n]
    k : int in 1 to n

    Raises
    ------
    ValueError
        As in `roc_auc`, but for one class alone, and for a k outside 1 to n.

    Examples
    --------
    >>> precision_at_k([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1], k=3)
    0.6666666666666666
    """
    y, scores = binary(y_true, score, "score")
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= len(y):
        raise ValueError(f"k: expected an integer from 1 to {len(y)}, got {k!r}")
    threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
    above, tied = scores > threshold, scores == threshold
    places = int(k) - int(above.sum())
    hits = float(y[above].sum()) + places * float(y[tied].mean())
    return hits / int(k)


def counts_above(
    y_true: ArrayLike, score: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Positives and negatives at or above each distinct score, from the highest score down."""
    y, scores = binary(y_true, score, "score")
    if y.all() or not y.any():
        raise ValueError(f"y_true: expected both classes, got only {int(y[0])}")
    order = np.argsort(-scores, kind="stable")
    y, scores = y[order], scores[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    positives = np.cumsum(y, dtype=np.int64)[last]
    return positives, last + 1 - positives, scores[last]
