"""Compressors: N embeddings to K representatives, one face for every algorithm.

>>> import numpy as np
>>> from ecseq.compress import KMeans
>>> X = np.random.default_rng(0).normal(size=(500, 4))
>>> compressor = KMeans(20).fit(X)
>>> compressor.representatives_.vectors.shape, compressor.assignment_.shape
((20, 4), (500,))
>>> compressor.transform(X[:3]).shape
(3,)
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ecseq import _core
from ecseq._balancing import Allocation, balanced_groups
from ecseq._inputs import finite_matrix, positive, seed_of, threads
from ecseq._label_channels import LabelChannels
from ecseq._progress import Verbose, as_progress, close_progress
from ecseq._representatives import representatives_from
from ecseq.graph import CoreGraph, from_scipy, require_symmetric


class Compressor(BaseEstimator):
    """What the compressors share: parameters and attributes.

    Parameters
    ----------
    n_representatives : int
        K. Fewer come back where fewer rows differ; ``report_`` says so.
    random_state : int, RandomState or None
    num_threads : int or None
        The result does not depend on it.
    verbose : bool or callable

    Attributes
    ----------
    representatives_ : Representatives
        vectors [K, h], mass [K], label_mix, medoids, spread, cases.
    assignment_ : int64 array [n]
        The representative of each row.
    report_ : dict
        ``requested``, ``objective`` (sum of squared distances over all rows), ``iterations``,
        ``points_used``, ``seconds``, and ``note`` where K was not reached.
    """

    n_representatives: int
    random_state: Any
    num_threads: int | None
    verbose: Verbose
    _reads_graph: ClassVar[bool] = False

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        graph: Any = None,
        *,
        symmetrise: bool = False,
    ) -> Any:
        """Compress the rows of X [n, h].

        y : labels [n], summed per representative, and what balanced compressors balance by:
        classes, or real values if they are numbers with fractions or more than 100 different ones.
        graph : SciPy sparse matrix [n, n], for graph compressors, which build a graph of nearest
        neighbours without it.
        symmetrise : take the larger of both directions of an edge of ``graph``, instead of refusing
        a graph that is not symmetric.
        """
        x = finite_matrix(X)
        edges = None if graph is None else from_scipy(graph, len(x), symmetrise=symmetrise)
        if edges is not None and not self._reads_graph:
            require_symmetric(edges)
        try:
            return self._fit(x, LabelChannels.of(y), y, edges)
        except ValueError:
            # Where it reads the graph, the core refuses one that is not symmetric, and is fast
            # about it.
            if edges is not None:
                require_symmetric(edges)
            raise

    def _fit(
        self,
        x: NDArray[np.float32],
        labels: LabelChannels,
        y: ArrayLike | None,
        edges: CoreGraph | None = None,
    ) -> Any:
        channels, codes = labels.encode(y, len(x))
        groups, counts = self._groups(labels, codes)
        size = positive(self.n_representatives, "n_representatives")
        if counts is not None:
            size = sum(counts)
        if size > len(x):
            raise ValueError(
                f"n_representatives: expected 1 to {len(x)}, the rows of X, got {size}"
            )
        options: dict[str, Any] = {
            "n_representatives": size,
            "seed": seed_of(self.random_state),
            "num_threads": threads(self.num_threads),
            **self._options(),
        }
        if counts is not None:
            options["group_counts"] = counts
        progress = as_progress(self.verbose)
        try:
            found = _core.compress(x, channels, groups, edges, options, progress)
        finally:
            close_progress(progress)
        self.representatives_ = representatives_from(found, labels)
        self.assignment_: NDArray[np.int64] = found["assignment"]
        self.report_: dict[str, Any] = found["report"]
        self.n_features_in_ = x.shape[1]
        if labels.classes is not None:
            self.classes_ = labels.classes
        elif hasattr(self, "classes_"):
            del self.classes_
        return self

    def _options(self) -> dict[str, Any]:
        raise NotImplementedError

    def _groups(
        self, labels: LabelChannels, codes: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], list[int] | None]:
        """(what balanced compressors balance by [n], K per group or None for equal parts)"""
        return np.zeros(len(codes), np.int32), None

    def _require_columns(self, x: NDArray[np.float32]) -> None:
        """Raise a ValueError unless x has the columns of the fit."""
        if x.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X: expected {self.n_features_in_} columns, as in the fit, got {x.shape[1]}"
            )

    def transform(self, X: ArrayLike) -> NDArray[np.int64]:
        """The number of the nearest representative of each row of X [n, h]: [n]."""
        check_is_fitted(self, "representatives_")
        x = finite_matrix(X)
        self._require_columns(x)
        vectors = np.ascontiguousarray(self.representatives_.vectors)
        return _core.nearest_rows(vectors, x, threads(self.num_threads))

    def fit_transform(self, X: ArrayLike, y: ArrayLike | None = None) -> NDArray[np.int64]:
        """``fit(X, y).transform(X)``"""
        found: NDArray[np.int64] = self.fit(X, y).transform(X)
        return found


class KMeans(Compressor):
    """Lloyd's k-means over all rows (FAISS's loop with our fused assignment).

    init : {"random", "kmeans++"} or array [K, h]
        Rows drawn at random, drawn far from each other (Arthur and Vassilvitskii 2007), or given.
    spherical : bool
        Cluster directions: centroids are brought to length 1.
    iterations : int
    max_points_per_centroid : int, optional
        Train on a random sample of at most this many times K rows; the objective is that of all.
    """

    def __init__(
        self,
        n_representatives: int = 500,
        *,
        init: Any = "random",
        spherical: bool = False,
        iterations: int = 20,
        max_points_per_centroid: int | None = None,
        random_state: Any = 0,
        num_threads: int | None = None,
        verbose: Verbose = False,
    ) -> None:
        self.n_representatives = n_representatives
        self.init = init
        self.spherical = spherical
        self.iterations = iterations
        self.max_points_per_centroid = max_points_per_centroid
        self.random_state = random_state
        self.num_threads = num_threads
        self.verbose = verbose

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "method": "kmeans",
            "iterations": positive(self.iterations, "iterations"),
            "spherical": bool(self.spherical),
        }
        if self.max_points_per_centroid is not None:
            options["max_points_per_centroid"] = positive(
                self.max_points_per_centroid, "max_points_per_centroid"
            )
        if isinstance(self.init, str):
            options["init"] = self.init
        else:
            options["centroids"] = finite_matrix(self.init)
        return options

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> KMeans:
        """Go on from the clusters there are: each row of X [n, h] moves the centroid nearest to it,
        which stays the mean of all its rows (MacQueen 1967; running means in double).

        The first call on an unfitted compressor is a fit of its rows. ``assignment_`` is that of
        the rows of this call. `Representatives.update` also lets representatives come and go.

        classes : all classes that y may ever hold, on the first call; by default those of its y.
        """
        if self.spherical:
            raise ValueError("partial_fit: not with spherical=True; means are no directions")
        x = finite_matrix(X)
        if not hasattr(self, "representatives_"):
            self._fit(x, LabelChannels.of(y, classes), y)
            return self
        self._require_columns(x)
        found = self.representatives_.update(
            x, y, reach=np.inf, retire_below=0.0, num_threads=self.num_threads
        )
        self.assignment_ = found.assignment
        self.report_["points_used"] += len(x)
        return self


class _Balanced(Compressor):
    """A compressor that shares out K among the classes of y, or the parts of a real-valued y."""

    allocation: Allocation
    n_quantiles: int

    def _groups(
        self, labels: LabelChannels, codes: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], list[int] | None]:
        return balanced_groups(
            labels, codes, self.allocation, self.n_quantiles, self.n_representatives
        )


class BalancedKMeans(_Balanced):
    """One k-means per class of y, or per part of a real-valued y, so that a rare class keeps
    representatives of its own.

    allocation : {"equal", "proportional"}, dict by class, or list
        How many representatives each class gets: as many as the others; by its rows, at least one;
        or what a dict says, whole numbers (``n_representatives`` is then their sum) or shares. For
        a real-valued y a list from the lowest part to the highest, which has as many entries as
        there shall be parts.
    n_quantiles : int
        Parts of equally many rows that a real-valued y is cut into, unless a list says how many.
    """

    def __init__(
        self,
        n_representatives: int = 500,
        *,
        allocation: Allocation = "equal",
        n_quantiles: int = 5,
        iterations: int = 20,
        random_state: Any = 0,
        num_threads: int | None = None,
        verbose: Verbose = False,
    ) -> None:
        self.n_representatives = n_representatives
        self.allocation = allocation
        self.n_quantiles = n_quantiles
        self.iterations = iterations
        self.random_state = random_state
        self.num_threads = num_threads
        self.verbose = verbose

    def _options(self) -> dict[str, Any]:
        return {
            "method": "balanced_kmeans",
            "iterations": positive(self.iterations, "iterations"),
        }


class AGC(Compressor):
    """Adaptive graph convolution (Zhang et al. 2019): k-means on smoothed features.

    power : int, optional
        How often features are smoothed over the graph; None: until clusters stop getting tighter,
        at most ``max_power`` times.
    n_neighbors : int
        Of the graph that is built where none is given.
    """

    _reads_graph = True

    def __init__(
        self,
        n_representatives: int = 500,
        *,
        power: int | None = None,
        max_power: int = 60,
        n_neighbors: int = 15,
        iterations: int = 20,
        random_state: Any = 0,
        num_threads: int | None = None,
        verbose: Verbose = False,
    ) -> None:
        self.n_representatives = n_representatives
        self.power = power
        self.max_power = max_power
        self.n_neighbors = n_neighbors
        self.iterations = iterations
        self.random_state = random_state
        self.num_threads = num_threads
        self.verbose = verbose

    def _options(self) -> dict[str, Any]:
        return {
            "method": "agc",
            "power": 0 if self.power is None else positive(self.power, "power"),
            "max_power": positive(self.max_power, "max_power"),
            "n_neighbors": positive(self.n_neighbors, "n_neighbors"),
            "iterations": positive(self.iterations, "iterations"),
        }


class Coarsening(Compressor):
    """Multilevel graph coarsening (Loukas, JMLR 2019) and its relatives.

    method : str
        What is contracted, cheapest first: "variation_neighborhoods", "variation_edges" or
        "variation_cliques" (by local variation), "heavy_edge", "algebraic_jc", "affinity_gs"; or
        "kron", which eliminates nodes (Kron reduction), of at most 8,000 rows.
    n_eigenpairs : int
        Of the Laplacian, which the local variation methods keep.
    eigen_tolerance : float
        Residual allowed of an eigenpair, relative to its eigenvalue; never asked below 1e-5 of a
        bound on all eigenvalues, which is what the published code asks.
    max_levels : int
        Contractions, one after the other.
    n_neighbors : int
        Of the graph that is built where none is given.
    """

    _reads_graph = True

    def __init__(
        self,
        n_representatives: int = 500,
        *,
        method: str = "variation_neighborhoods",
        n_eigenpairs: int = 10,
        eigen_tolerance: float = 1e-3,
        max_levels: int = 200,
        n_neighbors: int = 15,
        random_state: Any = 0,
        num_threads: int | None = None,
        verbose: Verbose = False,
    ) -> None:
        self.n_representatives = n_representatives
        self.method = method
        self.n_eigenpairs = n_eigenpairs
        self.eigen_tolerance = eigen_tolerance
        self.max_levels = max_levels
        self.n_neighbors = n_neighbors
        self.random_state = random_state
        self.num_threads = num_threads
        self.verbose = verbose

    def _options(self) -> dict[str, Any]:
        return {
            "method": str(self.method),
            "n_eigenpairs": positive(self.n_eigenpairs, "n_eigenpairs"),
            "eigen_tolerance": float(self.eigen_tolerance),
            "max_levels": positive(self.max_levels, "max_levels"),
            "n_neighbors": positive(self.n_neighbors, "n_neighbors"),
        }


class Grain(Compressor):
    """Greedy choice of rows that are influential and diverse in a graph (Grain; Zhang et al., VLDB
    2021). The representatives are rows of X.

    diversity : {"ball", "nearest"}
        What a choice gains. "ball", the paper's ball-D: rows within the radius of those it
        influences, that is within two hops. "nearest", its NN-D: rows it influences, and how much
        nearer all rows get to an influenced one; both as shares.
    radius : float
        Of a ball around a row of smoothed features, as a share of the distances between rows.
    max_witnesses : int, optional
        Gains are counted on all rows up to so many, exactly, and else on a random sample of so
        many; None: 16,384 for balls, 1,024 for distances.
    n_neighbors : int
        Of the graph that is built where none is given.
    """

    _reads_graph = True

    def __init__(
        self,
        n_representatives: int = 500,
        *,
        diversity: str = "ball",
        radius: float = 0.05,
        max_witnesses: int | None = None,
        n_neighbors: int = 15,
        random_state: Any = 0,
        num_threads: int | None = None,
        verbose: Verbose = False,
    ) -> None:
        self.n_representatives = n_representatives
        self.diversity = diversity
        self.radius = radius
        self.max_witnesses = max_witnesses
        self.n_neighbors = n_neighbors
        self.random_state = random_state
        self.num_threads = num_threads
        self.verbose = verbose

    def _options(self) -> dict[str, Any]:
        witnesses = self.max_witnesses
        return {
            "method": "grain",
            "diversity": str(self.diversity),
            "radius": float(self.radius),
            "max_witnesses": 0 if witnesses is None else positive(witnesses, "max_witnesses"),
            "n_neighbors": positive(self.n_neighbors, "n_neighbors"),
        }


class _Baseline(Compressor):
    """A compressor without options of its own."""

    _method: str

    def __init__(
        self,
        n_representatives: int = 500,
        *,
        random_state: Any = 0,
        num_threads: int | None = None,
        verbose: Verbose = False,
    ) -> None:
        self.n_representatives = n_representatives
        self.random_state = random_state
        self.num_threads = num_threads
        self.verbose = verbose

    def _options(self) -> dict[str, Any]:
        return {"method": self._method}


class Random(_Baseline):
    """Rows drawn at random; the others go to the nearest."""

    _method = "random"


class StratifiedRandom(_Balanced):
    """Random rows of each class of y, or of each part of a real-valued y.

    allocation, n_quantiles
        As for `BalancedKMeans`.
    """

    def __init__(
        self,
        n_representatives: int = 500,
        *,
        allocation: Allocation = "equal",
        n_quantiles: int = 5,
        random_state: Any = 0,
        num_threads: int | None = None,
        verbose: Verbose = False,
    ) -> None:
        self.n_representatives = n_representatives
        self.allocation = allocation
        self.n_quantiles = n_quantiles
        self.random_state = random_state
        self.num_threads = num_threads
        self.verbose = verbose

    def _options(self) -> dict[str, Any]:
        return {"method": "stratified_random"}


class KCenter(_Baseline):
    """Farthest first (Gonzalez 1985): each next row is the one farthest from those chosen."""

    _method = "k_center"


class Medoids(_Baseline):
    """k-means, and of each cluster the row nearest its centroid: a case one can show."""

    _method = "medoids"
