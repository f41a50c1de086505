"""compressor= as an object, a class or a function, ours or anyone's."""

import json

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import DBSCAN, Birch, MiniBatchKMeans
from sklearn.mixture import GaussianMixture

import ecseq
from ecseq import ECSeqClassifier, ECSeqRegressor, SimilarityRelation, compress


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(8, 5)) * 5
    group = rng.integers(0, 8, 500)
    X = (centres[group] + rng.normal(size=(500, 5))).astype(np.float32)
    return X, np.where(group % 2 == 0, "good", "bad")


def fitted(rows, compressor, **options):
    X, y = rows
    return ECSeqClassifier(compressor=compressor, max_epochs=3, controls=False, **options).fit(X, y)


@pytest.mark.parametrize(
    "compressor",
    [
        Birch(n_clusters=12),
        MiniBatchKMeans(12, n_init=1, random_state=0),
        GaussianMixture(12, random_state=0),
        compress.KMeans(12, init="kmeans++"),
        compress.BalancedKMeans(12, allocation={"bad": 8, "good": 4}),
        compress.Coarsening(12, method="heavy_edge"),
    ],
    ids=lambda c: type(c).__name__,
)
def test_an_object_finds_the_representatives(rows, compressor):
    model = fitted(rows, compressor)
    found = model.representatives_
    assert len(found) == 12
    assert found.mass.sum() == 400  # the rest validates
    assert not hasattr(compressor, "labels_")
    assert not hasattr(compressor, "assignment_")
    again = clone(model).fit(*rows)
    np.testing.assert_array_equal(again.representatives_.vectors, found.vectors)


def test_what_an_object_finds_is_what_the_model_uses(rows):
    seen = {}

    class Halves(BaseEstimator):
        def fit(self, X, y=None):
            seen["X"], seen["y"] = X, y
            self.labels_ = (X[:, 0] > 0).astype(int)
            return self

    X, y = rows
    model = ECSeqClassifier(compressor=Halves(), max_epochs=2, controls=False)
    model.fit(X[:300], y[:300], validation=(X[300:], y[300:]))
    np.testing.assert_array_equal(seen["y"], y[:300])
    np.testing.assert_allclose(seen["X"].mean(axis=0), 0, atol=1e-5)  # standardised
    np.testing.assert_allclose(seen["X"].std(axis=0), 1, atol=1e-3)
    half = seen["X"][:, 0] > 0
    np.testing.assert_allclose(
        model.representatives_.vectors,
        [X[:300][~half].mean(axis=0), X[:300][half].mean(axis=0)],
        rtol=1e-4,
        atol=1e-5,
    )
    np.testing.assert_allclose(
        model.representatives_.label_mix[:, 1],
        [(y[:300][~half] == "good").mean(), (y[:300][half] == "good").mean()],
    )


def test_a_class_is_told_how_many(rows):
    assert len(fitted(rows, Birch, n_representatives=9).representatives_) == 9
    assert len(fitted(rows, compress.KMeans, n_representatives=7).representatives_) == 7
    assert len(fitted(rows, MiniBatchKMeans).representatives_) == 20  # 400 / 20


def test_a_function_is_a_compressor(rows):
    def by_sign(X, y, n_representatives):
        assert n_representatives == 4
        assert set(y) == {"good", "bad"}
        return (X[:, 0] > 0) * 2 + (X[:, 1] > 0)

    assert len(fitted(rows, by_sign, n_representatives=4).representatives_) <= 4

    def first_rows(X, y, n_representatives):
        chosen = X[:n_representatives]
        return ((X[:, None] - chosen) ** 2).sum(axis=2).argmin(axis=1), chosen

    X, _ = rows
    model = fitted(rows, first_rows, n_representatives=6)
    for vector in model.representatives_.vectors:  # real rows, in the units of X
        assert (np.abs(X - vector).max(axis=1) < 1e-5).any()


def test_noise_goes_to_the_nearest(rows):
    def groups(X, y, n_representatives):
        labels = np.repeat([0, 1], [200, len(X) - 200])
        labels[::7] = -1
        return labels

    found = fitted(rows, groups).representatives_
    assert len(found) == 2
    assert found.mass.sum() == 400
    assert len(fitted(rows, DBSCAN(eps=0.6, min_samples=4)).representatives_) > 1


def test_real_values(rows):
    X, _ = rows
    target = X[:, 0] * 3 + 100
    seen = {}

    def thirds(X, y, n_representatives):
        seen["y"] = y
        return np.searchsorted(np.quantile(y, [1 / 3, 2 / 3]), y)

    model = ECSeqRegressor(compressor=thirds, max_epochs=2, controls=False).fit(X, target)
    assert seen["y"].mean() == pytest.approx(100, abs=5)
    assert (np.diff(model.representatives_.label_mix) > 0).all()


@pytest.mark.parametrize(
    ("compressor", "options", "message"),
    [
        (3, {}, "expected a name, an object or class"),
        (compress.KMeans(5), {"n_representatives": 9}, "has a number of its own"),
        (DBSCAN, {}, "none of the parameters n_representatives"),
        (lambda X, y, k: np.zeros(3, int), {}, "a cluster for each of the 400 rows"),
        (lambda X, y, k: X[:, 0], {}, "whole numbers"),
        (lambda X, y, k: np.full(len(X), -1), {}, "no row belongs to a cluster"),
        (lambda X, y, k: np.full(len(X), 10**9), {}, "numbered from 0"),
        (lambda X, y, k: (np.zeros(len(X), int), X[:, :2]), {}, "expected vectors of at least 1"),
        (lambda X, y, k: (np.zeros(len(X), int), X * np.nan), {}, "vectors: NaN at row 0"),
        (lambda X, y, k: (1, 2, 3), {}, "got 3 parts"),
        ("custom", {}, "needs the function it stands for"),
    ],
)
def test_what_does_not_fit_is_refused(rows, compressor, options, message):
    with pytest.raises(ValueError, match=message):
        fitted(rows, compressor, **options)


def test_what_a_compressor_raises_is_raised(rows):
    def broken(X, y, n_representatives):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        fitted(rows, broken)


def test_a_saved_model_keeps_our_compressors_and_no_others(rows, tmp_path):
    X, y = rows
    path = tmp_path / "m.ecseq"
    relation = SimilarityRelation(compressor=compress.BalancedKMeans(10, random_state=3))
    model = ECSeqClassifier(relations=[relation], max_epochs=2, controls=False).fit(X, y)
    model.save(path)
    loaded = ecseq.load(path)
    kept = loaded.relations[0].compressor
    assert isinstance(kept, compress.BalancedKMeans)
    assert (kept.n_representatives, kept.random_state) == (10, 3)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))

    model = fitted(rows, Birch(n_clusters=6))
    model.save(path)
    loaded = ecseq.load(path)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    with pytest.raises(ValueError, match="which a model file does not keep"):
        loaded.fit(X, y)


def test_parameters_of_a_compressor_can_be_searched():
    model = ECSeqClassifier(compressor=compress.KMeans(5))
    model.set_params(compressor__n_representatives=8)
    assert model.compressor.n_representatives == 8
    assert json.dumps(model.get_params(deep=False)["n_neighbors"])
