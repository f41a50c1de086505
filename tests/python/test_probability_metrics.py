"""Measures of probabilities, and precision among the first k, against hand and scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from ecseq import metrics


def calibrated(seed, n=200):
    rng = np.random.default_rng(seed)
    p = np.round(rng.random(n), int(rng.integers(1, 8)))  # with and without ties
    return (rng.random(n) < p).astype(int), p


SEEDS = range(8)


@pytest.mark.parametrize("seed", SEEDS)
def test_brier_score_is_scikit_learns(seed):
    y, p = calibrated(seed)
    assert metrics.brier_score(y, p) == pytest.approx(reference.brier_score_loss(y, p))
    # Brier's own sum over the classes is twice that of two classes.
    both = np.stack([1 - p, p], axis=1)
    assert metrics.brier_score(y, both) == pytest.approx(2 * metrics.brier_score(y, p))


def test_brier_score_of_named_classes_by_hand():
    p = [[0.5, 0.3, 0.2], [0.0, 1.0, 0.0]]
    expected = ((0.25 + 0.09 + 0.64) + 0.0) / 2
    assert metrics.brier_score(["c", "b"], p, ["a", "b", "c"]) == pytest.approx(expected)


@pytest.mark.parametrize(("bins", "strategy"), [("width", "uniform"), ("count", "quantile")])
@pytest.mark.parametrize("seed", SEEDS)
def test_reliability_curve_is_scikit_learns(seed, bins, strategy):
    y, p = calibrated(seed)
    share, probability = calibration_curve(y, p, n_bins=7, strategy=strategy)
    got = metrics.reliability_curve(y, p, n_bins=7, bins=bins)
    np.testing.assert_allclose(got.share, share)
    np.testing.assert_allclose(got.probability, probability)
    assert got.rows.sum() == len(y)


def test_bins_of_equal_count_hold_as_many_rows():
    rng = np.random.default_rng(0)
    p = rng.random(1000) ** 8
    y = (rng.random(1000) < p).astype(int)
    assert set(metrics.reliability_curve(y, p, bins="count").rows.tolist()) == {100}
    assert metrics.reliability_curve(y, p, bins="width").rows.max() > 500


def test_expected_calibration_error_by_hand():
    y, p = [0, 1, 1, 1, 0], [0.1, 0.3, 0.8, 0.9, 0.7]
    first, second = abs(1 / 2 - 0.2), abs(2 / 3 - 0.8)
    expected = 2 / 5 * first + 3 / 5 * second
    assert metrics.expected_calibration_error(y, p, n_bins=2) == pytest.approx(expected)
    # One bin: the distance of the means.
    one = metrics.expected_calibration_error(y, p, n_bins=1)
    assert one == pytest.approx(abs(np.mean(y) - np.mean(p)))


def test_expected_calibration_error_of_several_classes_looks_at_the_most_probable():
    p = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]]
    right = [1, 0, 1]
    expected = metrics.expected_calibration_error(right, [0.7, 0.8, 0.6], n_bins=5)
    got = metrics.expected_calibration_error([0, 0, 2], p, n_bins=5)
    assert got == pytest.approx(expected)


@pytest.mark.parametrize("bins", ["width", "count"])
@pytest.mark.parametrize("seed", SEEDS)
def test_calibration_error_is_small_where_probabilities_are_meant(seed, bins):
    rng = np.random.default_rng(seed)
    p = rng.random(20_000)
    y = (rng.random(20_000) < p).astype(int)
    assert metrics.expected_calibration_error(y, p, bins=bins) < 0.02
    assert metrics.expected_calibration_error(y, p**3, bins=bins) > 0.15
    assert 0.0 <= metrics.expected_calibration_error(y, 1 - p, bins=bins) <= 1.0


def test_a_constant_probability_is_one_bin():
    for bins in ("width", "count"):
        curve = metrics.reliability_curve([0, 0, 0, 1], [0.3] * 4, bins=bins)
        assert [c.tolist() for c in curve] == [[pytest.approx(0.3)], [0.25], [4]]
        got = metrics.expected_calibration_error([0, 0, 0, 1], [0.3] * 4, bins=bins)
        assert got == pytest.approx(0.05)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("k", [1, 7, 50, 200])
def test_precision_at_k_is_the_mean_over_orders_of_ties(seed, k):
    y, p = calibrated(seed)
    score = np.round(p, 1)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(400):
        order = np.lexsort((rng.random(len(y)), -score))
        found.append(y[order[:k]].mean())
    got = metrics.precision_at_k(y, score, k)
    assert got == pytest.approx(np.mean(found), abs=5 * np.std(found) / 20 + 1e-9)


def test_precision_at_k_by_hand():
    y, score = [1, 0, 1, 0, 1], [5, 4, 3, 3, 1]
    assert metrics.precision_at_k(y, score, 1) == 1.0
    assert metrics.precision_at_k(y, score, 2) == 0.5
    assert metrics.precision_at_k(y, score, 3) == pytest.approx(1.5 / 3)  # one of two tied
    assert metrics.precision_at_k(y, score, 5) == pytest.approx(3 / 5)
    assert metrics.precision_at_k([0, 0], [1.0, 2.0], 1) == 0.0


def test_smape_reads_counts_below_the_floor_as_the_floor():
    y, prediction = np.array([0.0, 0.2, 4.0]), np.array([0.5, 3.0, 2.0])
    assert metrics.smape(y, prediction) == pytest.approx((0 + 2 * 2 / 4 + 2 * 2 / 6) / 3)
    unclipped = (2 * 0.5 / 0.5 + 2 * 2.8 / 3.2 + 2 * 2 / 6) / 3
    assert metrics.smape(y, prediction, floor=None) == pytest.approx(unclipped)
    assert metrics.smape([0.0], [0.0], floor=None) == 0.0
    assert metrics.smape([-1.0], [1.0], floor=None) == 2.0
    # Scaled values are all below 1, and clipping would hide every error: scale them back first.
    scaled = metrics.smape(y / 100, prediction / 100)
    assert scaled == 0.0
    assert metrics.smape(y / 100 * 100, prediction / 100 * 100) > 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.brier_score([0, 1], [0.5, 1.5]), r"row 1: expected numbers in \[0, 1\]"),
        (lambda: metrics.brier_score([0, 2], [0.5, 0.5]), "row 1: expected 0 or 1"),
        (lambda: metrics.brier_score([0, 3], [[0.5, 0.5]] * 2), "3 is not one of the classes"),
        (lambda: metrics.brier_score([0, 1], [[0.5, 0.6]] * 2), "row 0 sums to"),
        (lambda: metrics.reliability_curve([0, 1], [0.1, np.nan]), "finite"),
        (lambda: metrics.reliability_curve([0, 1], [0.1, 0.2], n_bins=0), "n_bins: .*got 0"),
        (lambda: metrics.reliability_curve([0, 1], [0.1, 0.2], bins="odd"), "bins: 'odd'"),
        (lambda: metrics.expected_calibration_error([], []), "zero rows"),
        (lambda: metrics.precision_at_k([0, 1], [0.1, 0.2], 3), "k: .*from 1 to 2, got 3"),
        (lambda: metrics.precision_at_k([0, 1], [0.1, 0.2], 0.5), "k: .*got 0.5"),
        (lambda: metrics.smape([1.0], [1.0], floor=-1.0), "floor: expected a positive"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
