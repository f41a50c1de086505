"""Measures of probabilities: are they near the labels, and do they mean what they say?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecseq.metrics._checks import binary, class_columns, require_probabilities


def log_loss(y_true: ArrayLike, probability: ArrayLike) -> float:
    """Mean negative log-likelihood of 0/1 labels [n] under probabilities [n] in [0, 1].

    A probability of exactly 0 or 1 is moved inside by the float64 epsilon.

    Examples
    --------
    >>> round(log_loss([1, 0], [0.5, 0.5]), 4)
    0.6931
    """
    y, p = binary(y_true, probability, "probability")
    require_probabilities(p)
    epsilon = np.finfo(np.float64).eps
    p = np.clip(p, epsilon, 1.0 - epsilon)
    return float(-np.mean(np.where(y, np.log(p), np.log1p(-p))))


def brier_score(
    y_true: ArrayLike,
    probability: ArrayLike,
    classes: Sequence[Any] | NDArray[Any] | None = None,
) -> float:
    """Mean squared distance of probabilities from what happened (Brier 1950); 0 is perfect.

    Parameters
    ----------
    y_true : array [n] of 0 and 1, or of classes
    probability : array [n], or [n, c] whose rows sum to 1
        [n]: of class 1, and the score is the mean of ``(p - y)^2``, between 0 and 1. [n, c]: the
        squares are summed over the classes, as Brier did: between 0 and 2.
    classes : sequence of c labels, optional
        The class of each column; 0 to c - 1 by default.

    Raises
    ------
    ValueError
        For shapes that do not fit, or numbers outside [0, 1].

    Examples
    --------
    >>> brier_score([1, 0], [0.5, 0.5])
    0.25
    >>> brier_score(["a", "b"], [[0.5, 0.5], [0.5, 0.5]], ["a", "b"])
    0.5
    """
    if np.ndim(probability) == 2:
        code, p, _ = class_columns(y_true, probability, classes)
        happened = code[:, None] == np.arange(p.shape[1])
        return float(np.mean(np.sum((p - happened) ** 2, axis=1)))
    y, p = binary(y_true, probability, "probability")
    require_probabilities(p)
    return float(np.mean((p - y) ** 2))


class ReliabilityCurve(NamedTuple):
    """What was said against what happened, for each bin that holds a row."""

    probability: NDArray[np.float64]  #: [bins], mean of what was said
    share: NDArray[np.float64]  #: [bins], share of the rows that were positive
    rows: NDArray[np.int64]  #: [bins], how many


def reliability_curve(
    y_true: ArrayLike, probability: ArrayLike, *, n_bins: int = 10, bins: str = "width"
) -> ReliabilityCurve:
    """Mean probability and share of positives in bins of the probability (DeGroot and Fienberg
    1983): on the diagonal where the probabilities are calibrated.

    Parameters
    ----------
    y_true : array [n] of 0 and 1
    probability : array [n], each in [0, 1]
    n_bins : int
    bins : {"width", "count"}
        Bins of equal width, or between quantiles, so that all hold about as many rows; rows of
        equal probability are never parted.

    Returns
    -------
    ReliabilityCurve
        Of the bins that hold rows, by rising probability.

    Raises
    ------
    ValueError
        For shapes that do not fit, numbers outside [0, 1] or unknown bins.

    Examples
    --------
    >>> curve = reliability_curve([0, 1, 1, 1], [0.1, 0.3, 0.8, 0.9], n_bins=2)
    >>> curve.share.tolist(), curve.rows.tolist()
    ([0.5, 1.0], [2, 2])
    """
    y, p = binary(y_true, probability, "probability")
    require_probabilities(p)
    if isinstance(n_bins, bool) or not isinstance(n_bins, (int, np.integer)) or n_bins < 1:
        raise ValueError(f"n_bins: expected an integer of at least 1, got {n_bins!r}")
    shares = np.linspace(0.0, 1.0, int(n_bins) + 1)
    if bins == "width":
        edges = shares
    elif bins == "count":
        edges = np.quantile(p, shares)
    else:
        raise ValueError(f"bins: {bins!r} is not one of 'width', 'count'")
    found = np.searchsorted(edges[1:-1], p)
    count = np.bincount(found, minlength=int(n_bins))
    held = count > 0
    count = count[held]
    return ReliabilityCurve(
        np.bincount(found, weights=p, minlength=int(n_bins))[held] / count,
        np.bincount(found, weights=y, minlength=int(n_bins))[held] / count,
        count,
    )


def expected_calibration_error(
    y_true: ArrayLike,
    probability: ArrayLike,
    classes: Sequence[Any] | NDArray[Any] | None = None,
    *,
    n_bins: int = 10,
    bins: str = "width",
) -> float:
    """Mean distance between what was said and what happened, over the rows' bins.

    The sum over the bins of `reliability_curve` of ``rows / n * |share - probability|`` (Naeini et
    al. 2015; Guo et al. 2017). It depends on the bins, and few rows have a large one by chance.

    Parameters
    ----------
    y_true : array [n] of 0 and 1, or of classes
    probability : array [n], or [n, c] whose rows sum to 1
        [n]: of class 1. [n, c]: what is binned is the probability of the most probable class, and
        what happened is whether it was the right one, as in Guo et al.
    classes : sequence of c labels, optional
        The class of each column; 0 to c - 1 by default.
    n_bins, bins
        See `reliability_curve`.

    Raises
    ------
    ValueError
        As in `reliability_curve`.

    Examples
    --------
    >>> round(expected_calibration_error([0, 1, 1, 1], [0.1, 0.3, 0.8, 0.9], n_bins=2), 3)
    0.225
    """
    if np.ndim(probability) == 2:
        code, p, _ = class_columns(y_true, probability, classes)
        y_true, probability = p.argmax(axis=1) == code, p.max(axis=1)
    curve = reliability_curve(y_true, probability, n_bins=n_bins, bins=bins)
    weight = curve.rows / curve.rows.sum()
    return float(np.sum(weight * np.abs(curve.share - curve.probability)))
