"""Representatives: the K cases that stand for all, and how they follow new ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecseq import _core
from ecseq._inputs import finite_matrix, seed_of, threads
from ecseq._label_channels import LabelChannels


@dataclass(frozen=True)
class Drift:
    """How far the rows of one update lie from what the representatives were made of.

    Attributes
    ----------
    rows : int
    beyond_radius : float
        Share of the rows outside the radius of their nearest representative; about 0.01 where
        nothing drifts.
    mass_shift : float
        Total variation distance, 0 to 1, between the representatives' shares of the mass and their
        shares of the rows. Few rows have a large one by chance.
    label_shift : float
        Largest difference over the classes (real values: the difference) between the mean of the
        rows' labels and what the label mixes of their representatives say.
    added, retired : int
        Representatives that came and went.
    renumbered : int64 array [K before]
        The number of each earlier representative now; -1 where it was retired.
    assignment : int64 array [rows]
        The representative of each row, by the numbers now.
    """

    rows: int
    beyond_radius: float
    mass_shift: float
    label_shift: float
    added: int
    retired: int
    renumbered: NDArray[np.int64] = field(repr=False)
    assignment: NDArray[np.int64] = field(repr=False)


@dataclass
class Representatives:
    """The K stand-ins of all rows that a compressor or a similarity relation was fitted on.

    Attributes
    ----------
    vectors : float32 array [K, h]
        Means of their members, or real rows, in the units of the embedding.
    mass : array [K]
        Rows each stands for.
    spread : array [K]
        Mean squared distance of the members; of an estimator's, in standardised units.
    radius : array [K]
        Distance within which 99 % of the members lie, in the units of spread; where there are
        fewer than ten, that of all rows.
    label_mix : array [K, n_classes], or [K] for real values
        Shares of the classes among the members, or their mean; 0 where there were no labels.
    medoids : int64 array [K]
        The row nearest to each: a real case. -1 for those that an update added.
    cases : int64 array [K, m]
        The m most typical rows, nearest first; -1 where there are fewer.
    """

    vectors: NDArray[np.float32]
    mass: NDArray[np.float64]
    spread: NDArray[np.float64]
    radius: NDArray[np.float64]
    label_mix: NDArray[np.float64]
    medoids: NDArray[np.int64]
    cases: NDArray[np.int64]
    _running: _Running | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.vectors)

    def update(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        keep: float = 1.0,
        reach: float = 2.0,
        min_mass: int = 10,
        retire_below: float = 0.5,
        random_state: Any = 0,
        num_threads: int | None = None,
    ) -> Drift:
        """Follow new rows X [n, h] with labels y [n], in place.

        Each row moves the representative nearest to it, so that it stays the mean of its members
        (running means in double). Rows far from all are clustered among themselves and become
        representatives where there are enough of them; representatives that hardly any mass is
        left of go.

        Parameters
        ----------
        y : needed where the representatives were made with labels, of the same classes.
        keep : share of all earlier mass that stays, in (0, 1]; below 1, older rows are forgotten.
        reach : a row farther from its nearest representative than this many radii is far from all.
        min_mass : rows far from all that make a representative.
        retire_below : mass under which a representative goes.

        Raises ValueError for bad input; nothing has changed then, nor for those of an estimator,
        which change with it alone.
        """
        if self._running is None:
            raise ValueError(
                "update: these representatives belong to a fitted estimator and change with it "
                "alone; fit a compressor of ecseq.compress to have some to update"
            )
        x = finite_matrix(X)
        options = {
            "keep": float(keep),
            "reach": float(reach),
            "min_mass": int(min_mass),
            "retire_below": float(retire_below),
            "seed": seed_of(random_state),
            "num_threads": threads(num_threads),
        }
        channels, _ = self._running.labels.encode(y, len(x))
        state = {
            "means": self._running.means,
            "label_sums": self._running.label_sums,
            "mass": self.mass,
            "spread": self.spread,
            "radius": self.radius,
            "cases": self.cases,
        }
        found = _core.update_representatives(state, x, channels, options)
        vars(self).update(vars(representatives_from(found, self._running.labels)))
        return Drift(
            **found["drift"], renumbered=found["renumbered"], assignment=found["assignment"]
        )


@dataclass
class _Running:
    """What `Representatives.update` goes on from."""

    means: NDArray[np.float64]
    label_sums: NDArray[np.float64]
    labels: LabelChannels


def representatives_from(found: dict[str, Any], labels: LabelChannels) -> Representatives:
    """Those that the core found, with the labels as they were given."""
    means = found["means"] if "means" in found else found["vectors"].astype(np.float64)
    mass = found["mass"]
    return Representatives(
        vectors=means.astype(np.float32),
        mass=mass,
        spread=found["spread"],
        radius=found["radius"],
        label_mix=labels.mix(found["label_sums"], mass),
        medoids=_first_cases(found["cases"]),
        cases=found["cases"],
        _running=_Running(means, found["label_sums"], labels),
    )


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
        radius=found["radius"],
        label_mix=label_mix,
        medoids=_first_cases(found["cases"]),
        cases=found["cases"],
    )


def _first_cases(cases: NDArray[np.int64]) -> NDArray[np.int64]:
    return cases[:, 0].copy()
