"""Drift reports: nothing where nothing has moved, and each measure where its part has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.naive_bayes import GaussianNB

import ecseq
from conftest import DAY, Embeddings, make_embeddings, make_sequences
from ecseq import metrics
from ecseq._drift import distances, distribution_distance, stability_index


@pytest.fixture(scope="module")
def plain() -> ecseq.ECSeqClassifier:
    data = make_embeddings(4000, 31)
    return ecseq.ECSeqClassifier(n_representatives=40, max_epochs=10).fit(data.X, data.y)


def test_rows_of_the_same_kind_have_not_drifted(plain: ecseq.ECSeqClassifier) -> None:
    fresh = make_embeddings(4000, 32)
    found = plain.drift(fresh.X, fresh.y)
    assert found.rows == 4000
    assert found.beyond_radius is not None
    assert found.beyond_radius < 0.03
    assert found.beyond_radius_at_fit == pytest.approx(found.beyond_radius, abs=0.02)
    assert found.usage_shift is not None
    assert found.usage_shift < 0.1
    assert found.label_shift == pytest.approx(0.0, abs=0.03)
    assert found.score_shift is not None
    assert found.score_shift < 0.25  # what is commonly called a shift is above
    assert found.performance == []  # no times
    assert found.unseen_entities == {}


def test_other_rows_have(plain: ecseq.ECSeqClassifier) -> None:
    fresh = make_embeddings(4000, 32)
    same = plain.drift(fresh.X)
    moved = plain.drift(fresh.X + np.float32([3, 0, 0, 0, 0]))
    wide = plain.drift(fresh.X * np.float32(3))
    assert moved.usage_shift > 0.5 > 0.1 > same.usage_shift
    assert moved.beyond_radius > 0.2
    assert wide.beyond_radius > 0.5
    assert wide.score_shift > 0.1 > same.score_shift
    assert wide.score_distance > 2 * same.score_distance
    assert same.label_shift is None


def test_distances_are_those_of_the_standardised_space(plain: ecseq.ECSeqClassifier) -> None:
    data = make_embeddings(4000, 31)
    mean, inverse_std, bound = plain._model.similarity_scale()
    assert bound == 8.0
    # Fitted on the training part, which is most of the rows.
    np.testing.assert_allclose(mean, data.X.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(1 / inverse_std, data.X.std(axis=0), rtol=0.05)
    x = make_embeddings(50, 33).X
    nearest, distance = distances(plain._model, x, 1)
    points = (plain.representatives_.vectors - mean) * inverse_std
    all_pairs = np.linalg.norm(((x - mean) * inverse_std)[:, None] - points, axis=2)
    np.testing.assert_array_equal(nearest, all_pairs.argmin(axis=1))
    np.testing.assert_allclose(distance, all_pairs.min(axis=1), rtol=1e-5)
    # As the radii are made: 1 % of the training rows lie outside.
    nearest, distance = distances(plain._model, data.X, 1)
    beyond = np.mean(distance > plain.representatives_.radius[nearest])
    assert 0.002 < beyond < 0.03


@pytest.mark.parametrize("seed", range(6))
def test_the_distance_of_distributions_is_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = np.round(rng.normal(size=80), 1), np.round(rng.normal(0.3, 1.2, size=50), 1)
    expected = stats.ks_2samp(a, b).statistic
    assert distribution_distance(a, b) == pytest.approx(expected)
    assert distribution_distance(a, a) == 0.0


def test_the_stability_index_by_hand() -> None:
    reference = np.arange(100.0)
    np.testing.assert_allclose(stability_index(reference, reference), 0.0, atol=1e-12)
    # All in the last of ten bins, half a row added to each.
    q = np.array([0.5] * 9 + [100.5]) / 105
    p = np.full(10, 0.1)
    expected = np.sum((q - p) * np.log(q / p))
    assert stability_index(reference, np.full(100, 200.0)) == pytest.approx(expected)
    # A constant reference: everything above it is a bin of its own.
    assert stability_index(np.full(50, 0.5), np.full(70, 0.5)) == pytest.approx(0.0, abs=0.01)
    assert stability_index(np.full(50, 0.5), np.full(70, 0.9)) > 1.0


def test_embeddings_that_are_taken_as_they_are_have_no_bound() -> None:
    data, fresh = make_embeddings(1500, 43), make_embeddings(1500, 44)
    far = np.float32(50)  # beyond what standardised values are clipped to
    model = ecseq.ECSeqClassifier(
        relations=[ecseq.SimilarityRelation(20, standardize=False)], max_epochs=1
    ).fit(far * data.X, data.y)
    nearest, distance = distances(model._model, far * fresh.X, 1)
    gaps = far * fresh.X - model.representatives_.vectors[nearest]
    np.testing.assert_allclose(distance, np.linalg.norm(gaps, axis=1), rtol=1e-4)
    assert model.drift(3 * far * fresh.X).beyond_radius > 0.5
    assert model.drift(far * fresh.X).beyond_radius < 0.1


def test_labels_move_with_their_mix(plain: ecseq.ECSeqClassifier) -> None:
    fresh = make_embeddings(3000, 34)
    y = np.where(np.random.default_rng(0).random(3000) < 0.5, 1, fresh.y)
    share = make_embeddings(4000, 31).y.mean()
    assert plain.drift(fresh.X, y).label_shift == pytest.approx(y.mean() - share, abs=1e-9)
    model = ecseq.ECSeqRegressor(max_epochs=2).fit(fresh.X, fresh.X[:, 0] * 10 + 5)
    lower = model.drift(fresh.X, fresh.X[:, 0] * 10 - 5)
    assert lower.label_shift == pytest.approx(-10 / np.std(fresh.X[:, 0] * 10), rel=1e-3)
    assert model.drift(fresh.X, times=np.arange(3000.0)).performance == []


def test_performance_by_period_is_that_of_a_replay(
    later: Embeddings, related: ecseq.ECSeqClassifier
) -> None:
    given: dict[str, Any] = {"entities": later.entities, "times": later.times}
    found = related.drift(later.X, later.y, **given, period="15d")
    scores = related.replay(later.X, later.y, **given)
    base = related.base_scores(later.X)
    first = later.times.min()
    number = ((later.times - first) // (15 * DAY)).astype(int)
    assert [p["rows"] for p in found.performance] == np.bincount(number).tolist()
    for i, period in enumerate(found.performance[:-1]):
        rows = number == i
        assert period["start"] == first + i * 15 * DAY
        assert period["auc"] == pytest.approx(metrics.roc_auc(later.y[rows], scores[rows]))
        assert period["base_auc"] == pytest.approx(metrics.roc_auc(later.y[rows], base[rows]))
        assert period["share"] == pytest.approx(later.y[rows].mean())
        assert period["auc"] > period["base_auc"]
    # The last period is one row: it has no AUC, and is no failure.
    assert found.performance[-1]["rows"] == 1
    assert "auc" not in found.performance[-1]
    assert found.unseen_entities == {"terminal": 0.0}
    unseen = related.drift(
        later.X, later.y, entities={"terminal": later.terminal % 50 * 25}, times=later.times
    )
    assert 0.5 < unseen.unseen_entities["terminal"] < 1.0


def test_several_classes(plain: ecseq.ECSeqClassifier) -> None:
    data = make_embeddings(1500, 35)
    y = np.array(["low", "mid", "high"])[np.digitize(data.X[:, 0], [-0.5, 0.5])]
    model = ecseq.ECSeqClassifier(max_epochs=5).fit(data.X, y)
    found = model.drift(data.X, y, times=data.times, period="30d")
    assert found.label_shift == pytest.approx(0.0, abs=1e-9)
    assert [p["rows"] for p in found.performance][:2] == [750, 749]
    assert found.performance[0]["accuracy"] > 0.7
    assert len(model.fit_report_["reference"]["scores"]) == 3
    assert found.score_shift < 0.2


def test_sequences_are_compared_by_their_embedding(encoder: ecseq.SequenceEncoder) -> None:
    batch, y = make_sequences(600, 36)
    model = ecseq.ECSeqClassifier(encoder, n_representatives=20, max_epochs=3).fit(batch, y)
    same = model.drift(make_sequences(600, 37)[0])
    steady = [np.full((6, 3), 3.0, np.float32)] * 50
    odd = model.drift(ecseq.Sequences.from_list(steady))
    # Representatives of few rows each have tight radii: what counts is the validation rows' share.
    assert same.beyond_radius_at_fit > 0.03
    assert same.beyond_radius < same.beyond_radius_at_fit + 0.06
    assert same.usage_shift < same.usage_shift_at_fit + 0.1
    assert odd.beyond_radius > 0.9 or odd.usage_shift > 0.8


def test_a_model_without_similarity_has_no_radius(training: Embeddings) -> None:
    model = ecseq.ECSeqClassifier(relations=[ecseq.EntityRelation("terminal")], max_epochs=5)
    model.fit(training.X, training.y, entities=training.entities)
    # Not the training rows: the states know their labels.
    fresh = make_embeddings(1500, 27)
    found = model.drift(fresh.X, entities=fresh.entities)
    assert found.beyond_radius is None
    assert found.usage_shift is None
    assert found.beyond_radius_at_fit is None
    assert found.score_shift < 0.25  # what is commonly called a shift is above
    assert "radius" not in str(found)


def test_a_head_of_ones_own_is_watched_like_any(training: Embeddings) -> None:
    model = ecseq.ECSeqClassifier(head=GaussianNB(), calibrate="platt", max_epochs=3)
    model.fit(training.X, training.y)
    fresh = make_embeddings(1500, 40)
    found = model.drift(fresh.X, fresh.y, times=fresh.times, period="90d")
    assert found.score_shift < 0.1
    scores = model.predict_proba(fresh.X)[:, 1]
    (period,) = found.performance
    assert period["auc"] == pytest.approx(metrics.roc_auc(fresh.y, scores))
    assert metrics.expected_calibration_error(fresh.y, scores) < 0.06
    np.testing.assert_array_equal(model.replay(fresh.X, fresh.y), scores)
    model.recalibrate(fresh.X, fresh.y)
    assert model.calibration_.n_rows == 1500


def test_reports_are_readable_and_plain(later: Embeddings, related: ecseq.ECSeqClassifier) -> None:
    found = related.drift(
        later.X, later.y, entities=later.entities, times=later.times, period="30d"
    )
    text = str(found)
    assert text.startswith("Drift of 400 rows")
    assert "By periods of 30 days:" in text
    assert "base_auc" in text
    assert "have a terminal never seen before" in text
    plain_dict = found.to_dict()
    assert json.loads(json.dumps(plain_dict)) == plain_dict
    assert plain_dict["rows"] == 400
    assert plain_dict["period"] == 30 * DAY
    pytest.importorskip("pandas")
    frame = found.to_frame()
    assert list(frame.columns) == ["measure", "start", "value"]
    assert frame[frame.measure == "auc"].value.tolist() == [
        p["auc"] for p in found.performance if "auc" in p
    ]
    whole = frame[frame.start.isna()].set_index("measure").value
    assert whole["beyond_radius"] == found.beyond_radius
    assert whole["unseen terminal"] == 0.0


def test_files_keep_what_drift_compares_with(plain: ecseq.ECSeqClassifier, tmp_path: Path) -> None:
    fresh = make_embeddings(300, 38)
    plain.save(tmp_path / "model.ecseq")
    assert ecseq.load(tmp_path / "model.ecseq").drift(fresh.X, fresh.y) == plain.drift(
        fresh.X, fresh.y
    )


def test_refusals(plain: ecseq.ECSeqClassifier) -> None:
    X = make_embeddings(10, 39).X
    for period in ("all", 0, "-1d"):
        with pytest.raises(ValueError, match="period"):
            plain.drift(X, period=period)
    with pytest.raises(ValueError, match="y: expected 10 labels"):
        plain.drift(X, [0, 1])
    with pytest.raises(ValueError, match="X"):
        plain.drift(X[:, :3])
