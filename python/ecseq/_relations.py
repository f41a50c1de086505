"""What relates a sequence to others: the entries of ``relations=``."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from ecseq._own_compressor import check_compressor, size_is_its_own

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([smhdw])\s*")

Duration = str | float | int | datetime.timedelta | np.timedelta64


def as_duration(value: Duration, name: str) -> float:
    """Seconds of ``"7d"``, ``"12h"``, ``"30m"``, ``"45s"``, ``"2w"``, a number or a timedelta.

    ``"all"`` is infinity. Raises ``ValueError`` for anything else, or a negative duration.
    """
    seconds: float | None = None
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        if value == "all":
            seconds = math.inf
        elif match:
            seconds = float(match[1]) * _UNITS[match[2]]
    elif isinstance(value, datetime.timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, np.timedelta64):
        seconds = float(value / np.timedelta64(1, "s"))
    elif isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        seconds = float(value)
    if seconds is None or not seconds >= 0:
        raise ValueError(
            f"{name}: expected a duration such as '7d', '12h', '30m', '45s', 'all', seconds or a "
            f"timedelta, got {value!r}"
        )
    return seconds


class SimilarityRelation(BaseEstimator):
    """Representatives of like embeddings (ECSeq, arXiv 2406.02979, section III).

    Parameters
    ----------
    n_representatives : int, dict or None
        K. None: one for every 20 training rows, at most 500. A dict gives the number for each
        class and needs ``compressor="balanced_kmeans"``. A compressor object has its own.
    compressor : str, object, class or function
        "kmeans", "balanced_kmeans", "agc", "grain", "variation_neighborhoods", "variation_edges",
        "variation_cliques", "heavy_edge", "algebraic_jc", "affinity_gs", or a baseline: "random",
        "stratified_random", "k_center", "medoids". See ``ecseq.compress``.
        Balanced: one k-means per class (regression: per fifth of the target), so that a rare class
        has representatives of its own; equal numbers unless a dict says otherwise.
        Or one of your own, which gets the standardised embeddings X [n, h] of the training rows
        and their labels y [n]: an object with ``fit(X, y)`` and then ``assignment_``, ``labels_``
        or ``predict(X)``, such as those of ``ecseq.compress`` and scikit-learn's clusterers (a
        clone is fitted); its class, which is told K as ``n_representatives``, ``n_clusters`` or
        ``n_components``; or a function ``(X, y, n_representatives)`` that returns the cluster of
        each row, from 0, negative for none. Representatives are the means of the clusters' rows,
        unless ``representatives_``, or a second value that the function returns, gives real rows
        [K, h] to stand for them.
        "none" compresses nothing: every training row is a representative of its own, and the
        graph is that of all rows (BatchGNN in the paper), to see what compression costs.
    attach : {"knn", "epsilon", "correlation"}
        Which representatives a sequence is related to: the `n_neighbors` nearest, weighted by
        distance; all whose cosine exceeds `epsilon`, equally; or all whose Pearson correlation
        over the columns is at least `min_correlation`, equally.
    n_neighbors : int
    epsilon, min_correlation : float
    isolated : {"nearest", "alone"}
        A sequence to which no representative is near enough is related to the `n_neighbors`
        nearest, or to none (``fit_report_["isolation_rate"]`` says how often).
    label_mix, mass : bool
        Whether a representative shows its label mix, and how many sequences it stands for. A
        training sequence never sees its own label in it.
    prior_strength : float
        Labels at the overall rate added to each representative's label mix.
    label_spreading : float in [0, 1)
        Share of a representative's label mix that comes from those it is related to, over and over
        (Zhou et al. 2003): for few labels. At most 4096 representatives.
    standardize : bool
        Columns of the embedding to mean 0 and variance 1 first.
    """

    def __init__(
        self,
        n_representatives: int | Mapping[Any, int] | None = None,
        *,
        compressor: Any = "kmeans",
        attach: str = "knn",
        n_neighbors: int = 8,
        epsilon: float = 0.99,
        min_correlation: float = 0.5,
        isolated: str = "nearest",
        label_mix: bool = True,
        mass: bool = True,
        prior_strength: float = 5.0,
        label_spreading: float = 0.0,
        standardize: bool = True,
    ) -> None:
        self.n_representatives = n_representatives
        self.compressor = compressor
        self.attach = attach
        self.n_neighbors = n_neighbors
        self.epsilon = epsilon
        self.min_correlation = min_correlation
        self.isolated = isolated
        self.label_mix = label_mix
        self.mass = mass
        self.prior_strength = prior_strength
        self.label_spreading = label_spreading
        self.standardize = standardize

    def _options(self, classes: Sequence[Any] | None) -> dict[str, Any]:
        """Options of the C++ relation; ``classes`` in order, None for regression."""
        check_compressor(self.compressor)
        named = isinstance(self.compressor, str)
        options: dict[str, Any] = {
            "compressor": self.compressor if named else "custom",
            "attach": self.attach,
            "n_neighbors": _as_int(self.n_neighbors, "n_neighbors"),
            "epsilon": float(self.epsilon),
            "min_correlation": float(self.min_correlation),
            "isolated": str(self.isolated),
            "label_mix": bool(self.label_mix),
            "mass": bool(self.mass),
            "prior_strength": float(self.prior_strength),
            "label_spreading": float(self.label_spreading),
            "standardize": bool(self.standardize),
        }
        wanted = self.n_representatives
        if wanted is None:
            return options
        if size_is_its_own(self.compressor):
            raise ValueError(
                f"n_representatives: {self.compressor!r} has a number of its own; leave this None"
            )
        if not isinstance(wanted, Mapping):
            options["n_representatives"] = _as_int(wanted, "n_representatives", minimum=1)
            return options
        if self.compressor != "balanced_kmeans" or classes is None:
            raise ValueError(
                "n_representatives: a dict by class needs a classifier and "
                f"compressor='balanced_kmeans', got compressor={self.compressor!r}"
            )
        labels = list(classes)
        if set(wanted) != set(labels):
            raise ValueError(
                f"n_representatives: expected one number for each class {labels}, "
                f"got {list(wanted)}"
            )
        counts = [_as_int(wanted[c], f"n_representatives[{c!r}]", minimum=1) for c in labels]
        options["group_counts"] = counts
        options["n_representatives"] = sum(counts)
        return options


class EntityRelation(BaseEstimator):
    """One representative per shared entity (terminal, merchant, device, item), causal in time.

    The representative of an entity is what was known of it at the moment of scoring: the labels of
    its last `memory` events whose label had arrived, and per window the number of events, of known
    labels and their smoothed rate. A label arrives `label_delay` after its event. An entity never
    seen has the overall rate and no history.

    Without times, each training row sees all other rows of its entity (leave-one-out).

    Parameters
    ----------
    by : str
        Name of the entity in ``entities={by: ids}``, or of a column given to
        ``Sequences.from_frame(..., entities=[by])``.
    memory : int
        Events whose labels are remembered one by one.
    windows : sequence of durations
        ``"1d"``, ``"12h"``, ``"all"``, seconds or timedeltas.
    label_delay : duration
    prior_strength : float
        Labels at the overall rate added to each rate.
    """

    def __init__(
        self,
        by: str,
        *,
        memory: int = 24,
        windows: Sequence[Duration] = ("1d", "7d", "30d", "all"),
        label_delay: Duration = 0,
        prior_strength: float = 2.0,
    ) -> None:
        self.by = by
        self.memory = memory
        self.windows = windows
        self.label_delay = label_delay
        self.prior_strength = prior_strength

    def _options(self) -> dict[str, Any]:
        if not isinstance(self.by, str) or not self.by:
            raise ValueError(f"by: expected the name of an entity, got {self.by!r}")
        delay = as_duration(self.label_delay, "label_delay")
        if math.isinf(delay):
            raise ValueError("label_delay: expected a finite duration, got 'all'")
        windows = [as_duration(w, f"windows[{i}]") for i, w in enumerate(self.windows)]
        if any(w == 0 for w in windows):
            raise ValueError("windows: expected durations above 0")
        return {
            "by": self.by,
            "memory": _as_int(self.memory, "memory", minimum=1),
            "windows": windows,
            "label_delay": delay,
            "prior_strength": float(self.prior_strength),
        }


Relation = SimilarityRelation | EntityRelation


def _as_int(value: Any, name: str, minimum: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"{name}: expected an integer, got {value!r}")
    if minimum is not None and value < minimum:
        raise ValueError(f"{name}: expected at least {minimum}, got {value}")
    return int(value)
