"""Measures of prediction quality, how sure one can be of them, and comparisons of methods.

Of one set of predictions: ranking (`roc_auc`, `average_precision`, `recall_at_precision`,
`precision_at_k`), probabilities (`log_loss`, `brier_score`, `expected_calibration_error`,
`reliability_curve`), values (`rmse`, `mae`, `smape`), and the summaries that reports show. How much
of a figure is chance of the test rows: `bootstrap_interval`; of a difference between two methods:
`paired_bootstrap`, `paired_permutation_test`; of the seeds: `paired_difference`.
"""

from ecseq.metrics._probabilities import (
    ReliabilityCurve,
    brier_score,
    expected_calibration_error,
    log_loss,
    reliability_curve,
)
from ecseq.metrics._ranking import (
    average_precision,
    precision_at_k,
    recall_at_precision,
    roc_auc,
)
from ecseq.metrics._regression import mae, rmse, smape
from ecseq.metrics._resampling import (
    Interval,
    PairedTest,
    bootstrap_interval,
    paired_bootstrap,
    paired_permutation_test,
)
from ecseq.metrics._seeds import PairedDifference, paired_difference
from ecseq.metrics._summaries import binary_metrics, multiclass_metrics, regression_metrics

__all__ = [
    "Interval",
    "PairedDifference",
    "PairedTest",
    "ReliabilityCurve",
    "average_precision",
    "binary_metrics",
    "bootstrap_interval",
    "brier_score",
    "expected_calibration_error",
    "log_loss",
    "mae",
    "multiclass_metrics",
    "paired_bootstrap",
    "paired_difference",
    "paired_permutation_test",
    "precision_at_k",
    "recall_at_precision",
    "regression_metrics",
    "reliability_curve",
    "rmse",
    "roc_auc",
    "smape",
]
