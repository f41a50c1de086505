"""ecseq.graph's Laplacian, eigenpairs and components against SciPy and NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.csgraph

from ecseq.graph import connected_components, eigenpairs, laplacian


def random_graph(n: int, density: float, seed: int) -> Any:
    upper = scipy.sparse.random(n, n, density=density, random_state=seed, dtype=np.float32)
    upper = scipy.sparse.triu(upper, 1)
    return (upper + upper.T).tocsr()


@pytest.mark.parametrize("normalized", [False, True])
def test_laplacian_is_scipys(normalized: bool) -> None:
    graph = random_graph(50, 0.1, 1)
    found = laplacian(graph, normalized)
    assert scipy.sparse.issparse(found)
    assert found.shape == (50, 50)
    expected = scipy.sparse.csgraph.laplacian(graph.astype(np.float64), normed=normalized)
    np.testing.assert_allclose(found.toarray(), expected.toarray(), atol=1e-12)


@pytest.mark.parametrize("solver", ["chebyshev", "spectra"])
@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("n", [60, 400])
def test_eigenpairs_are_numpys(solver: str, normalized: bool, n: int) -> None:
    graph = random_graph(n, 8 / n, 2)
    values, vectors = eigenpairs(graph, 12, normalized=normalized, solver=solver, tolerance=1e-8)
    assert values.shape == (12,)
    assert vectors.shape == (n, 12)
    matrix = laplacian(graph, normalized)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix.toarray())[:12], atol=1e-9)
    np.testing.assert_allclose(matrix @ vectors, vectors * values, atol=1e-6)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(12), atol=1e-9)


def test_eigenpairs_are_at_most_the_nodes() -> None:
    values, vectors = eigenpairs(random_graph(5, 0.9, 3), 10)
    assert values.shape == (5,)
    assert vectors.shape == (5, 5)


def test_eigenpairs_say_when_they_did_not_converge() -> None:
    with pytest.warns(RuntimeWarning, match="residual .* after 1 iterations, not 1.0e-12"):
        eigenpairs(random_graph(400, 0.05, 4), 5, tolerance=1e-12, max_iterations=1)


def test_components_are_scipys_in_order() -> None:
    graph = random_graph(200, 0.006, 5)
    found = connected_components(graph)
    n_components, expected = scipy.sparse.csgraph.connected_components(graph, directed=False)
    assert found.dtype == np.int64
    assert found.max() + 1 == n_components > 1
    _, first, inverse = np.unique(expected, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(found, np.argsort(np.argsort(first))[inverse])


def test_a_directed_graph_is_refused_or_made_symmetric() -> None:
    directed = scipy.sparse.csr_matrix(np.array([[0, 2, 0], [1, 0, 0], [0, 0, 0]], np.float32))
    for function in (laplacian, eigenpairs, connected_components):
        with pytest.raises(ValueError, match="symmetrise=True takes the larger"):
            function(directed)
        function(directed, symmetrise=True)
    assert laplacian(directed, symmetrise=True)[0, 1] == -2
    np.testing.assert_array_equal(connected_components(directed, symmetrise=True), [0, 0, 1])


def test_what_is_no_graph_is_refused() -> None:
    with pytest.raises(TypeError, match="expected a SciPy sparse matrix"):
        laplacian(np.eye(3))
    with pytest.raises(ValueError, match=r"as many rows as columns, got shape \(2, 3\)"):
        laplacian(scipy.sparse.csr_matrix((2, 3)))
    with pytest.raises(ValueError, match="solver: 'arpack' is not one of"):
        eigenpairs(random_graph(20, 0.3, 6), 2, solver="arpack")
    with pytest.raises(ValueError, match="tolerance"):
        eigenpairs(random_graph(20, 0.3, 6), 2, tolerance=0.0)
