"""Outputs that mean what they say: calibration of a classifier on rows it was not trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecseq import _core

METHODS = ("isotonic", "platt")

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Sigmoid:
    """``1 / (1 + exp(-(slope * logit + intercept)))`` with a slope of at least 0 (Platt 1999)."""

    slope: float
    intercept: float

    def __call__(self, logits: Doubles) -> Doubles:
        return _sigmoid(self.slope * logits + self.intercept)


@dataclass(frozen=True)
class Steps:
    """The best rising steps (Zadrozny and Elkan 2002), joined by lines between them."""

    logits: list[float]  #: [m], rising
    shares: list[float]  #: [m], never falling

    def __call__(self, logits: Doubles) -> Doubles:
        return np.interp(logits, self.logits, self.shares)


Curve = Sigmoid | Steps


@dataclass(frozen=True)
class Calibration:
    """From a classifier's logits to calibrated probabilities.

    Attributes
    ----------
    method : {"isotonic", "platt"}
    n_rows : int
        Labelled rows it was fitted on.
    curves : list
        For two classes one, of the second; for several one for each class against the rest, None
        for a class that those rows did not hold, whose probability is left as it is. Each rises, so
        that rows keep their order up to ties.
    """

    method: str
    n_rows: int
    curves: list[Curve | None]

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits [n] of two classes, or [n, classes], to probabilities [n, classes]."""
        if logits.ndim == 1:
            (curve,) = self.curves
            assert curve is not None
            positive = curve(logits.astype(np.float64))
            return np.stack([1.0 - positive, positive], axis=1).astype(np.float32)
        against_rest = _against_rest(logits)
        shares = np.stack(
            [
                _sigmoid(column) if curve is None else curve(column)
                for curve, column in zip(self.curves, against_rest.T, strict=True)
            ],
            axis=1,
        )
        normalised: Doubles = shares / shares.sum(axis=1, keepdims=True)
        return normalised.astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "n_rows": self.n_rows,
            "curves": [None if curve is None else vars(curve) for curve in self.curves],
        }

    @staticmethod
    def from_json(saved: Any, n_classes: int) -> Calibration:
        """Raises `ModelFileError` for anything that `to_json` would not have written."""
        try:
            curves = [_curve_from_json(curve) for curve in saved["curves"]]
            method, n_rows = str(saved["method"]), int(saved["n_rows"])
        except (KeyError, TypeError, ValueError) as error:
            raise _core.ModelFileError(f"model file: calibration: {error!r}") from None
        binary = n_classes == 2
        if method not in METHODS or len(curves) != (1 if binary else n_classes):
            raise _core.ModelFileError(
                f"model file: calibration: {len(curves)} curves by {method!r} for {n_classes} "
                "classes"
            )
        if curves.count(None) == len(curves):
            raise _core.ModelFileError("model file: calibration: holds no curve")
        return Calibration(method, n_rows, curves)


def require_calibration(method: str | None, task: str, codes: NDArray[np.float32]) -> None:
    """Refuses, before any work, what could not be calibrated.

    codes: of the validation rows [n].
    """
    if method is None:
        return
    if task == "regression":
        raise ValueError("calibrate: takes a classifier; leave this None for a regressor")
    if method not in METHODS:
        raise ValueError(f"calibrate: {method!r} is not one of None, 'isotonic', 'platt'")
    if len(np.unique(codes)) < 2:
        raise ValueError(
            "calibrate: takes validation rows of at least two classes, got only one; give "
            "validation= or a larger validation_fraction"
        )


def fit_calibration(
    method: str, logits: NDArray[np.float32], codes: NDArray[np.float32]
) -> Calibration:
    """A calibration from logits [n] of two classes, or [n, classes], and class numbers [n] of at
    least two classes."""
    if logits.ndim == 1:
        curves = [_fit_curve(method, logits.astype(np.float64), codes == 1)]
    else:
        curves = [
            _fit_curve(method, column, codes == j) if np.any(codes == j) else None
            for j, column in enumerate(_against_rest(logits).T)
        ]
    return Calibration(method, len(codes), curves)


def _fit_curve(method: str, logits: Doubles, positive: NDArray[np.bool_]) -> Curve | None:
    return (_fit_sigmoid if method == "platt" else _fit_steps)(logits, positive)


def _fit_sigmoid(logits: Doubles, positive: NDArray[np.bool_]) -> Sigmoid:
    """Newton's method with step halving on the cross-entropy against Platt's targets, which expect
    one more row of each class: the same rows with other labels must not get probability 0."""
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    # In standard units, so that the Hessian is well conditioned whatever the logits' scale.
    centre, scale = float(logits.mean()), float(logits.std())
    rate = float(target.mean())
    flat = Sigmoid(0.0, math.log(rate / (1.0 - rate)))
    if scale <= 1e-12 * max(1.0, abs(centre)):
        return flat
    z = np.stack([(logits - centre) / scale, np.ones_like(logits)], axis=1)

    def loss(parameters: Doubles) -> float:
        u = z @ parameters
        return float(np.mean(np.logaddexp(0.0, u) - target * u))

    found = np.array([0.0, flat.intercept])
    for _ in range(100):
        p = _sigmoid(z @ found)
        gradient = z.T @ (p - target) / len(z)
        if np.abs(gradient).max() < 1e-10:
            break
        hessian = (z * (p * (1.0 - p))[:, None]).T @ z / len(z) + 1e-12 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        before, share = loss(found), 1.0
        while share > 1e-10 and loss(found - share * step) > before:
            share /= 2.0
        found = found - share * step
    # The loss is convex: where the best slope would turn the order round, the best allowed is 0.
    if found[0] <= 0.0:
        return flat
    slope = float(found[0]) / scale
    return Sigmoid(slope, float(found[1]) - slope * centre)


def _fit_steps(logits: Doubles, positive: NDArray[np.bool_]) -> Steps:
    """Isotonic regression, whose shares stay 1 / (n + 2) from 0 and 1, as Laplace's rule has it: n
    rows cannot tell a probability below about 1 / n from 0."""
    from sklearn.isotonic import IsotonicRegression  # scoring does without scikit-learn

    n = len(logits)
    fitted = IsotonicRegression(out_of_bounds="clip").fit(logits, positive)
    least = 1.0 / (n + 2)
    return Steps(
        fitted.X_thresholds_.astype(np.float64).tolist(),
        np.clip(fitted.y_thresholds_.astype(np.float64), least, 1.0 - least).tolist(),
    )


def _against_rest(logits: NDArray[np.float32]) -> Doubles:
    """Log-odds of each class against all others. [n, classes]"""
    z = logits.astype(np.float64)
    z = z - z.max(axis=1, keepdims=True)
    shares = np.exp(z)
    rest = shares.sum(axis=1, keepdims=True) - shares
    # Where one class has all there is, what is left of the others is lost to rounding.
    for j in np.flatnonzero((rest < 1e-6).any(axis=0)):
        rest[:, j] = np.delete(shares, j, axis=1).sum(axis=1)
    log_odds: Doubles = z - np.log(np.maximum(rest, np.finfo(np.float64).tiny))
    return log_odds


def _sigmoid(u: Doubles) -> Doubles:
    found: Doubles = 1.0 / (1.0 + np.exp(-np.clip(u, -700.0, 700.0)))
    return found


def _curve_from_json(saved: Any) -> Curve | None:
    if saved is None:
        return None
    if set(saved) == {"slope", "intercept"}:
        sigmoid = Sigmoid(float(saved["slope"]), float(saved["intercept"]))
        if not (math.isfinite(sigmoid.intercept) and 0.0 <= sigmoid.slope < math.inf):
            raise ValueError(f"{sigmoid} is no rising curve")
        return sigmoid
    if set(saved) != {"logits", "shares"}:
        raise ValueError(f"a curve of {sorted(saved)}")
    steps = Steps([float(v) for v in saved["logits"]], [float(v) for v in saved["shares"]])
    rising = np.all(np.diff(steps.logits) > 0) and np.all(np.diff(steps.shares) >= 0)
    inside = all(0.0 < share < 1.0 for share in steps.shares)
    if not (steps.logits and len(steps.logits) == len(steps.shares) and rising and inside):
        raise ValueError("steps that do not rise from 0 to 1")
    if not np.isfinite(steps.logits).all():
        raise ValueError("steps at infinity")
    return steps
