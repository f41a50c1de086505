"""ecseq.compress and ecseq.graph."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.neighbors import NearestNeighbors

from ecseq import _core, compress, graph

COMPRESSORS = [
    compress.KMeans(20),
    compress.KMeans(20, init="kmeans++", spherical=True),
    compress.BalancedKMeans(20),
    compress.AGC(20, power=3),
    compress.Grain(20),
    compress.Grain(20, diversity="nearest"),
    compress.Coarsening(20),
    compress.Coarsening(20, method="variation_edges"),
    compress.Coarsening(20, method="heavy_edge"),
    compress.Coarsening(20, method="algebraic_jc"),
    compress.Coarsening(20, method="kron"),
    compress.Random(20),
    compress.StratifiedRandom(20),
    compress.KCenter(20),
    compress.Medoids(20),
]


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(10, 6)) * 6
    group = rng.integers(0, 10, 600)
    return (centres[group] + rng.normal(size=(600, 6))).astype(np.float32), (group > 7).astype(int)


@pytest.mark.parametrize("compressor", COMPRESSORS, ids=lambda c: repr(c)[:60])
def test_every_compressor_keeps_the_contract(blobs, compressor):
    X, y = blobs
    fitted = clone(compressor).fit(X, y)
    found = fitted.representatives_
    k = len(found)
    assert 1 <= k <= 20 or fitted.report_["note"]
    assert fitted.report_["requested"] == 20
    assert found.mass.sum() == len(X)
    assert (found.mass > 0).all()
    assert fitted.assignment_.shape == (600,)
    np.testing.assert_array_equal(np.bincount(fitted.assignment_, minlength=k), found.mass)
    for j in range(k):
        np.testing.assert_allclose(found.label_mix[j, 1], y[fitted.assignment_ == j].mean())
    np.testing.assert_allclose(found.label_mix.sum(axis=1), 1)
    again = clone(compressor).set_params(num_threads=1).fit(X, y)
    np.testing.assert_array_equal(again.assignment_, fitted.assignment_)
    np.testing.assert_array_equal(again.representatives_.vectors, found.vectors)
    distances = ((X[:50, None] - found.vectors[None]) ** 2).sum(axis=2)
    picked = fitted.transform(X[:50])
    np.testing.assert_allclose(
        distances[np.arange(50), picked], distances.min(axis=1), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("compressor", [compress.KMeans(), compress.Coarsening(), compress.AGC()])
def test_one_and_all(blobs, compressor):
    X = blobs[0][:40]
    one = clone(compressor).set_params(n_representatives=1).fit(X)
    np.testing.assert_allclose(one.representatives_.mass, [40])
    for wrong in (0, 41):
        with pytest.raises(ValueError, match="n_representatives"):
            clone(compressor).set_params(n_representatives=wrong).fit(X)


def test_a_given_graph_is_left_as_it_is(blobs):
    X, _ = blobs
    edges = graph.knn_graph(X, 8)
    # Every edge twice with half its weight, zeros between them, in no order.
    rows, columns = edges.nonzero()
    weights = np.asarray(edges[rows, columns]).ravel()
    order = np.random.default_rng(3).permutation(3 * len(rows))
    data = np.concatenate([weights / 2, weights / 2, np.zeros_like(weights)])[order]
    rows, columns = (np.tile(part, 3)[order] for part in (rows, columns))
    by_row = np.argsort(rows, kind="stable")
    offsets = np.searchsorted(rows[by_row], np.arange(601))
    messy = scipy.sparse.csr_matrix((data[by_row], columns[by_row], offsets), shape=(600, 600))
    for given in (edges, messy):
        before = [part.copy() for part in (given.data, given.indices, given.indptr)]
        fitted = compress.Coarsening(30, method="heavy_edge").fit(X, graph=given)
        for part, kept in zip((given.data, given.indices, given.indptr), before, strict=True):
            np.testing.assert_array_equal(part, kept)
        if given is edges:
            expected = fitted.assignment_
    np.testing.assert_array_equal(fitted.assignment_, expected)


def test_a_given_graph_is_used(blobs):
    X, _ = blobs
    edges = graph.knn_graph(X, 8)
    given = compress.Coarsening(30, method="heavy_edge").fit(X, graph=edges)
    shuffled = edges[np.random.default_rng(1).permutation(600)]
    with pytest.raises(ValueError, match=r"differs from the one back|edge to itself"):
        compress.Coarsening(30).fit(X, graph=shuffled)
    lower = scipy.sparse.tril(edges)
    for compressor in (compress.Coarsening, compress.AGC, compress.Grain, compress.KMeans):
        with pytest.raises(ValueError, match="symmetrise=True takes the larger"):
            compressor(30).fit(X, graph=lower)
    both = compress.Coarsening(30, method="heavy_edge").fit(X, graph=lower, symmetrise=True)
    np.testing.assert_array_equal(both.assignment_, given.assignment_)
    other = graph.knn_graph(np.random.default_rng(2).normal(size=(600, 2)), 8)
    different = compress.Coarsening(30, method="heavy_edge").fit(X, graph=other)
    assert (given.assignment_ != different.assignment_).any()
    with pytest.raises(ValueError, match="expected shape"):
        compress.Coarsening(30).fit(X, graph=edges[:10, :10])
    negative = edges.copy()
    negative.data = -negative.data
    with pytest.raises(ValueError, match="negative weight"):
        compress.Coarsening(30).fit(X, graph=negative)
    with pytest.raises(TypeError, match="sparse"):
        compress.Coarsening(30).fit(X, graph=np.eye(600))


def test_names_are_those_of_the_core():
    methods = {c._options()["method"] for c in COMPRESSORS}
    assert methods <= set(_core.compressor_names())
    with pytest.raises(ValueError, match="'magic' is not one of"):
        compress.Coarsening(3, method="magic").fit(np.eye(4))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_knn_graph_is_the_brute_force_one(blobs, metric):
    X, _ = blobs
    found = graph.knn_graph(X, 5, metric=metric, weight="one")
    nearest = NearestNeighbors(n_neighbors=5, metric=metric, algorithm="brute").fit(X)
    expected = nearest.kneighbors_graph()
    expected = expected.maximum(expected.T)
    assert abs(found - expected).sum() <= 4  # ties and rounding
    assert scipy.sparse.issparse(found)
    assert abs(found - found.T).nnz == 0
    assert found.diagonal().sum() == 0


@pytest.mark.parametrize("approximate", ["cells", "hnsw"])
def test_an_approximate_knn_graph_says_what_it_found(blobs, approximate):
    X, _ = blobs
    exact, recall = graph.knn_graph(X, 5, weight="one", return_recall=True)
    assert recall == 1
    found, recall = graph.knn_graph(
        X, 5, weight="one", approximate=approximate, recall=0.9, return_recall=True
    )
    assert 0.9 <= recall <= 1
    shared = exact.multiply(found).nnz / exact.nnz
    assert shared == pytest.approx(recall, abs=0.05)
    with pytest.raises(ValueError, match="is not one of"):
        graph.knn_graph(X, 5, approximate="magic")


def test_epsilon_and_correlation_graphs(blobs):
    X, _ = blobs
    found = graph.epsilon_graph(X, 2.0)
    distance = np.sqrt(((X[:, None].astype(float) - X[None]) ** 2).sum(axis=2))
    expected = (distance <= 2.0) & ~np.eye(len(X), dtype=bool)
    assert abs(found.toarray() - expected).sum() == 0
    with pytest.raises(ValueError, match="edges"):
        graph.epsilon_graph(X, 100.0, max_edges=10)
    series = X.T
    correlations = np.corrcoef(series)
    found = graph.correlation_graph(series, 0.1).toarray()
    keep = (correlations >= 0.1) & ~np.eye(len(series), dtype=bool)
    np.testing.assert_allclose(found, np.where(keep, correlations, 0), atol=1e-5)


def test_bad_input_is_refused(blobs):
    X = blobs[0].copy()
    X[3, 2] = np.nan
    with pytest.raises(ValueError, match="row 3"):
        compress.KMeans(5).fit(X)
    with pytest.raises(ValueError, match="expected 600 labels"):
        compress.KMeans(5).fit(blobs[0], [1, 2])
    fitted = compress.KMeans(5).fit(blobs[0])
    with pytest.raises(ValueError, match="expected 6 columns"):
        fitted.transform(blobs[0][:, :3])


def test_balanced_allocations(blobs):
    X, y = blobs

    def per_class(allocation, compressor=compress.BalancedKMeans, K=30):
        fitted = compressor(K, allocation=allocation).fit(X, y)
        return np.bincount(y[fitted.representatives_.medoids], minlength=2)

    for kind in (compress.BalancedKMeans, compress.StratifiedRandom):
        np.testing.assert_array_equal(per_class("equal", kind), [15, 15])
        np.testing.assert_array_equal(per_class({0: 7, 1: 4}, kind), [7, 4])
        np.testing.assert_array_equal(per_class([7, 4], kind), [7, 4])
        np.testing.assert_array_equal(per_class({0: 0.9, 1: 0.1}, kind), [27, 3])
        share = np.bincount(y) / len(y)
        np.testing.assert_allclose(per_class("proportional", kind), share * 30, atol=1)
    np.testing.assert_array_equal(per_class([0.999, 0.001], K=10), [9, 1])
    for allocation, message in [
        ({0: 3}, "an entry for each class"),
        ({0: 0, 1: 3}, r"allocation\[0\]: expected at least 1"),
        ([0.5, 0.6], "sum to 1"),
        ([1, 2, 3], "expected 2 entries"),
        ("fair", "'equal', 'proportional'"),
    ]:
        with pytest.raises(ValueError, match=message):
            per_class(allocation)


def test_balanced_parts_of_real_values(blobs):
    X, _ = blobs
    y = np.random.default_rng(3).lognormal(size=len(X))
    rank = y.argsort().argsort()
    for allocation, part in [(None, rank // 120), ([10, 5, 1], rank // 200)]:
        fitted = compress.BalancedKMeans(20, allocation=allocation).fit(X, y)
        # No representative has members of two parts.
        pairs = np.unique(np.stack([fitted.assignment_, part], axis=1), axis=0)
        counts = np.bincount(pairs[:, 1])
        np.testing.assert_array_equal(counts, allocation or [4] * 5)
    counts = np.random.default_rng(4).poisson(500, len(X))  # whole numbers, and no classes
    assert compress.BalancedKMeans(20).fit(X, counts).representatives_.label_mix.shape == (20,)
    with pytest.raises(ValueError, match="dict is by class"):
        compress.BalancedKMeans(20, allocation={0: 3}).fit(X, y)


def test_far_from_the_origin(blobs):
    """Distances from products lose their digits there unless rows are shifted first."""
    X, _ = blobs
    near = compress.KMeans(10, init="kmeans++").fit(X)
    far = compress.KMeans(10, init="kmeans++").fit(X + 20_000)
    assert far.report_["objective"] == pytest.approx(near.report_["objective"], rel=0.05)
    np.testing.assert_array_equal(far.transform(X + 20_000), far.assignment_)


def test_too_large_for_kron():
    X = np.random.default_rng(0).normal(size=(20_000, 2)).astype(np.float32)
    with pytest.raises(ValueError, match=r"'kron' makes dense graphs.*use 'variation_edges'"):
        compress.Coarsening(100, method="kron").fit(X)


def test_grain_says_why_it_stops():
    X = np.zeros((50, 2), np.float32)
    X[::2] = 1
    fitted = compress.Grain(2, n_neighbors=30).fit(X)
    assert len(fitted.representatives_) == 1
    assert "all are covered" in fitted.report_["note"]
