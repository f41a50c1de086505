"""ecseq.metrics against brute force and scikit-learn."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from ecseq import metrics


def random_scores(seed, ties):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 60))
    y = rng.integers(0, 2, n)
    y[:2] = [0, 1]
    score = rng.normal(size=n) + y
    return y, np.round(score * 2) / 2 if ties else score


CASES = [(seed, ties) for seed in range(10) for ties in (False, True)]


@pytest.mark.parametrize(("seed", "ties"), CASES)
def test_roc_auc_counts_pairs(seed, ties):
    y, score = random_scores(seed, ties)
    gaps = score[y == 1][:, None] - score[y == 0]
    assert metrics.roc_auc(y, score) == pytest.approx(np.mean((gaps > 0) + 0.5 * (gaps == 0)))


@pytest.mark.parametrize(("seed", "ties"), CASES)
def test_average_precision(seed, ties):
    y, score = random_scores(seed, ties)
    expected = reference.average_precision_score(y, score)
    assert metrics.average_precision(y, score) == pytest.approx(expected)


@pytest.mark.parametrize("precision", [0.5, 0.75, 0.9, 1.0])
@pytest.mark.parametrize(("seed", "ties"), CASES)
def test_recall_at_precision_tries_every_threshold(seed, ties, precision):
    y, score = random_scores(seed, ties)
    best = 0.0
    for threshold in score:
        flagged = score >= threshold
        if y[flagged].sum() / flagged.sum() >= precision:
            best = max(best, y[flagged].sum() / y.sum())
    assert metrics.recall_at_precision(y, score, precision) == pytest.approx(best)


def test_recall_at_precision_edges():
    assert metrics.recall_at_precision([0, 1], [0.9, 0.1]) == 0.0
    # Nine of ten is a precision of exactly 0.9.
    y = [1] * 9 + [0] + [1]
    assert metrics.recall_at_precision(y, np.arange(11)[::-1], 0.9) == 1.0
    # One tied score is one threshold: the positive cannot be taken alone.
    assert metrics.recall_at_precision([1, 0, 0], [0.5, 0.5, 0.1]) == 0.0


def test_log_loss():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 50), rng.random(50)
    assert metrics.log_loss(y, p) == pytest.approx(reference.log_loss(y, p))
    assert np.isfinite(metrics.log_loss([0, 1], [1.0, 0.0]))
    assert metrics.log_loss([0, 1], [0.0, 1.0]) == pytest.approx(0.0, abs=1e-12)


def test_binary_metrics_are_the_single_ones():
    y, score = random_scores(3, False)
    p = 1.0 / (1.0 + np.exp(-score))
    assert metrics.binary_metrics(y == 1, p.astype(np.float32)) == pytest.approx(
        {
            "auc": metrics.roc_auc(y, p),
            "ap": metrics.average_precision(y, p),
            "recall_at_p90": metrics.recall_at_precision(y, p, 0.9),
            "log_loss": reference.log_loss(y, p),
        },
        rel=1e-5,
    )


@pytest.mark.parametrize("classes", [None, ["a", "b", "c", "d"]])
def test_multiclass_metrics(classes):
    rng = np.random.default_rng(1)
    code = rng.integers(0, 4, 80)
    p = rng.dirichlet(np.ones(4), size=80)
    y = code if classes is None else np.array(classes)[code]
    got = metrics.multiclass_metrics(y, p, classes)
    assert got["accuracy"] == pytest.approx(reference.accuracy_score(code, p.argmax(1)))
    assert got["log_loss"] == pytest.approx(reference.log_loss(code, p))
    assert got["macro_f1"] == pytest.approx(reference.f1_score(code, p.argmax(1), average="macro"))
    assert got["auc"] == pytest.approx(reference.roc_auc_score(code, p, multi_class="ovr"))


def test_multiclass_metrics_skip_an_absent_class():
    got = metrics.multiclass_metrics([0, 1, 0], [[0.8, 0.2, 0], [0.1, 0.9, 0], [0.6, 0.4, 0]])
    assert got == pytest.approx(
        {"accuracy": 1.0, "macro_f1": 1.0, "auc": 1.0, "log_loss": -np.log([0.8, 0.9, 0.6]).mean()}
    )


def test_regression_metrics():
    y, prediction = np.array([[0.0, 10.0], [4.0, 2.0]]), np.array([[3.0, 8.0], [-1.0, 2.0]])
    got = metrics.regression_metrics(y, prediction)
    assert got["rmse"] == pytest.approx(np.sqrt((9 + 4 + 25 + 0) / 4))
    assert got["mae"] == pytest.approx((3 + 2 + 5 + 0) / 4)
    # Clipped to at least 1: (1, 3), (10, 8), (4, 1), (2, 2).
    assert got["smape"] == pytest.approx((2 * 2 / 4 + 2 * 2 / 18 + 2 * 3 / 5 + 0) / 4)
    assert metrics.smape([0.0], [0.5], floor=0.25) == pytest.approx(2 * 0.25 / 0.75)


def test_paired_difference_is_the_student_interval():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=5), rng.normal(size=5)
    got = metrics.paired_difference(a, b)
    low, high = stats.t.interval(0.95, 4, loc=(a - b).mean(), scale=stats.sem(a - b))
    assert got == pytest.approx(((a - b).mean(), (a - b).std(ddof=1), low, high))
    assert metrics.paired_difference([1, 2, 3], [0, 1, 2]) == (1.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.roc_auc([1, 1], [0.1, 0.2]), "both classes, got only 1"),
        (lambda: metrics.roc_auc([0, 1], [0.1]), r"score: expected shape \(2,\)"),
        (lambda: metrics.roc_auc([0, 2], [0.1, 0.2]), r"y_true: row 1: expected 0 or 1, got 2"),
        (lambda: metrics.roc_auc([0, 1], [0.1, np.nan]), r"score: row \(1,\): .*finite"),
        (lambda: metrics.roc_auc([[0, 1]], [[0.1, 0.2]]), "one dimension"),
        (lambda: metrics.average_precision([], []), "zero rows"),
        (
            lambda: metrics.recall_at_precision([0, 1], [0, 1], 0.0),
            r"precision: expected .*\(0, 1\]",
        ),
        (lambda: metrics.recall_at_precision([0, 1], [0, 1], 90), r"precision: expected .*got 90"),
        (lambda: metrics.log_loss([0, 1], [0.5, 2.0]), r"probability: row 1: .*\[0, 1\]"),
        (
            lambda: metrics.multiclass_metrics([0, 1], [[0.5, 0.5]]),
            r"y_true: expected shape \(1,\)",
        ),
        (lambda: metrics.multiclass_metrics([0, 1], [0.5, 0.5]), r"expected shape \[n, c\]"),
        (lambda: metrics.multiclass_metrics([0, 1], [[1, 1], [0, 1]]), "row 0 sums to 2"),
        (lambda: metrics.multiclass_metrics([0, 5], [[1, 0], [0, 1]]), "row 1: 5 is not one of"),
        (lambda: metrics.multiclass_metrics([0, 0], [[1, 0], [0, 1]]), "at least two classes"),
        (lambda: metrics.multiclass_metrics([0, 1], [[1, 0], [0, 1]], ["a"]), "expected 2 labels"),
        (lambda: metrics.rmse([1.0], [np.inf]), "prediction: row"),
        (lambda: metrics.mae([1.0], [1.0, 2.0]), "prediction: expected shape"),
        (lambda: metrics.smape([1.0], [1.0], floor=0.0), "floor: expected a positive number"),
        (lambda: metrics.paired_difference([1.0], [1.0]), "two or more seeds"),
        (lambda: metrics.paired_difference([1.0, 2.0], [1.0]), "b: expected shape"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
