"""Representatives that follow new rows."""

import copy
import pickle

import numpy as np
import pytest

from ecseq import ECSeqClassifier, compress


def blobs(rng, centres, n):
    group = rng.integers(0, len(centres), n)
    return (centres[group] + rng.normal(size=(n, centres.shape[1]))).astype(np.float32), group


@pytest.fixture
def centres():
    return np.random.default_rng(1).normal(size=(6, 4)) * 12


def test_partial_fit_keeps_the_means_of_all_rows(centres):
    rng = np.random.default_rng(0)
    first, _ = blobs(rng, centres, 300)
    means = compress.KMeans(6, init="kmeans++").partial_fit(first)
    sums = means.representatives_.vectors.astype(float) * means.representatives_.mass[:, None]
    mass = means.representatives_.mass.copy()
    for _ in range(5):
        X, _ = blobs(rng, centres, 200)
        expected = means.transform(X)
        assert means.partial_fit(X) is means
        np.testing.assert_array_equal(means.assignment_, expected)
        np.add.at(sums, expected, X.astype(float))
        mass += np.bincount(expected, minlength=6)
        np.testing.assert_array_equal(means.representatives_.mass, mass)
        np.testing.assert_allclose(
            means.representatives_.vectors, sums / mass[:, None], rtol=1e-5, atol=1e-6
        )
    assert means.report_["points_used"] == 1300


def test_partial_fit_counts_labels():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)).astype(np.float32)
    y = np.array(["a", "b", "c"])[rng.integers(0, 3, 200)]
    model = compress.KMeans(4).partial_fit(X[:100], y[:100])
    first = model.assignment_.copy()
    model.partial_fit(X[100:], y[100:])
    for j in range(4):
        members = np.concatenate([y[:100][first == j], y[100:][model.assignment_ == j]])
        expected = [(members == c).mean() for c in "abc"]
        np.testing.assert_allclose(model.representatives_.label_mix[j], expected)
    with pytest.raises(ValueError, match="expected labels"):
        model.partial_fit(X)
    with pytest.raises(ValueError, match="'d' at row 0 is not one of the classes"):
        model.partial_fit(X[:1], ["d"])
    one_class = compress.KMeans(4).partial_fit(X, np.full(200, "a"), classes=["a", "b"])
    np.testing.assert_array_equal(one_class.classes_, ["a", "b"])
    one_class.partial_fit(X, np.full(200, "b"))
    with pytest.raises(ValueError, match="spherical"):
        compress.KMeans(4, spherical=True).partial_fit(X)


def test_no_drift_is_reported_where_nothing_drifts(centres):
    rng = np.random.default_rng(0)
    X, group = blobs(rng, centres, 5000)
    found = compress.KMeans(60).fit(X, group % 2).representatives_
    X, group = blobs(rng, centres, 5000)
    drift = found.update(X, group % 2)
    assert drift.rows == 5000
    assert drift.beyond_radius < 0.05
    assert drift.mass_shift < 0.2
    assert drift.label_shift < 0.03
    assert drift.added == drift.retired == 0
    assert len(drift.assignment) == 5000


def test_a_new_group_becomes_a_representative(centres):
    rng = np.random.default_rng(0)
    X, group = blobs(rng, centres, 2000)
    found = compress.KMeans(6, init="kmeans++").fit(X, group % 2).representatives_
    new = (rng.normal(size=(150, 4)) + 80).astype(np.float32)
    far = np.array([[-300, 0, 0, 0], [0, 500, 0, 0]], np.float32)  # too few to matter
    batch = np.concatenate([X[:50], new])
    drift = found.update(batch, np.r_[group[:50] % 2, np.arange(150) % 2])
    assert drift.added >= 1
    assert drift.beyond_radius == pytest.approx(0.75, abs=0.05)
    assert drift.label_shift > 0.1
    assert (drift.assignment[50:] >= 6).all()
    assert (drift.assignment[:50] < 6).all()
    assert found.mass.sum() == 2200
    np.testing.assert_allclose(
        np.average(found.vectors[6:], axis=0, weights=found.mass[6:]), new.mean(axis=0), rtol=1e-4
    )
    assert (found.medoids[6:] == -1).all()
    assert np.average(found.label_mix[6:, 1], weights=found.mass[6:]) == pytest.approx(0.5)
    size = len(found)
    drift = found.update(far, [0, 1])
    assert (drift.added, len(found)) == (0, size)
    assert drift.beyond_radius == 1


def test_what_nothing_is_left_of_is_retired(centres):
    rng = np.random.default_rng(0)
    X, _ = blobs(rng, centres, 1200)
    compressor = compress.KMeans(6, init="kmeans++").fit(X)
    found = compressor.representatives_
    only = (centres[:2][rng.integers(0, 2, 300)] + rng.normal(size=(300, 4))).astype(np.float32)
    retired = 0
    for _ in range(12):
        drift = found.update(only, keep=0.5)
        retired += drift.retired
        kept = drift.renumbered >= 0
        np.testing.assert_array_equal(np.sort(drift.renumbered[kept]), np.arange(kept.sum()))
        assert drift.assignment.max() < len(found)
    assert retired == 4
    assert len(found) == 2
    assert found.mass.sum() == pytest.approx(600, rel=0.02)
    assert compressor.transform(only).max() == 1


def test_refusals_change_nothing(centres):
    rng = np.random.default_rng(0)
    X, _ = blobs(rng, centres, 100)
    found = compress.KMeans(5).fit(X).representatives_
    before = copy.deepcopy(found)
    bad = X.copy()
    bad[3, 1] = np.inf
    for arguments, message in [
        ({"X": bad}, "row 3"),
        ({"X": X[:, :2]}, "X"),
        ({"X": X, "y": np.zeros(100)}, "made without labels"),
        ({"X": X, "keep": 0.0}, "keep"),
        ({"X": X, "reach": -1.0}, "reach"),
        ({"X": X, "min_mass": 0}, "min_mass"),
        ({"X": X, "retire_below": 2.0}, "retire_below"),
    ]:
        with pytest.raises(ValueError, match=message):
            found.update(**arguments)
    np.testing.assert_array_equal(found.vectors, before.vectors)
    np.testing.assert_array_equal(found.mass, before.mass)
    model = ECSeqClassifier(max_epochs=1, controls=False).fit(X, rng.integers(0, 2, 100))
    with pytest.raises(ValueError, match="belong to a fitted estimator"):
        model.representatives_.update(X)


def test_an_update_goes_on_after_a_pickle(centres):
    rng = np.random.default_rng(0)
    X, _ = blobs(rng, centres, 400)
    found = compress.KMeans(8).fit(X[:200]).representatives_
    found.update(X[200:300])
    other = pickle.loads(pickle.dumps(found))
    found.update(X[300:])
    other.update(X[300:], num_threads=1)
    np.testing.assert_array_equal(found.vectors, other.vectors)
    np.testing.assert_array_equal(found.spread, other.spread)


def test_means_of_many_rows_far_from_the_origin():
    means = compress.KMeans(1).fit(np.full((2, 1), 1000.0))
    for _ in range(4):
        means.partial_fit(np.full((50_000, 1), 1000.5))
    assert means.representatives_.vectors[0, 0] == pytest.approx(1000.5, abs=1e-4)
