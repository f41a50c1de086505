"""Graphs of like rows, as SciPy sparse matrices: symmetric, positive weights, no self-loops."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from ecseq import _core
from ecseq._inputs import finite_matrix, positive, threads
from ecseq._progress import Verbose, as_progress, close_progress

CoreGraph = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]


def knn_graph(
    X: ArrayLike,
    n_neighbors: int = 15,
    *,
    metric: str = "euclidean",
    weight: str = "gaussian",
    approximate: bool | str | None = None,
    recall: float = 0.95,
    return_recall: bool = False,
    random_state: int = 0,
    num_threads: int | None = None,
    verbose: Verbose = False,
) -> Any:
    """An edge between rows i and j of X [n, h] where either is among the nearest of the other.

    Parameters
    ----------
    metric : {"euclidean", "cosine"}
    weight : {"gaussian", "similarity", "one"}
        Of an edge of length d: exp(-d^2 / (2 s^2)), s being the median distance of the farthest
        neighbour taken; 1 / (1 + d); or 1.
    approximate : {"cells", "hnsw"} or bool, optional
        Search not everywhere but in the cells of a coarse k-means, or in FAISS's HNSW, which is
        built on one thread. True: "cells"; None: "cells" for more than 200,000 rows.
    recall : float
        Share of the true neighbours that an approximate search has to find on a sample of rows.
    return_recall : bool
        Also return the share found: 1 if the search was exact.

    Returns
    -------
    scipy.sparse.csr_matrix [n, n], or (that, recall)
    """
    matrix = finite_matrix(X)
    options: dict[str, Any] = {
        "metric": metric,
        "weight": weight,
        "seed": int(random_state),
        "num_threads": threads(num_threads),
        "recall": float(recall),
    }
    if approximate is not None:
        options["approximate_above"] = 0 if approximate else 2**62
    if isinstance(approximate, str):
        options["index"] = approximate
    progress = as_progress(verbose)
    try:
        graph, found = _core.knn_graph(
            matrix, positive(n_neighbors, "n_neighbors"), options, progress
        )
    finally:
        close_progress(progress)
    return (to_scipy(graph), found) if return_recall else to_scipy(graph)


def epsilon_graph(
    X: ArrayLike,
    radius: float,
    *,
    metric: str = "euclidean",
    max_edges: int = 50_000_000,
    num_threads: int | None = None,
    verbose: Verbose = False,
) -> Any:
    """An edge of weight 1 between any two rows of X [n, h] at most ``radius`` apart, exactly.

    metric : {"euclidean", "cosine"}, the latter being 1 - cosine. Raises ``ValueError`` where there
    are more than ``max_edges``. Returns a scipy.sparse.csr_matrix [n, n].
    """
    options = {
        "metric": metric,
        "max_edges": positive(max_edges, "max_edges"),
        "num_threads": threads(num_threads),
    }
    progress = as_progress(verbose)
    try:
        return to_scipy(_core.epsilon_graph(finite_matrix(X), float(radius), options, progress))
    finally:
        close_progress(progress)


def correlation_graph(
    series: ArrayLike,
    threshold: float,
    *,
    max_edges: int = 50_000_000,
    num_threads: int | None = None,
    verbose: Verbose = False,
) -> Any:
    """An edge between any two rows of ``series`` [n, T] whose Pearson correlation is at least
    ``threshold``, which is its weight; a series that does not vary has none.

    Returns a scipy.sparse.csr_matrix [n, n].
    """
    options = {
        "max_edges": positive(max_edges, "max_edges"),
        "num_threads": threads(num_threads),
    }
    progress = as_progress(verbose)
    try:
        found = _core.correlation_graph(finite_matrix(series), float(threshold), options, progress)
    finally:
        close_progress(progress)
    return to_scipy(found)


def laplacian(graph: Any, normalized: bool = False, *, symmetrise: bool = False) -> Any:
    """The Laplacian D - W of a graph, or I - D^-1/2 W D^-1/2, D holding the sums of W's rows; the
    row of a node without edges is zero.

    Parameters
    ----------
    graph : SciPy sparse matrix [n, n]
        Weights: symmetric, none negative, no edge to itself; else ``ValueError``.
    symmetrise : bool
        Take the larger of both directions of an edge instead of refusing.

    Returns
    -------
    scipy.sparse.csr_matrix [n, n], float64
    """
    edges = _square(graph, symmetrise)
    n = len(edges[0]) - 1
    return scipy.sparse.csr_matrix(_core.laplacian(edges, bool(normalized)), shape=(n, n))


def eigenpairs(
    graph: Any,
    n: int = 10,
    *,
    normalized: bool = False,
    symmetrise: bool = False,
    tolerance: float = 1e-6,
    max_iterations: int = 200,
    solver: str = "chebyshev",
    random_state: int = 0,
    num_threads: int | None = None,
    verbose: Verbose = False,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ``n`` smallest eigenvalues of ``laplacian(graph, normalized)`` and their vectors.

    The zeros, one per connected component, are known and cost nothing. Fewer than ``n`` come back
    where the graph has fewer nodes.

    Parameters
    ----------
    graph, symmetrise
        As for ``laplacian``.
    tolerance : float
        Allowed norm of L u - lambda u, relative to lambda.
    max_iterations : int
        Where they do not suffice, ``RuntimeWarning`` says what was reached.
    solver : {"chebyshev", "spectra"}
        Subspace iteration, started from contracted graphs, or Lanczos by the Spectra library, which
        can be faster at tight tolerances on graphs that do not contract.

    Returns
    -------
    values [n], increasing; vectors [nodes, n], orthonormal columns
    """
    if not 0 < tolerance < np.inf:
        raise ValueError(f"tolerance: expected a positive number, got {tolerance}")
    edges = _square(graph, symmetrise)
    options = {
        "count": positive(n, "n"),
        "tolerance": float(tolerance),
        "max_iterations": positive(max_iterations, "max_iterations"),
        "solver": str(solver),
        "seed": int(random_state),
        "num_threads": threads(num_threads),
    }
    progress = as_progress(verbose)
    try:
        values, vectors, report = _core.eigenpairs(edges, bool(normalized), options, progress)
    finally:
        close_progress(progress)
    if not report["converged"]:
        warnings.warn(
            f"eigenpairs: residual {report['residual']:.1e} after {report['iterations']} "
            f"iterations, not {tolerance:.1e}; raise max_iterations or tolerance",
            RuntimeWarning,
            stacklevel=2,
        )
    return values, vectors


def connected_components(graph: Any, *, symmetrise: bool = False) -> NDArray[np.int64]:
    """The component of each node [n], numbered 0, 1, ... in the order of their lowest nodes.

    graph, symmetrise : as for ``laplacian``.
    """
    components: NDArray[np.int64] = _core.connected_components(_square(graph, symmetrise))
    return components


def _square(graph: Any, symmetrise: bool) -> CoreGraph:
    if scipy.sparse.issparse(graph) and graph.shape[0] != graph.shape[1]:
        raise ValueError(f"graph: expected as many rows as columns, got shape {graph.shape}")
    edges = from_scipy(graph, np.shape(graph)[0], symmetrise=symmetrise)
    require_symmetric(edges)
    return edges


def to_scipy(graph: CoreGraph) -> Any:
    offsets, neighbors, weights = graph
    n = len(offsets) - 1
    return scipy.sparse.csr_matrix((weights, neighbors, offsets), shape=(n, n))


def from_scipy(graph: Any, n: int, *, symmetrise: bool = False) -> CoreGraph:
    """The core's form of a sparse matrix [n, n], without self-loops and negative weights.
    symmetrise: take the larger of both directions. See `require_symmetric`."""
    if not scipy.sparse.issparse(graph):
        raise TypeError(f"graph: expected a SciPy sparse matrix, got {type(graph).__name__}")
    if graph.shape != (n, n):
        raise ValueError(f"graph: expected shape {(n, n)}, one row per row of X, got {graph.shape}")
    # Large graphs are not copied where they are in order as they come.
    csr = scipy.sparse.csr_matrix(graph, dtype=np.float32)
    if not csr.has_canonical_format or not csr.data.all():
        csr = csr.copy()
        csr.sum_duplicates()
        csr.eliminate_zeros()
    if not np.isfinite(csr.data).all():
        raise ValueError("graph: a weight is not finite")
    if (csr.data < 0).any():
        row = int(np.searchsorted(csr.indptr, np.argmax(csr.data < 0), side="right")) - 1
        raise ValueError(f"graph: row {row} holds a negative weight")
    loops = csr.diagonal()
    if loops.any():
        raise ValueError(
            f"graph: row {int(np.argmax(loops != 0))} has an edge to itself; setdiag(0) removes it"
        )
    if symmetrise:
        csr = csr.maximum(csr.T).tocsr()
    csr.sort_indices()
    return (
        np.ascontiguousarray(csr.indptr, dtype=np.int64),
        np.ascontiguousarray(csr.indices, dtype=np.int32),
        np.ascontiguousarray(csr.data, dtype=np.float32),
    )


def require_symmetric(edges: CoreGraph) -> None:
    """Raises a ValueError that names an edge which differs from the one back."""
    csr = to_scipy(edges)
    difference = abs(csr - csr.T).tocoo()
    if difference.nnz and difference.data.max() > 0:
        worst = int(np.argmax(difference.data))
        raise ValueError(
            f"graph: the edge from {difference.row[worst]} to {difference.col[worst]} differs from "
            "the one back; symmetrise=True takes the larger"
        )
