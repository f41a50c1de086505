"""Measures of scores against labels, and of differences over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

FloatArray = NDArray[np.float64]

PRECISION = 0.9

# 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom; more take the last, which is
# slightly wide.
_STUDENT = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)


def recall_at_precision(labels: Any, scores: Any, precision: float = PRECISION) -> float:
    """The largest recall at which precision reaches ``precision``; 0 when it never does.

    labels: [n] of 0 and 1; scores: [n], higher means more likely 1.
    """
    reached, recall, _ = precision_recall_curve(labels, scores)
    # The last point of the curve (precision 1, recall 0) is a convention, not a threshold.
    enough = reached[:-1] >= precision
    return float(recall[:-1][enough].max()) if enough.any() else 0.0


def binary_metrics(labels: Any, scores: Any) -> dict[str, float]:
    """AUC, AP and R@P0.9 of scores [n] against labels [n] of 0 and 1.

    NaN where the labels are all alike, because none of the three means anything then.
    """
    labels = np.asarray(labels)
    if np.unique(labels).size < 2:
        return {"auc": math.nan, "ap": math.nan, "recall_at_p90": math.nan}
    return {
        "auc": float(roc_auc_score(labels, scores)),
        "ap": float(average_precision_score(labels, scores)),
        "recall_at_p90": recall_at_precision(labels, scores),
    }


def multiclass_metrics(labels: Any, probabilities: Any) -> dict[str, float]:
    """Accuracy and log-loss of probabilities [n, classes] against labels [n] in 0..classes-1."""
    labels = np.asarray(labels, dtype=np.int64)
    probabilities = np.asarray(probabilities, dtype=np.float64)
    own = probabilities[np.arange(labels.size), labels]
    return {
        "accuracy": float(np.mean(probabilities.argmax(axis=1) == labels)),
        "log_loss": float(-np.mean(np.log(np.maximum(own, 1e-12)))),
    }


def regression_metrics(targets: Any, predictions: Any) -> dict[str, float]:
    """RMSE and MAE of predictions [n] against targets [n]."""
    error = np.asarray(predictions, dtype=np.float64) - np.asarray(targets, dtype=np.float64)
    return {"rmse": float(np.sqrt(np.mean(error**2))), "mae": float(np.mean(np.abs(error)))}


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences with the 95 % interval of Student's t; NaN for one pair."""

    mean: float
    low: float
    high: float


def paired_difference(ours: Sequence[float], base: Sequence[float]) -> Difference:
    """``ours - base``, pair by pair (one pair per seed)."""
    if len(ours) != len(base) or not ours:
        raise ValueError(f"expected pairs, got {len(ours)} and {len(base)} values")
    difference = np.asarray(ours, dtype=np.float64) - np.asarray(base, dtype=np.float64)
    mean, n = float(difference.mean()), difference.size
    if n < 2:
        return Difference(mean, math.nan, math.nan)
    quantile = _STUDENT[min(n - 1, len(_STUDENT)) - 1]
    half = quantile * float(difference.std(ddof=1)) / math.sqrt(n)
    return Difference(mean, mean - half, mean + half)


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; the deviation of one value is NaN."""
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()), float(array.std(ddof=1)) if array.size > 1 else math.nan
