"""Measures of predicted values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ecseq.metrics._checks import pair


def rmse(y_true: ArrayLike, prediction: ArrayLike) -> float:
    """Root of the mean squared error of predictions of any shape.

    Examples
    --------
    >>> rmse([0.0, 0.0], [3.0, 4.0])
    3.5355339059327378
    """
    y, prediction = pair(y_true, prediction)
    return float(np.sqrt(np.mean((y - prediction) ** 2)))


def mae(y_true: ArrayLike, prediction: ArrayLike) -> float:
    """Mean absolute error of predictions of any shape.

    Examples
    --------
    >>> mae([0.0, 0.0], [3.0, -4.0])
    3.5
    """
    y, prediction = pair(y_true, prediction)
    return float(np.mean(np.abs(y - prediction)))


def smape(y_true: ArrayLike, prediction: ArrayLike, *, floor: float | None = 1.0) -> float:
    """Symmetric relative error: mean of ``2 |y - p| / (|y| + |p|)``, both at least ``floor``.

    Follows ECSeq (arXiv 2406.02979), where counts below 1 are read as 1, in the units of the
    counts: values that were scaled for training are to be scaled back first.

    Parameters
    ----------
    y_true, prediction : arrays of one shape
    floor : float > 0, or None
        None leaves values as they are; two zeros then have no error.

    Examples
    --------
    >>> smape([10.0], [30.0])
    1.0
    """
    if floor is not None and not floor > 0.0:
        raise ValueError(f"floor: expected a positive number or None, got {floor}")
    y, p = pair(y_true, prediction)
    if floor is not None:
        y, p = np.maximum(y, floor), np.maximum(p, floor)
    size = np.abs(y) + np.abs(p)
    error = np.divide(2.0 * np.abs(y - p), size, out=np.zeros_like(size), where=size > 0.0)
    return float(np.mean(error))
