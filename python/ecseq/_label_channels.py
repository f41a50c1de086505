"""Labels as what representatives sum: one channel per class, or the value itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecseq._labels import encode_labels, recode

# More different numbers than this are counts or amounts, not classes.
_MOST_CLASSES = 100


@dataclass(frozen=True)
class LabelChannels:
    """How the labels of a fit are summed, so that later ones are summed alike.

    given : whether there are labels; without, one channel of zeros stands for them.
    classes : in order; None for real values.
    """

    given: bool
    classes: NDArray[np.generic] | None

    @staticmethod
    def of(y: ArrayLike | None, classes: ArrayLike | None = None) -> LabelChannels:
        """What y is made of: classes, or real values where they are numbers and fractions are among
        them, or more than 100 different ones. classes: all there are, where y need not hold each.
        """
        if y is None:
            return LabelChannels(given=False, classes=None)
        known = None if classes is None else np.unique(np.asarray(classes))
        labels = np.asarray(y)
        task = "auto" if known is None else "classification"
        if known is None and labels.dtype.kind in "iuf" and _many_values(labels):
            task = "regression"
        _, found, _ = encode_labels(labels, task, known)
        return LabelChannels(given=True, classes=found)

    def encode(
        self, y: ArrayLike | None, n: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(channels [n, c], class numbers or values [n])"""
        if y is None:
            if self.given:
                raise ValueError("y: expected labels, as the representatives were made with")
            return np.zeros((n, 1), np.float32), np.zeros(n, np.float32)
        labels = np.asarray(y)
        if labels.ndim != 1 or len(labels) != n:
            raise ValueError(f"y: expected {n} labels, one per row of X, got shape {labels.shape}")
        if not self.given:
            raise ValueError("y: the representatives were made without labels")
        codes = recode(labels, self.classes, "y")
        if self.classes is None:
            return codes.reshape(-1, 1), codes
        one_hot = np.zeros((n, len(self.classes)), np.float32)
        one_hot[np.arange(n), codes.astype(np.int64)] = 1
        return one_hot, codes

    def mix(self, sums: NDArray[np.float64], mass: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums [K, c] as shares of the classes [K, c], or mean values [K]."""
        shares: NDArray[np.float64] = sums / mass[:, None]
        return shares[:, 0] if self.classes is None else shares


def _many_values(labels: NDArray[np.generic]) -> bool:
    return len(labels) > _MOST_CLASSES and len(np.unique(labels)) > _MOST_CLASSES
