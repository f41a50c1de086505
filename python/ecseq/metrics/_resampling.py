"""How much of a figure, or of a difference, is chance of the rows that were tested."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Metric = Callable[[Any, Any], float]


class Interval(NamedTuple):
    """A figure and what resampled rows make of it."""

    value: float  #: of the rows themselves
    low: float
    high: float


class PairedTest(NamedTuple):
    """The difference of two methods on the same rows."""

    difference: float  #: the metric of a minus that of b
    low: float  #: of the difference's interval
    high: float
    p_value: float  #: two-sided: how often chance alone does as much


def bootstrap_interval(
    metric: Metric,
    y_true: ArrayLike,
    score: ArrayLike,
    n: int = 1000,
    *,
    groups: ArrayLike | None = None,
    stratify: bool | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """A metric with its percentile interval over resampled rows (Efron 1979; Efron and Tibshirani
    1993, chapter 13).

    Parameters
    ----------
    metric : function (y_true, score) -> float
        Such as those of this module.
    y_true : array [n_rows]
    score : array [n_rows] or [n_rows, c]
    n : int
        Resamples.
    groups : array [n_rows], optional
        Whole groups are drawn with replacement, with all their rows: where rows of one customer or
        one day are alike, rows drawn one by one would make the interval too narrow.
    stratify : bool, optional
        Draw within each value of ``y_true``, so that every resample has as many positives. By
        default where labels are 0 and 1 (false and true) and there are no groups.
    level : float in (0, 1)
    seed : int

    Raises
    ------
    ValueError
        Where the metric refuses the rows as they are, for lengths that differ, and where fewer than
        half of all resamples have a metric (as where a class is in one group only).

    Notes
    -----
    A resample that the metric refuses, for it holds one class alone, is drawn anew.

    Examples
    --------
    >>> from ecseq.metrics import roc_auc
    >>> bootstrap_interval(roc_auc, [0, 1, 0, 1], [0.1, 0.9, 0.2, 0.8]).low
    1.0
    """
    y, (scores,), value = _checked(metric, y_true, [score], ["score"])
    _check_settings(n, level)

    def resampled(rows: NDArray[np.int64]) -> float:
        return float(metric(y[rows], scores[rows]))

    drawn = _replicates(resampled, _resamples(y, groups, stratify, seed), n)
    low, high = _percentiles(drawn, level)
    return Interval(value[0], low, high)


def paired_bootstrap(
    metric: Metric,
    y_true: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    n: int = 1000,
    *,
    groups: ArrayLike | None = None,
    stratify: bool | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> PairedTest:
    """The difference of a metric between two methods, over resamples of the rows that both scored.

    Parameters
    ----------
    metric, y_true, n, groups, stratify, level, seed
        See `bootstrap_interval`.
    a, b : arrays [n_rows] or [n_rows, c]
        What each method says of the same rows.

    Returns
    -------
    PairedTest
        ``p_value`` is twice the smaller share of resamples at or beyond a difference of 0, the
        observed one counted in: at least ``2 / (n + 1)``.

    Raises
    ------
    ValueError
        As in `bootstrap_interval`.

    Examples
    --------
    >>> from ecseq.metrics import mae
    >>> paired_bootstrap(mae, [0.0, 0.0], [1.0, 1.0], [2.0, 2.0]).difference
    -1.0
    """
    y, (first, second), value = _checked(metric, y_true, [a, b], ["a", "b"])
    _check_settings(n, level)

    def resampled(rows: NDArray[np.int64]) -> float:
        return float(metric(y[rows], first[rows])) - float(metric(y[rows], second[rows]))

    drawn = _replicates(resampled, _resamples(y, groups, stratify, seed), n)
    low, high = _percentiles(drawn, level)
    beyond = min(int(np.sum(drawn <= 0.0)), int(np.sum(drawn >= 0.0)))
    p_value = min(1.0, 2.0 * (1 + beyond) / (n + 1))
    return PairedTest(value[0] - value[1], low, high, p_value)


def paired_permutation_test(
    metric: Metric,
    y_true: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    n: int = 1000,
    *,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> PairedTest:
    """Would the difference be as large if it did not matter which method said what?

    What the two methods say of a row is exchanged with probability 1/2, for every row by itself or
    for whole groups (Fisher's randomisation test; Efron and Tibshirani 1993, chapter 15).

    Parameters
    ----------
    metric, y_true, n, groups, level, seed
        See `bootstrap_interval`.
    a, b : arrays [n_rows] or [n_rows, c]
        What each method says of the same rows, on one scale: probabilities of one, logits of
        another cannot be exchanged.

    Returns
    -------
    PairedTest
        ``low`` and ``high`` bound what the difference is by chance alone, ``level`` of the time;
        ``p_value`` is the share of exchanges with a difference as large as the one observed, that
        one counted in: at least ``1 / (n + 1)``.

    Raises
    ------
    ValueError
        As in `bootstrap_interval`.

    Examples
    --------
    >>> from ecseq.metrics import mae
    >>> paired_permutation_test(mae, [0.0] * 9, [1.0] * 9, [1.0] * 9).p_value
    1.0
    """
    y, (first, second), value = _checked(metric, y_true, [a, b], ["a", "b"])
    _check_settings(n, level)
    group = np.arange(len(y)) if groups is None else _group_numbers(groups, len(y))
    rng = np.random.default_rng(seed)
    drawn = np.empty(n)
    for i in range(n):
        exchanged = rng.random(group.max() + 1)[group] < 0.5
        where = exchanged.reshape(-1, *[1] * (first.ndim - 1))
        ours, theirs = np.where(where, second, first), np.where(where, first, second)
        drawn[i] = float(metric(y, ours)) - float(metric(y, theirs))
    difference = value[0] - value[1]
    # Sums in another order may fall short of the observed difference by rounding.
    as_large = np.abs(drawn) >= abs(difference) * (1.0 - 1e-9)
    low, high = _percentiles(drawn, level)
    return PairedTest(difference, low, high, (1 + int(as_large.sum())) / (n + 1))


def _checked(
    metric: Metric, y_true: ArrayLike, said: list[ArrayLike], names: list[str]
) -> tuple[NDArray[Any], list[NDArray[Any]], list[float]]:
    """The labels, what each method says, and its metric."""
    y = np.asarray(y_true)
    if y.ndim != 1 or len(y) == 0:
        raise ValueError(f"y_true: expected one dimension with rows, got shape {y.shape}")
    scores = [np.asarray(array) for array in said]
    for name, array in zip(names, scores, strict=True):
        if array.ndim not in (1, 2) or len(array) != len(y) or array.shape != scores[0].shape:
            raise ValueError(
                f"{name}: expected shape [{len(y)}] or [{len(y)}, c], a row for each of y_true, "
                f"got {array.shape}"
            )
    return y, scores, [float(metric(y, array)) for array in scores]


def _check_settings(n: int, level: float) -> None:
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"n: expected an integer of at least 1, got {n!r}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level: expected a number in (0, 1), got {level}")


def _group_numbers(groups: ArrayLike, n_rows: int) -> NDArray[np.int64]:
    array = np.asarray(groups)
    if array.shape != (n_rows,):
        raise ValueError(f"groups: expected shape ({n_rows},) as y_true has, got {array.shape}")
    return np.unique(array, return_inverse=True)[1].astype(np.int64)


def _resamples(
    y: NDArray[Any], groups: ArrayLike | None, stratify: bool | None, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Rows drawn with replacement, without end: within strata, or group by group."""
    if stratify is None:
        stratify = groups is None and y.dtype.kind in "biuf" and bool(np.isin(y, (0, 1)).all())
    if stratify and groups is not None:
        raise ValueError("stratify: groups are drawn whole; give one of stratify and groups")
    if groups is not None:
        parts = _members(_group_numbers(groups, len(y)))
    elif stratify:
        parts = _members(np.unique(y, return_inverse=True)[1].astype(np.int64))
    else:
        parts = [np.arange(len(y))]
    return _draws(parts, groups is not None, np.random.default_rng(seed))


def _draws(
    parts: list[NDArray[np.int64]], whole: bool, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    while True:
        if whole:
            yield np.concatenate([parts[i] for i in rng.integers(0, len(parts), len(parts))])
        else:
            yield np.concatenate([part[rng.integers(0, len(part), len(part))] for part in parts])


def _members(number: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of each number from 0 on."""
    order = np.argsort(number, kind="stable")
    return np.split(order, np.cumsum(np.bincount(number))[:-1])


def _replicates(
    metric: Callable[[NDArray[np.int64]], float], resamples: Iterator[NDArray[np.int64]], n: int
) -> NDArray[np.float64]:
    """The metric of n resamples, those left out that have none. [n]"""
    found: list[float] = []
    refused = 0
    while len(found) < n:
        try:
            found.append(metric(next(resamples)))
        except ValueError:
            refused += 1
            if refused > n:
                raise ValueError(
                    f"metric: fewer than half of the resamples have one ({refused} of "
                    f"{refused + len(found)} have not); give groups that hold both classes, or "
                    "stratify"
                ) from None
    return np.asarray(found)


def _percentiles(drawn: NDArray[np.float64], level: float) -> tuple[float, float]:
    low, high = np.quantile(drawn, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)
