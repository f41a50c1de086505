"""Graph layers, heads, losses and presets of the estimators."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression

import ecseq
from ecseq.metrics import roc_auc

LAYERS = [
    ("sage_mean", 1),
    ("sage_mean", 2),
    ("sage_max", 1),
    ("gcn", 1),
    ("gcn", 2),
    ("gat", 1),
    ("attention", 1),
    ("attention", 2),
]


def problem(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A label that no linear function of the columns shows."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    return X, (X[:, 0] * X[:, 1] + 0.3 * rng.normal(size=n) > 0.3).astype(int)


@pytest.fixture(scope="module")
def data():
    return (*problem(1200, 0), *problem(800, 1))


def classifier(**parameters):
    return ecseq.ECSeqClassifier(n_representatives=40, max_epochs=12, controls=False, **parameters)


@pytest.mark.parametrize(("gnn", "n_layers"), LAYERS)
def test_every_layer_learns_what_the_base_cannot_and_keeps_its_bits(data, tmp_path, gnn, n_layers):
    X, y, X_test, y_test = data
    model = classifier(gnn=gnn, n_layers=n_layers, hidden_size=16, num_threads=1).fit(X, y)
    scores = model.predict_proba(X_test)
    assert roc_auc(y_test, scores[:, 1]) > roc_auc(y_test, model.base_scores(X_test)) + 0.1
    again = clone(model).set_params(num_threads=2).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X_test), scores)
    np.testing.assert_array_equal(model.predict_proba(X_test[7:8]), scores[7:8])
    model.save(tmp_path / "model.ecseq")
    np.testing.assert_array_equal(
        ecseq.load(tmp_path / "model.ecseq").predict_proba(X_test), scores
    )
    assert model.transform(X_test).shape == (800, 16)
    assert len(model.explain(X_test[:2], top=3)[0].similar) == 3


@pytest.mark.parametrize("attach", ["epsilon", "correlation"])
def test_attachment_by_threshold_reports_who_is_alone(data, attach):
    X, y, X_test, _ = data
    relation = ecseq.SimilarityRelation(
        40, attach=attach, epsilon=0.97, min_correlation=0.97, isolated="alone"
    )
    model = ecseq.ECSeqClassifier(
        relations=[relation], gnn="sage_max", max_epochs=5, controls=False
    ).fit(X, y)
    assert 0 < model.fit_report_["isolation_rate"] < 1
    constant = np.full((1, 5), 2.0, dtype=np.float32)
    assert np.isfinite(model.predict_proba(np.concatenate([constant, X_test]))).all()


@pytest.mark.parametrize("head", ["linear", "mlp", (24, 12)])
def test_built_in_heads_learn(data, head):
    X, y, X_test, y_test = data
    model = classifier(head=head).fit(X, y)
    assert roc_auc(y_test, model.predict_proba(X_test)[:, 1]) > 0.85


def test_a_head_of_ones_own_sees_what_ours_would(data):
    X, y, X_test, y_test = data
    head = HistGradientBoostingClassifier(max_iter=60, random_state=0)
    model = classifier(head=head).fit(X, y)
    assert not hasattr(head, "classes_"), "the caller's object is not to be fitted"
    inputs = model.transform(X_test)
    # embedding, base logit; averaged embedding, label evidence, log mass
    assert inputs.shape == (800, 5 + 1 + 5 + 1 + 1)
    np.testing.assert_allclose(inputs[:, :5], X_test)
    assert roc_auc(y_test, model.predict_proba(X_test)[:, 1]) > 0.85
    assert model.fit_report_["validation"]["ecseq"]["auc"] > 0.85
    assert model.fit_report_["gate"]["choice"] == "stacked"
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.predict_proba(X_test), model.predict_proba(X_test))
    with pytest.raises(ValueError, match="explain: takes the built-in head"):
        model.explain(X_test[:1])


def test_a_head_of_ones_own_replays_with_entities(data):
    rng = np.random.default_rng(3)
    X, _, _, _ = data
    terminal = rng.integers(0, 30, len(X))
    bad = rng.random(30) < 0.3
    y = (rng.random(len(X)) < np.where(bad[terminal], 0.8, 0.05)).astype(int)
    times = np.arange(len(X)) * 3600.0
    model = ecseq.ECSeqClassifier(
        relations=[ecseq.EntityRelation("terminal", label_delay="1d")],
        head=HistGradientBoostingClassifier(max_iter=40),
        controls=False,
    ).fit(X[:800], y[:800], entities={"terminal": terminal[:800]}, times=times[:800])
    scores = model.replay(
        X[800:], y[800:], entities={"terminal": terminal[800:]}, times=times[800:]
    )
    assert roc_auc(y[800:], scores) > roc_auc(y[800:], model.base_scores(X[800:])) + 0.15


@pytest.mark.parametrize("n_classes", [3, 0])
def test_a_head_of_ones_own_for_every_task(data, n_classes):
    X, _, X_test, _ = data
    signal, signal_test = X[:, 0] * X[:, 1], X_test[:, 0] * X_test[:, 1]
    if n_classes == 0:
        model = ecseq.ECSeqRegressor(head=HistGradientBoostingRegressor(), controls=False)
        assert model.fit(X, signal).score(X_test, signal_test) > 0.7
        return
    model = classifier(head=LogisticRegression(max_iter=500))
    y, y_test = np.digitize(signal, [-0.3, 0.3]), np.digitize(signal_test, [-0.3, 0.3])
    assert model.fit(X, y).predict_proba(X_test).shape == (800, 3)
    base = np.mean(model.base_scores(X_test).argmax(axis=1) == y_test)
    assert model.score(X_test, y_test) >= base


def test_a_head_of_ones_own_in_the_file(data, tmp_path, monkeypatch):
    X, y, X_test, _ = data
    model = classifier(head=LogisticRegression()).fit(X, y)
    monkeypatch.setitem(sys.modules, "skops", None)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(ValueError, match="install skops"):
        model.save(tmp_path / "model.ecseq")
    monkeypatch.undo()
    pytest.importorskip("skops.io")
    model.save(tmp_path / "model.ecseq")
    loaded = ecseq.load(tmp_path / "model.ecseq")
    np.testing.assert_array_equal(loaded.predict_proba(X_test), model.predict_proba(X_test))


def test_what_heads_are_refused(data):
    X, y, _, _ = data
    with pytest.raises(ValueError, match="head: expected 'linear', 'mlp'"):
        classifier(head="tree").fit(X, y)
    with pytest.raises(ValueError, match="is a regressor"):
        classifier(head=HistGradientBoostingRegressor()).fit(X, y)
    with pytest.raises(ValueError, match="averaged representatives"):
        classifier(head=LogisticRegression(), gnn="gat").fit(X, y)
    with pytest.raises(ValueError, match="heads: expected a divisor"):
        classifier(gnn="gat", heads=5, hidden_size=32).fit(X, y)
    with pytest.raises(ValueError, match="n_layers: expected 1 or 2, got 3"):
        classifier(n_layers=3).fit(X, y)
    with pytest.raises(ValueError, match="gnn"):
        classifier(gnn="transformer").fit(X, y)
    with pytest.raises(ValueError, match="'huber' is for regression"):
        classifier(loss="huber").fit(X, y)


def test_huber_is_not_moved_by_outliers(data):
    X, _, X_test, _ = data
    rng = np.random.default_rng(4)
    clean = X[:, 0] * X[:, 1]
    wild = np.where(rng.random(len(X)) < 0.03, 60.0, clean)
    error = {}
    for loss in ("auto", "huber"):
        model = ecseq.ECSeqRegressor(
            n_representatives=40, loss=loss, gate=False, controls=False, max_epochs=30
        ).fit(X, wild)
        error[loss] = np.median(np.abs(model.predict(X_test) - X_test[:, 0] * X_test[:, 1]))
    assert error["huber"] < error["auto"]


def test_rows_without_labels_help_to_find_representatives(data):
    X, y, X_test, _ = data
    few = slice(0, 150)
    model = classifier(compressor="balanced_kmeans").fit(X[few], y[few], X_unlabeled=X[150:])
    assert model.representatives_.mass.sum() == 0.8 * 150 + len(X) - 150
    assert np.isfinite(model.predict_proba(X_test)).all()
    spread = ecseq.ECSeqClassifier(
        relations=[ecseq.SimilarityRelation(40, label_spreading=0.5)], controls=False
    ).fit(X[few], y[few], X_unlabeled=X[150:])
    assert np.isfinite(spread.predict_proba(X_test)).all()
    with pytest.raises(ValueError, match="X_unlabeled"):
        ecseq.ECSeqClassifier(relations=[ecseq.EntityRelation("a")]).fit(
            X, y, entities={"a": y}, X_unlabeled=X
        )
    with pytest.raises(ValueError, match="features"):
        classifier().fit(X, y, X_unlabeled=X[:, :3])


def test_uncompressed_every_training_row_is_a_representative(data):
    X, y, X_test, y_test = data
    model = ecseq.ECSeqClassifier(compressor="none", controls=False, max_epochs=12).fit(X, y)
    assert len(model.representatives_.mass) == 960
    assert roc_auc(y_test, model.predict_proba(X_test)[:, 1]) > 0.85


def test_preset_paper_is_linear_and_has_no_gate(data):
    X, y, X_test, _ = data
    model = ecseq.ECSeqClassifier(preset="paper", max_epochs=20, controls=False).fit(X, y)
    # max_epochs is the caller's; the rest is the paper's.
    assert len(model.fit_report_["curve"]) <= 20
    assert model.fit_report_["gate"]["choice"] == "none"
    assert len(model.representatives_.mass) == 500
    # The cosine does not see a row's length, so half, whole and double rows are attached to the
    # same representatives, and the logit is linear in the length.
    half, whole, double = (model.decision_function(s * X_test[:50]) for s in (0.5, 1.0, 2.0))
    np.testing.assert_allclose(whole, half + (double - half) / 3, atol=1e-4)


def test_preset_best_reports_what_it_tried(data):
    X, y, X_test, y_test = data
    stages = []
    model = classifier(
        preset="best", time_budget=2.0, verbose=lambda stage, *_: stages.append(stage)
    ).fit(X, y)
    tried = model.fit_report_["tried"]
    assert tried[0]["changes"] == {}
    assert max(t["score"] for t in tried) == pytest.approx(
        (
            model.fit_report_["validation"]["ecseq"]["auc"]
            + model.fit_report_["validation"]["ecseq"]["ap"]
        )
        / 2
    )
    assert "search" in stages
    assert roc_auc(y_test, model.predict_proba(X_test)[:, 1]) > 0.85
    with pytest.raises(ValueError, match="time_budget"):
        classifier(preset="best", time_budget=0).fit(X, y)
    with pytest.raises(ValueError, match="preset: expected None, 'paper'"):
        classifier(preset="slow").fit(X, y)


def test_preset_fast_leaves_what_the_caller_chose(data):
    X, y, _, _ = data
    model = ecseq.ECSeqClassifier(preset="fast", max_epochs=4).fit(X, y)
    assert len(model.fit_report_["curve"]) <= 4
    assert len(model.representatives_.mass) == 100
    assert list(model.fit_report_["validation"]) == ["base", "ecseq"]


def sequences_problem(n: int, seed: int) -> ecseq.Sequences:
    """Labels hang on a product of two sums over the events."""
    rng = np.random.default_rng(seed)
    events = [rng.normal(size=(rng.integers(3, 12), 3)).astype(np.float32) for _ in range(n)]
    sums = np.array([e.sum(axis=0) / np.sqrt(len(e)) for e in events])
    labels = (sums[:, 0] * sums[:, 1] + 0.5 * rng.normal(size=n) > 0.2).astype(int)
    offsets = np.concatenate([[0], np.cumsum([len(e) for e in events])])
    step_labels = np.repeat(labels, np.diff(offsets))
    return ecseq.Sequences(np.concatenate(events), offsets, labels=step_labels)


def test_tuning_the_encoder_is_kept_where_validation_likes_it(tmp_path):
    train, validation = sequences_problem(900, 5), sequences_problem(400, 6)
    encoder = ecseq.SequenceEncoder("gru", hidden_size=8, max_epochs=2, random_state=0)
    encoder.fit(train, validation=validation)
    before = encoder.transform(validation)
    plain = ecseq.ECSeqClassifier(encoder, controls=False, n_representatives=30, max_epochs=10)
    plain.fit(train, validation=validation)
    tuned = clone(plain).set_params(tune_encoder=True, num_threads=1)
    tuned.fit(train, validation=validation)
    report = tuned.fit_report_["tuning"]
    score = {
        m: np.mean([r.fit_report_["validation"]["ecseq"][k] for k in ("auc", "ap")])
        for m, r in (("plain", plain), ("tuned", tuned))
    }
    assert score["tuned"] == pytest.approx(max(report["score"], report["tuned_score"]))
    assert report["score"] == pytest.approx(score["plain"])
    # An encoder of two epochs has much to learn, and the relation's loss teaches it.
    assert report["choice"] == "tuned"
    assert score["tuned"] > score["plain"] + 0.02
    np.testing.assert_array_equal(encoder.transform(validation), before)
    assert not np.array_equal(tuned.encoder_.transform(validation), before)
    tuned.save(tmp_path / "model.ecseq")
    scores = tuned.predict_proba(validation)
    np.testing.assert_array_equal(
        ecseq.load(tmp_path / "model.ecseq").predict_proba(validation), scores
    )
    again = clone(tuned).set_params(num_threads=2).fit(train, validation=validation)
    np.testing.assert_array_equal(again.predict_proba(validation), scores)


def test_what_cannot_be_tuned_is_refused(data):
    X, y, _, _ = data
    with pytest.raises(ValueError, match="tune_encoder: goes from an encoder"):
        classifier(tune_encoder=True).fit(X, y)


@pytest.mark.parametrize("aggregator", ["gru", "gnn"])
@pytest.mark.parametrize("similar", [False, True])
def test_remembered_labels_are_aggregated_by_a_learned_layer(tmp_path, aggregator, similar):
    """An event is bad if exactly one of the terminal's last two labels was: no sum says that."""
    rng = np.random.default_rng(7)
    n, last = 6000, {}
    X = rng.normal(size=(n, 3)).astype(np.float32)
    terminal, y = rng.integers(0, 40, n), np.zeros(n, dtype=int)
    for i, t in enumerate(terminal):
        before = last.setdefault(t, [0, 1])
        y[i] = rng.random() < (0.9 if before[-1] != before[-2] else 0.1)
        before.append(y[i])
    times = np.arange(n) * 600.0
    relations = [ecseq.EntityRelation("terminal", windows=("7d",), memory=4, aggregator=aggregator)]
    if similar:
        relations.append(ecseq.SimilarityRelation(20))
    model = ecseq.ECSeqClassifier(
        relations=relations,
        gnn="gat" if similar else "sage_mean",
        hidden_size=16,
        max_epochs=15,
        controls=False,
        num_threads=1,
    )
    given = {"entities": {"terminal": terminal[:4500]}, "times": times[:4500]}
    later = {"entities": {"terminal": terminal[4500:]}, "times": times[4500:]}
    model.fit(X[:4500], y[:4500], **given)
    scores = model.replay(X[4500:], y[4500:], **later)
    assert roc_auc(y[4500:], scores) > 0.8
    again = clone(model).set_params(num_threads=2).fit(X[:4500], y[:4500], **given)
    np.testing.assert_array_equal(again.replay(X[4500:], y[4500:], **later), scores)
    model.save(tmp_path / "model.ecseq")
    restored = ecseq.load(tmp_path / "model.ecseq")
    np.testing.assert_array_equal(restored.replay(X[4500:], y[4500:], **later), scores)
    one = {"entities": {"terminal": terminal[4500:4501]}, "times": times[4500:4501]}
    explained = model.explain(X[4500:4501], method="gradient", **one)[0]
    total = explained.own + explained.rest + explained.other_similar
    total += sum(case.contribution for case in [*explained.similar, *explained.entities])
    logit = model.decision_function(X[4500:4501], **one)[0]
    assert total == pytest.approx(logit, abs=1e-3)
    # Nothing later is heard: other labels after a moment change no score before it.
    changed = y.copy()
    changed[5500:] = 1 - changed[5500:]
    np.testing.assert_array_equal(
        model.replay(X[4500:], changed[4500:], **later)[:1000], scores[:1000]
    )


def test_where_labels_cannot_be_aggregated_one_by_one(data):
    X, y, _, _ = data
    relation = ecseq.EntityRelation("a", aggregator="gru")
    with pytest.raises(ValueError, match="one entity per row and times"):
        ecseq.ECSeqClassifier(relations=[relation]).fit(X, y, entities={"a": y})
    with pytest.raises(ValueError, match="aggregator"):
        ecseq.ECSeqClassifier(relations=[ecseq.EntityRelation("a", aggregator="lstm")]).fit(
            X, y, entities={"a": y}, times=np.arange(len(y))
        )


def test_cross_fitting_makes_a_layer_look_beyond_an_encoder_that_knows_its_rows():
    """Sequences of noise with entities that matter: the encoder learns its rows by heart."""
    rng = np.random.default_rng(8)

    def make(n: int) -> tuple[ecseq.Sequences, np.ndarray, np.ndarray]:
        offsets = np.arange(n + 1) * 4
        shop = rng.integers(0, 30, n)
        y = (rng.random(n) < np.where(shop % 3 == 0, 0.75, 0.25)).astype(int)
        return ecseq.Sequences(rng.normal(size=(4 * n, 8)).astype(np.float32), offsets), y, shop

    train, y, shop = make(600)
    test, y_test, shop_test = make(600)
    encoder = ecseq.SequenceEncoder("gru", hidden_size=48, max_epochs=40, patience=40)
    gain = {}
    for cross_fit in (None, 3):
        model = ecseq.ECSeqClassifier(
            encoder,
            relations=[ecseq.EntityRelation("shop")],
            embedding=False,
            gate=False,
            controls=False,
            cross_fit=cross_fit,
        ).fit(
            train,
            y,
            entities={"shop": shop},
            validation=(test, y_test, {"entities": {"shop": shop_test}}),
        )
        scores = model.predict_proba(test, entities={"shop": np.arange(600) % 30})[:, 1]
        expected = (np.arange(600) % 30) % 3 == 0
        gain[cross_fit] = roc_auc(expected.astype(int), scores)
    assert gain[3] > 0.9
    assert gain[3] >= gain[None]


def test_what_cannot_be_cross_fitted_is_refused(data):
    X, y, _, _ = data
    with pytest.raises(ValueError, match="cross_fit: takes sequences and an encoder"):
        classifier(cross_fit=3).fit(X, y)
    train = sequences_problem(60, 9)
    for wrong in (1, 2.5, True):
        with pytest.raises(ValueError, match="cross_fit: expected a number of folds"):
            ecseq.ECSeqClassifier("gru", cross_fit=wrong).fit(train)
    with pytest.raises(ValueError, match="embedding, residual: the relation layer needs one"):
        classifier(embedding=False, residual=False).fit(X, y)


def test_a_linear_layer_collapses_to_one_number_per_representative(data):
    """score = own part + sum of w_j s_j + constant, with s_j the same for every row."""
    X, y, X_test, _ = data
    model = classifier(activation="none", gate=False).fit(X, y)
    explained = model.explain(X_test, top=8)
    scalar: dict[int, float] = {}
    for explanation in explained[:400]:
        for case in explanation.similar:
            if case.weight > 0.05:
                scalar.setdefault(case.representative, case.contribution / case.weight)
    logits = model.decision_function(X_test)
    checked = 0
    for explanation, logit in zip(explained[400:], logits[400:], strict=True):
        if any(case.representative not in scalar for case in explanation.similar):
            continue
        collapsed = explanation.own + explanation.rest
        collapsed += sum(case.weight * scalar[case.representative] for case in explanation.similar)
        assert collapsed == pytest.approx(logit, abs=2e-5)
        checked += 1
    assert checked > 300


def test_a_constant_target_is_predicted_as_it_is(data):
    X, _, X_test, _ = data
    model = ecseq.ECSeqRegressor(max_epochs=3).fit(X, np.full(len(X), 7.5))
    np.testing.assert_allclose(model.predict(X_test), 7.5, atol=1e-3)


def test_a_class_that_the_training_part_lacks_is_named(data):
    X, y, _, _ = data
    validation = (X[:50], np.full(50, 5))
    with pytest.raises(ValueError, match="label 5 at row 0 is not one of the classes"):
        classifier().fit(X, y, validation=validation)
