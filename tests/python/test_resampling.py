"""Intervals and paired tests: what they must be, and what they are on average."""

import numpy as np
import pytest
from scipy import stats

from ecseq import metrics


def problem(seed, n=300):
    rng = np.random.default_rng(seed)
    y = np.concatenate([[0, 1], (rng.random(n - 2) < 0.3).astype(int)])
    good = y + rng.normal(size=n)
    return y, good, good + 1.5 * rng.normal(size=n)


def mean_score(y, score):
    return float(np.mean(score))


def test_the_interval_of_a_mean_is_the_normal_one():
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    got = metrics.bootstrap_interval(mean_score, np.zeros(400), x, 4000, stratify=False)
    half = 1.96 * stats.sem(x)
    assert got.value == pytest.approx(x.mean())
    assert (got.low, got.high) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.012)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(150):
        x = rng.normal(size=60)
        found = metrics.bootstrap_interval(
            mean_score, np.zeros(60), x, 200, stratify=False, level=0.8
        )
        inside += found.low <= 0.0 <= found.high
    assert 0.68 < inside / 150 < 0.9


def test_strata_keep_the_number_of_positives():
    y, score, _ = problem(2)
    seen = set()
    metrics.bootstrap_interval(lambda y, s: seen.add(int(y.sum())) or 0.0, y, score, 50)
    assert seen == {int(y.sum())}
    metrics.bootstrap_interval(lambda y, s: seen.add(int(y.sum())) or 0.0, y, score, 50,
                               stratify=False)  # fmt: skip
    assert len(seen) > 3


def test_groups_stay_whole_and_widen_the_interval_of_rows_that_are_alike():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(30), 20)
    x = rng.normal(size=30)[groups] + 0.1 * rng.normal(size=600)
    zeros = np.zeros(600)

    def sizes(y, score):
        values, counts = np.unique(score, return_counts=True)
        assert all(counts % 20 == 0)
        return float(len(values))

    metrics.bootstrap_interval(sizes, zeros, groups.astype(float), 20, groups=groups)
    rows = metrics.bootstrap_interval(mean_score, zeros, x, 500, stratify=False)
    whole = metrics.bootstrap_interval(mean_score, zeros, x, 500, groups=groups)
    assert whole.high - whole.low > 2.5 * (rows.high - rows.low)


def test_resamples_without_a_metric_are_drawn_anew_until_they_are_most():
    y = np.array([0] * 30 + [1] * 3)
    score = np.arange(33.0)
    found = metrics.bootstrap_interval(metrics.roc_auc, y, score, 200, stratify=False)
    assert found == (1.0, 1.0, 1.0)

    def only_of_all(y, score):
        if len(np.unique(score)) < 33:
            raise ValueError("a row is missing")
        return 1.0

    with pytest.raises(ValueError, match="fewer than half"):
        metrics.bootstrap_interval(only_of_all, y, score, 50)


@pytest.mark.parametrize(
    "test", [metrics.paired_bootstrap, metrics.paired_permutation_test], ids=lambda f: f.__name__
)
def test_paired_tests_find_the_better_method(test):
    y, good, bad = problem(4)
    got = test(metrics.roc_auc, y, good, bad, 300)
    expected = metrics.roc_auc(y, good) - metrics.roc_auc(y, bad)
    assert got.difference == pytest.approx(expected)
    assert got.p_value < 0.02
    mirrored = test(metrics.roc_auc, y, bad, good, 300)
    assert mirrored.difference == pytest.approx(-got.difference)
    assert mirrored.p_value < 0.02
    same = test(metrics.roc_auc, y, good, good, 100)
    assert same == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    "test", [metrics.paired_bootstrap, metrics.paired_permutation_test], ids=lambda f: f.__name__
)
def test_p_values_are_about_uniform_where_there_is_no_difference(test):
    found = []
    for seed in range(60):
        rng = np.random.default_rng(100 + seed)
        y = rng.normal(size=80)
        a, b = y + rng.normal(size=80), y + rng.normal(size=80)
        found.append(test(metrics.mae, y, a, b, 99, seed=seed).p_value)
    found = np.array(found)
    assert np.mean(found < 0.2) < 0.4
    assert np.mean(found < 0.05) < 0.15
    assert 0.3 < found.mean() < 0.7


def test_the_permutation_test_is_the_exact_one_of_few_rows():
    # All 2^5 exchanges by hand: the mean absolute error of a is smaller on every row.
    y, a, b = np.zeros(5), np.ones(5), np.array([2.0, 3.0, 4.0, 5.0, 6.0])
    got = metrics.paired_permutation_test(metrics.mae, y, a, b, 4000)
    assert got.p_value == pytest.approx(2 / 32, abs=0.015)


def test_whole_groups_are_exchanged():
    groups = np.repeat([0, 1, 2], 50)
    y, a, b = np.zeros(150), np.ones(150), np.full(150, 2.0)
    rows = metrics.paired_permutation_test(metrics.mae, y, a, b, 200)
    whole = metrics.paired_permutation_test(metrics.mae, y, a, b, 200, groups=groups)
    assert rows.p_value < 0.01
    assert whole.p_value == pytest.approx(2 / 8, abs=0.1)


def test_probabilities_of_several_classes_are_resampled_by_rows():
    rng = np.random.default_rng(5)
    p = rng.dirichlet(np.ones(3), size=90)
    y = np.array([rng.choice(3, p=row) for row in p])
    found = metrics.bootstrap_interval(metrics.brier_score, y, p, 100, stratify=True)
    assert found.low < found.value < found.high
    against = metrics.paired_permutation_test(metrics.brier_score, y, p, np.full((90, 3), 1 / 3))
    assert against.difference < 0


def test_a_seed_gives_the_same_numbers():
    y, good, bad = problem(6)
    for call in (
        lambda seed: metrics.bootstrap_interval(metrics.roc_auc, y, good, 50, seed=seed),
        lambda seed: metrics.paired_bootstrap(metrics.roc_auc, y, good, bad, 50, seed=seed),
        lambda seed: metrics.paired_permutation_test(metrics.roc_auc, y, good, bad, 50, seed=seed),
    ):
        assert call(1) == call(1)
        assert call(1) != call(2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.bootstrap_interval(metrics.mae, [], []), "y_true: .*rows"),
        (lambda: metrics.bootstrap_interval(metrics.mae, [1.0], [1.0, 2.0]), "score: expected"),
        (lambda: metrics.bootstrap_interval(metrics.roc_auc, [1, 1], [1.0, 2.0]), "both classes"),
        (lambda: metrics.bootstrap_interval(metrics.mae, [1.0], [1.0], 0), "n: expected"),
        (lambda: metrics.bootstrap_interval(metrics.mae, [1.0], [1.0], level=95), "level: .*95"),
        (
            lambda: metrics.bootstrap_interval(metrics.mae, [1.0], [1.0], groups=[1, 2]),
            r"groups: expected shape \(1,\)",
        ),
        (
            lambda: metrics.bootstrap_interval(
                metrics.mae, [1.0], [1.0], groups=[1], stratify=True
            ),
            "one of stratify and groups",
        ),
        (lambda: metrics.paired_bootstrap(metrics.mae, [1.0], [1.0], [[1.0]]), "b: expected shape"),
        (lambda: metrics.paired_permutation_test(metrics.mae, [1.0], [1.0], []), "b: expected"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
