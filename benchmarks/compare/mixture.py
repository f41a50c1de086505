"""Data for the compressors: an unfriendly mixture, and random regular graphs."""

from __future__ import annotations

import numpy as np
import scipy.sparse
from numpy.typing import NDArray


def mixture(n: int, h: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(X [n, h], y [n]): overlapping clusters of unequal size and shape in heavy-tailed noise.

    Well-separated blobs would flatter every method that is tried on them. Here 300 centres lie
    about as far apart as their clusters are wide, weights fall as 1 / rank, each cluster has widths
    of its own in each direction, a tenth of the rows are Student noise with 3 degrees of freedom
    around no centre, and y, a fifth of it 1, follows a few clusters and otherwise chance.
    """
    rng = np.random.default_rng(seed)
    n_clusters = 300
    centres = rng.normal(size=(n_clusters, h)).astype(np.float32)
    widths = rng.lognormal(-0.2, 0.5, size=(n_clusters, h)).astype(np.float32)
    weights = 1 / np.arange(1, n_clusters + 1)
    cluster = rng.choice(n_clusters, n, p=weights / weights.sum())
    x = rng.standard_normal((n, h), dtype=np.float32)
    x *= widths[cluster]
    x += centres[cluster]
    stray = np.flatnonzero(rng.random(n) < 0.1)
    x[stray] = rng.standard_t(3, size=(len(stray), h))
    rate = np.where(rng.random(n_clusters) < 0.15, 0.8, 0.1)
    y = (rng.random(n) < rate[cluster]).astype(np.int64)
    return x, y


def regular_graph(n: int, degree: int, seed: int) -> scipy.sparse.csr_matrix:
    """degree / 2 random cycles through all n nodes, less the few edges that repeat; weights 1."""
    rng = np.random.default_rng(seed)
    heads, tails = [], []
    for _ in range(degree // 2):
        order = rng.permutation(n)
        heads.append(order)
        tails.append(np.roll(order, -1))
    rows, columns = np.concatenate(heads), np.concatenate(tails)
    ones = np.ones(len(rows), np.float32)
    half = scipy.sparse.coo_matrix((ones, (rows, columns)), shape=(n, n)).tocsr()
    graph = half + half.T
    graph.data[:] = 1
    graph.sort_indices()
    return graph


def starting_rows(x: NDArray[np.float32], k: int, seed: int) -> NDArray[np.float32]:
    """k rows of x drawn at random, for both sides of a comparison to start from."""
    rows = np.random.default_rng(seed).choice(len(x), k, replace=False)
    return np.ascontiguousarray(x[np.sort(rows)])
