"""What relates a sequence to others: the entries of ``relations=``."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from ecseq import _core
from ecseq._checks import as_seconds
from ecseq._entity_ids import entity_keys, keys_of_sets
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

    With ``over="sequence"`` a row has a set of entities, each counted once: what they are known for
    enters as mean and extreme, and their evidence as the sum that naive Bayes makes of it.

    Parameters
    ----------
    by : str
        Name of the entity in ``entities={by: ids}``, or of a column given to
        ``Sequences.from_frame(..., entities=[by])``. Ids are integers, text or anything hashable
        (see ``ecseq._entity_ids`` for which are one entity); None or NaN is no entity.
    over : {"last", "sequence"}
        Which entities a row has: that of the sequence's last event, or those of all its events
        (the products of a session). ``entities={by: ids}`` holds one id per row for "last", and one
        list, set or array of ids per row for "sequence".
    memory : int
        Events whose labels are remembered one by one.
    windows : sequence of durations
        ``"1d"``, ``"12h"``, ``"all"``, seconds or timedeltas.
    decay : duration or sequence of durations, optional
        Half-lives: counts and rates with weights that halve with each, beside those of windows.
    label_delay : duration
    prior_strength : float
        Labels at the overall rate added to each rate.
    aggregator : {"summary", "gru", "gnn"}
        What becomes of the remembered labels: fixed numbers; or, beside them, what a GRU or a graph
        layer learns of the labels one by one (with times, and one entity per row).
    max_entities : int, optional
        Entities remembered at most: beyond, the one whose latest event is oldest is forgotten, and
        is new when it returns. None: all. An entity takes some 400 bytes and 8 to 40 per event.
    """

    def __init__(
        self,
        by: str,
        *,
        over: str = "last",
        memory: int = 24,
        windows: Sequence[Duration] = ("1d", "7d", "30d", "all"),
        decay: Duration | Sequence[Duration] | None = None,
        label_delay: Duration = 0,
        prior_strength: float = 2.0,
        max_entities: int | None = None,
        aggregator: str = "summary",
    ) -> None:
        self.by = by
        self.over = over
        self.memory = memory
        self.windows = windows
        self.decay = decay
        self.label_delay = label_delay
        self.prior_strength = prior_strength
        self.max_entities = max_entities
        self.aggregator = aggregator

    def _options(self) -> dict[str, Any]:
        if not isinstance(self.by, str) or not self.by:
            raise ValueError(f"by: expected the name of an entity, got {self.by!r}")
        delay = as_duration(self.label_delay, "label_delay")
        if math.isinf(delay):
            raise ValueError("label_delay: expected a finite duration, got 'all'")
        windows = [as_duration(w, f"windows[{i}]") for i, w in enumerate(self.windows)]
        if any(w == 0 for w in windows):
            raise ValueError("windows: expected durations above 0")
        if self.over not in ("last", "sequence"):
            raise ValueError(f"over: expected 'last' or 'sequence', got {self.over!r}")
        bound = self.max_entities
        return {
            "by": self.by,
            "set": self.over == "sequence",
            "half_lives": self._half_lives(),
            "max_entities": 0 if bound is None else _as_int(bound, "max_entities", minimum=1),
            "aggregator": str(self.aggregator),
            "memory": _as_int(self.memory, "memory", minimum=1),
            "windows": windows,
            "label_delay": delay,
            "prior_strength": float(self.prior_strength),
        }

    def _half_lives(self) -> list[float]:
        if self.decay is None:
            return []
        several = isinstance(self.decay, Sequence) and not isinstance(self.decay, str)
        given: Any = self.decay if several else [self.decay]
        half_lives = [as_duration(value, "decay") for value in given]
        if any(h == 0 or math.isinf(h) for h in half_lives):
            raise ValueError("decay: expected finite durations above 0")
        return half_lives

    def features(
        self,
        ids: Any,
        y: ArrayLike,
        *,
        times: ArrayLike | None = None,
        base: ArrayLike | None = None,
        prior: float | Sequence[float] | None = None,
    ) -> tuple[NDArray[np.float32], list[str]]:
        """What is known of each row's entity, as columns for a classifier of your own.

        With times: as of each row's moment, from rows before it whose label is known by then.
        Without: from all other rows. It is what ``ECSeqClassifier`` gives its own layer.

        Parameters
        ----------
        ids : [n] ids; with ``over="sequence"`` [n] lists, sets or arrays of them
        y : labels 0 and 1 [n], or one column of such labels per class [n, classes]; NaN: unknown
        times : [n] seconds or datetime64
        base : base model's logits, shaped as y; used with times only
        prior : overall rate of each column of y; None: its mean. Give the training rows' rate where
            rows to be tested are among the rows.

        Returns
        -------
        features : float32 [n, f], names : list of f str
        """
        labels = _as_columns(y, "y")
        n = len(labels)
        seconds = None if times is None else as_seconds(times, "times", n)
        outputs = None
        if seconds is not None:
            if base is None:
                raise ValueError("base: with times the base's logits are needed too")
            outputs = _as_columns(base, "base")
        rates = np.nanmean(labels, axis=0) if prior is None else np.atleast_1d(prior)
        keys: Any = (
            keys_of_sets(ids, "ids", n) if self.over == "sequence" else entity_keys(ids, "ids", n)
        )
        options = self._options()
        return _core.entity_features(
            options, list(map(float, rates)), keys, seconds, labels, outputs
        )


Relation = SimilarityRelation | EntityRelation


def _as_columns(values: ArrayLike, name: str) -> NDArray[np.float32]:
    array = np.asarray(values, dtype=np.float32)
    if array.ndim not in (1, 2):
        raise ValueError(f"{name}: expected [n] or [n, columns], got shape {array.shape}")
    return np.ascontiguousarray(array.reshape(len(array), -1))


def _as_int(value: Any, name: str, minimum: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"{name}: expected an integer, got {value!r}")
    if minimum is not None and value < minimum:
        raise ValueError(f"{name}: expected at least {minimum}, got {value}")
    return int(value)
