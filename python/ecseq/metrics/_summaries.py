"""The measures that a report shows of one kind of task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecseq.metrics._checks import class_columns
from ecseq.metrics._probabilities import log_loss
from ecseq.metrics._ranking import average_precision, recall_at_precision, roc_auc
from ecseq.metrics._regression import mae, rmse, smape


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
    code, p, names = class_columns(y_true, probability, classes)
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
