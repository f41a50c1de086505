"""The representatives of a fitted similarity relation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecseq import _core


@dataclass(frozen=True)
class Representatives:
    """The K training sequences' stand-ins that a similarity relation attaches targets to.

    Attributes
    ----------
    vectors : float32 array [K, h]
        Means of their members, in the units of the embedding.
    mass : array [K]
        Training sequences each stands for.
    spread : array [K]
        Mean squared distance of the members, in standardised units.
    label_mix : array [K, n_classes], or [K] for regression
        Shares of the classes among the members; mean target for regression.
    medoids : int64 array [K]
        The training row nearest to each: a real case.
    cases : int64 array [K, m]
        The m most typical training rows, nearest first; -1 where there are fewer.
    """

    vectors: NDArray[np.float32]
    mass: NDArray[np.float64]
    spread: NDArray[np.float64]
    label_mix: NDArray[np.float64]
    medoids: NDArray[np.int64]
    cases: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.vectors)


def representatives_of(model: _core.Model) -> Representatives | None:
    """Those of the model's similarity relation; None without one."""
    found = model.representatives()
    if found is None:
        return None
    shares = found["label_sums"] / found["mass"][:, None]
    if model.task == "regression":
        label_mix = shares[:, 0] * model.target_std + model.target_mean
    elif model.task == "binary":
        label_mix = np.concatenate([1.0 - shares, shares], axis=1)
    else:
        label_mix = shares
    return Representatives(
        vectors=found["vectors"],
        mass=found["mass"],
        spread=found["spread"],
        label_mix=label_mix,
        medoids=found["cases"][:, 0].copy(),
        cases=found["cases"],
    )
