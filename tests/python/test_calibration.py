"""Calibrated probabilities: nearer to the truth, in the same order, kept in files."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.isotonic import IsotonicRegression

import ecseq
from conftest import DAY, Embeddings, make_embeddings
from ecseq import metrics
from ecseq._calibration import Calibration, Sigmoid, Steps, fit_calibration
from ecseq._labels import probabilities

METHODS = ["isotonic", "platt"]


def overconfident(seed: int, n: int = 4000) -> tuple[Any, Any]:
    """Logits four times as large as they should be, and off by one. [n]"""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=n)
    codes = (rng.random(n) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    return (4 * logits + 1).astype(np.float32), codes


def plain(logits: Any) -> Any:
    return 1 / (1 + np.exp(-logits.astype(float)))


# ---- the curves


@pytest.mark.parametrize("method", METHODS)
def test_overconfident_scores_become_calibrated(method: str) -> None:
    logits, codes = overconfident(0)
    fresh, truth = overconfident(1)
    p = fit_calibration(method, logits, codes).probabilities(fresh)[:, 1]
    ece = metrics.expected_calibration_error
    assert ece(truth, p) < 0.2 * ece(truth, plain(fresh))
    assert metrics.brier_score(truth, p) < metrics.brier_score(truth, plain(fresh)) - 0.02


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(6))
def test_curves_never_turn_the_order_round(method: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 200))
    logits = np.round(rng.normal(size=n) * 10 ** rng.uniform(-3, 2), 2).astype(np.float32)
    codes = np.concatenate([[0, 1], rng.integers(0, 2, n - 2)]).astype(np.float32)
    fitted = fit_calibration(method, logits, codes)
    grid = np.sort(rng.normal(size=500) * 200).astype(np.float32)
    p = fitted.probabilities(grid)[:, 1]
    assert (np.diff(p) >= 0).all()
    assert (p >= 0).all()
    assert (p <= 1).all()
    own = fitted.probabilities(logits)[:, 1]
    assert 0 < own.min() <= own.max() < 1


def test_platt_is_the_best_sigmoid_for_his_targets() -> None:
    logits, codes = overconfident(2, 300)
    positives, negatives = codes.sum(), (1 - codes).sum()
    target = np.where(codes == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(parameters: Any) -> float:
        u = parameters[0] * logits + parameters[1]
        return float(np.mean(np.logaddexp(0, u) - target * u))

    best = minimize(loss, [0.1, 0.0], method="BFGS", options={"gtol": 1e-9})
    (curve,) = fit_calibration("platt", logits, codes).curves
    assert isinstance(curve, Sigmoid)
    assert (curve.slope, curve.intercept) == pytest.approx(tuple(best.x), abs=1e-4)


def test_isotonic_is_scikit_learns_short_of_certainty() -> None:
    logits, codes = overconfident(3, 500)
    reference = IsotonicRegression(out_of_bounds="clip").fit(logits, codes).predict(logits)
    got = fit_calibration("isotonic", logits, codes).probabilities(logits)[:, 1]
    np.testing.assert_allclose(got, np.clip(reference, 1 / 502, 501 / 502), atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_constant_scores_become_the_share_of_positives(method: str) -> None:
    codes = np.array([1] * 30 + [0] * 70, dtype=np.float32)
    fitted = fit_calibration(method, np.full(100, 3.0, np.float32), codes)
    got = fitted.probabilities(np.array([-50.0, 3.0, 50.0], np.float32))[:, 1]
    np.testing.assert_allclose(got, 0.3, atol=0.01)


def test_scores_in_the_wrong_order_lose_it_and_are_not_turned_round() -> None:
    logits, codes = overconfident(4)
    for method in METHODS:
        p = fit_calibration(method, -logits, codes).probabilities(np.sort(logits))[:, 1]
        assert np.ptp(p) < 0.35
        assert abs(p.mean() - codes.mean()) < 0.1


def test_two_rows_give_no_certainty() -> None:
    logits, codes = np.array([-1, 1], np.float32), np.array([0, 1], np.float32)
    for method in METHODS:
        p = fit_calibration(method, logits, codes).probabilities(logits)[:, 1]
        assert 0.2 < p[0] < 0.5 < p[1] < 0.8


def test_separable_rows_give_finite_curves() -> None:
    logits = np.linspace(-1, 1, 50).astype(np.float32)
    codes = (logits > 0).astype(np.float32)
    for method in METHODS:
        p = fit_calibration(method, logits, codes).probabilities(logits)[:, 1]
        assert np.isfinite(p).all()
        assert p[0] < 0.1 < 0.9 < p[-1]


@pytest.mark.parametrize("method", METHODS)
def test_several_classes_one_against_the_rest(method: str) -> None:
    rng = np.random.default_rng(5)

    def draw(n: int) -> tuple[Any, Any]:
        z = rng.normal(size=(n, 3))
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        codes = np.array([rng.choice(3, p=row) for row in p])
        return (3 * z).astype(np.float32), codes

    logits, codes = draw(3000)
    fresh, truth = draw(3000)
    got = fit_calibration(method, logits, codes.astype(np.float32)).probabilities(fresh)
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-6)
    before = probabilities(fresh)
    ece = metrics.expected_calibration_error
    assert ece(truth, got) < 0.4 * ece(truth, before)
    assert metrics.brier_score(truth, got) < metrics.brier_score(truth, before)


def test_an_absent_class_keeps_its_share() -> None:
    rng = np.random.default_rng(6)
    logits = rng.normal(size=(400, 3)).astype(np.float32)
    codes = (rng.random(400) < 0.5).astype(np.float32)
    fitted = fit_calibration("platt", logits, codes)
    assert fitted.curves[2] is None
    got = fitted.probabilities(logits)
    assert np.isfinite(got).all()
    assert np.corrcoef(got[:, 2], logits[:, 2])[0, 1] > 0.5


def test_logits_at_the_end_of_the_scale_stay_finite() -> None:
    logits = np.array([[800, 0, -800], [0, 0, 0], [-800, -800, 800]], np.float32)
    fitted = fit_calibration("platt", logits, np.array([0, 1, 2], np.float32))
    got = fitted.probabilities(logits)
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_json_holds_all_of_it(method: str) -> None:
    logits, codes = overconfident(7, 200)
    fitted = fit_calibration(method, logits, codes)
    copy = Calibration.from_json(json.loads(json.dumps(fitted.to_json())), 2)
    assert copy == fitted
    np.testing.assert_array_equal(copy.probabilities(logits), fitted.probabilities(logits))


@pytest.mark.parametrize(
    "saved",
    [
        {},
        None,
        {"method": "odd", "n_rows": 3, "curves": [{"slope": 1.0, "intercept": 0.0}]},
        {"method": "platt", "n_rows": 3, "curves": []},
        {"method": "platt", "n_rows": 3, "curves": [None]},
        {"method": "platt", "n_rows": 3, "curves": [{"slope": -1.0, "intercept": 0.0}]},
        {"method": "platt", "n_rows": 3, "curves": [{"slope": float("nan"), "intercept": 0.0}]},
        {"method": "isotonic", "n_rows": 3, "curves": [{"logits": [1, 0], "shares": [0.1, 0.2]}]},
        {"method": "isotonic", "n_rows": 3, "curves": [{"logits": [0, 1], "shares": [0.3, 0.2]}]},
        {"method": "isotonic", "n_rows": 3, "curves": [{"logits": [0, 1], "shares": [0.3]}]},
        {"method": "isotonic", "n_rows": 3, "curves": [{"logits": [], "shares": []}]},
        {"method": "isotonic", "n_rows": 3, "curves": [{"logits": ["a"], "shares": [0.5]}]},
        {"method": "isotonic", "n_rows": 3, "curves": [{"other": 1}]},
    ],
)
def test_a_curve_that_was_not_written_here_is_refused(saved: Any) -> None:
    with pytest.raises(ecseq.ModelFileError, match="calibration"):
        Calibration.from_json(saved, 2)


# ---- the estimator


@pytest.fixture(scope="module")
def weighted() -> ecseq.ECSeqClassifier:
    """Class weights put all its probabilities far too high; calibrated."""
    data = make_embeddings(3000, 21)
    return ecseq.ECSeqClassifier(
        calibrate="isotonic", class_weight={0: 1.0, 1: 20.0}, max_epochs=15, n_representatives=40
    ).fit(data.X, data.y)


def test_predict_proba_is_calibrated_and_decision_function_is_not(
    weighted: ecseq.ECSeqClassifier,
) -> None:
    fresh = make_embeddings(3000, 22)
    logits = weighted.decision_function(fresh.X)
    p = weighted.predict_proba(fresh.X)[:, 1]
    ece = metrics.expected_calibration_error
    assert ece(fresh.y, p) < 0.5 * ece(fresh.y, plain(logits))
    assert metrics.brier_score(fresh.y, p) < metrics.brier_score(fresh.y, plain(logits))
    assert (np.diff(p[np.argsort(logits, kind="stable")]) >= 0).all()
    np.testing.assert_array_equal(weighted.predict(fresh.X), (p > 0.5).astype(int))
    np.testing.assert_array_equal(weighted.replay(fresh.X, fresh.y), p)
    # The base and the controls stay as they are.
    clone_of_it = clone(weighted).set_params(calibrate=None)
    data = make_embeddings(3000, 21)
    uncalibrated = clone_of_it.fit(data.X, data.y)
    assert uncalibrated.calibration_ is None
    np.testing.assert_array_equal(uncalibrated.decision_function(fresh.X), logits)
    np.testing.assert_array_equal(uncalibrated.base_scores(fresh.X), weighted.base_scores(fresh.X))


def test_explanations_tell_the_calibrated_score(weighted: ecseq.ECSeqClassifier) -> None:
    fresh = make_embeddings(20, 23)
    told = [found.score for found in weighted.explain(fresh.X)]
    np.testing.assert_allclose(told, weighted.predict_proba(fresh.X)[:, 1], atol=1e-6)


def test_files_and_pickles_keep_it(weighted: ecseq.ECSeqClassifier, tmp_path: Path) -> None:
    fresh = make_embeddings(200, 24)
    weighted.save(tmp_path / "model.ecseq")
    expected = weighted.predict_proba(fresh.X)
    for copy in (ecseq.load(tmp_path / "model.ecseq"), pickle.loads(pickle.dumps(weighted))):
        assert copy.calibrate == "isotonic"
        assert copy.calibration_ == weighted.calibration_
        np.testing.assert_array_equal(copy.predict_proba(fresh.X), expected)
    assert isinstance(weighted.calibration_.curves[0], Steps)
    assert clone(weighted).calibrate == "isotonic"
    assert clone(weighted).calibration_ is None


def test_recalibration_follows_labels_that_have_moved(
    weighted: ecseq.ECSeqClassifier,
) -> None:
    model = pickle.loads(pickle.dumps(weighted))
    rng = np.random.default_rng(0)

    def rarer(seed: int) -> tuple[Any, Any]:
        data = make_embeddings(4000, seed)
        keep = (data.y == 0) | (rng.random(4000) < 0.2)
        return data.X[keep], data.y[keep]

    X, y = rarer(25)
    later_X, later_y = rarer(26)
    before, logits = model.predict_proba(later_X)[:, 1], model.decision_function(later_X)
    assert model.recalibrate(X, y, method="platt") is model
    after = model.predict_proba(later_X)[:, 1]
    ece = metrics.expected_calibration_error
    assert ece(later_y, after) < 0.5 * ece(later_y, before)
    np.testing.assert_array_equal(model.decision_function(later_X), logits)
    assert model.calibration_.method == "platt"
    assert model.calibrate == "isotonic"
    days = np.linspace(0, 10, len(later_y)) * DAY
    (period,) = model.drift(later_X, later_y, times=days, period="30d").performance
    assert period["brier"] == pytest.approx(metrics.brier_score(later_y, after), rel=1e-4)
    curve = model.reliability_curve(later_X, later_y, n_bins=5, bins="count")
    assert curve.rows.sum() == len(later_y)
    assert np.abs(curve.share - curve.probability).max() < 0.1


def test_replayed_rows_of_timed_entities_calibrate(
    training: Embeddings, later: Embeddings, relations: list[Any]
) -> None:
    model = ecseq.ECSeqClassifier(relations=relations, calibrate="platt", max_epochs=15).fit(
        training.X, training.y, entities=training.entities, times=training.times
    )
    arguments: dict[str, Any] = {"entities": later.entities, "times": later.times}
    own = model.calibration_
    replayed = model.replay(later.X, later.y, **arguments)
    model.recalibrate(later.X, later.y, **arguments)
    assert model.calibration_ != own
    assert model.calibration_.n_rows == len(later.y)
    again = model.replay(later.X, later.y, **arguments)
    assert metrics.log_loss(later.y, again) <= metrics.log_loss(later.y, replayed) + 1e-3
    assert metrics.roc_auc(later.y, again) == pytest.approx(metrics.roc_auc(later.y, replayed))
    assert ecseq.metrics.brier_score(later.y, again) < np.mean(later.y) * (1 - np.mean(later.y))


def test_entities_without_times_calibrate_on_rows_they_did_not_know(
    training: Embeddings,
) -> None:
    untimed = ecseq.ECSeqClassifier(
        relations=[ecseq.EntityRelation("terminal")], calibrate="isotonic", max_epochs=10
    ).fit(training.X, training.y, entities=training.entities)
    fresh = make_embeddings(1500, 27)
    p = untimed.predict_proba(fresh.X, entities=fresh.entities)[:, 1]
    assert metrics.expected_calibration_error(fresh.y, p) < 0.05


def test_refusals(training: Embeddings, weighted: ecseq.ECSeqClassifier) -> None:
    X, y = training.X, training.y
    with pytest.raises(ValueError, match="calibrate: 'odd' is not one of"):
        ecseq.ECSeqClassifier(calibrate="odd").fit(X, y)
    with pytest.raises(ValueError, match="calibrate: takes a classifier"):
        ecseq.ECSeqRegressor(calibrate="platt").fit(X, X[:, 0])
    with pytest.raises(ValueError, match="calibrate: takes validation rows of at least two"):
        ecseq.ECSeqClassifier(calibrate="platt").fit(X, y, validation=(X[:9], np.zeros(9, int)))
    before = weighted.calibration_
    with pytest.raises(ValueError, match="two classes, got only one"):
        weighted.recalibrate(X[:5], np.zeros(5, int))
    with pytest.raises(ValueError, match="method: 'odd'"):
        weighted.recalibrate(X, y, method="odd")
    assert weighted.calibration_ is before
    plain_model = ecseq.ECSeqClassifier(max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="method: None is not one of"):
        plain_model.recalibrate(X, y)
