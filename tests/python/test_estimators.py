"""ECSeqClassifier and ECSeqRegressor: results, relations, explanations, determinism."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

import ecseq
from conftest import DAY, Embeddings, make_embeddings, make_sequences

Batch = tuple[ecseq.Sequences, NDArray[np.int64]]


def split_of(model: Any, data: Embeddings) -> tuple[NDArray[Any], NDArray[Any]]:
    """The later fifth of the rows validates, as the estimators do it by default."""
    border = len(data.y) - round(0.2 * len(data.y))
    return np.arange(border), np.arange(border, len(data.y))


# ---- results


def test_beats_the_linear_base_where_the_label_is_not_linear() -> None:
    data, test = make_embeddings(3000, 5), make_embeddings(1000, 6)
    model = ecseq.ECSeqClassifier().fit(data.X, data.y)
    ours = roc_auc_score(test.y, model.predict_proba(test.X)[:, 1])
    base = roc_auc_score(test.y, model.base_scores(test.X))
    assert ours > base + 0.1


def test_entities_add_what_the_embedding_cannot_know(
    training: Embeddings, later: Embeddings, related: ecseq.ECSeqClassifier
) -> None:
    ours = roc_auc_score(
        later.y, related.replay(later.X, later.y, entities=later.entities, times=later.times)
    )
    mlp = roc_auc_score(later.y, related.control_scores(later.X, "mlp"))
    assert ours > mlp + 0.1


def test_shuffled_entities_add_nothing(
    training: Embeddings, later: Embeddings, relations: list[Any]
) -> None:
    rng = np.random.default_rng(0)
    model = ecseq.ECSeqClassifier(relations=relations, max_epochs=15).fit(
        training.X,
        training.y,
        entities={"terminal": rng.permutation(training.terminal)},
        times=training.times,
    )
    shuffled = {"terminal": rng.permutation(later.terminal)}
    ours = roc_auc_score(
        later.y, model.replay(later.X, later.y, entities=shuffled, times=later.times)
    )
    assert ours < roc_auc_score(later.y, model.control_scores(later.X, "mlp")) + 0.05


def test_untimed_entities_leave_the_row_itself_out(training: Embeddings) -> None:
    # Every row has an entity of its own: nothing can be learned from its label but its own.
    model = ecseq.ECSeqClassifier(relations=[ecseq.EntityRelation("own")], max_epochs=10)
    model.fit(training.X, training.y, entities={"own": np.arange(len(training.y))})
    found = model.fit_report_["validation"]
    assert found["ecseq"]["auc"] < found["mlp"]["auc"] + 0.05


def test_regression_learns_and_reports_in_the_targets_units() -> None:
    data, test = make_embeddings(3000, 5), make_embeddings(500, 6)
    target = 1000 + 50 * data.X[:, 0] * data.X[:, 1]
    expected = 1000 + 50 * test.X[:, 0] * test.X[:, 1]
    model = ecseq.ECSeqRegressor().fit(data.X, target)
    predicted = model.predict(test.X)
    assert predicted.shape == (500,)
    assert np.sqrt(np.mean((predicted - expected) ** 2)) < 0.5 * np.std(expected)
    assert abs(model.representatives_.label_mix.mean() - 1000) < 50
    assert abs(model.fit_report_["validation"]["base"]["rmse"] - np.std(expected)) < 15


def test_several_classes_with_names() -> None:
    data = make_embeddings(2000, 5)
    signal = data.X[:, 0] + data.X[:, 1] ** 2
    y = np.array(["low", "mid", "high"])[np.digitize(signal, [0.2, 1.5])]
    model = ecseq.ECSeqClassifier().fit(data.X, y)
    assert list(model.classes_) == ["high", "low", "mid"]
    proba = model.predict_proba(data.X)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    assert np.mean(model.predict(data.X) == y) > 0.8
    assert model.representatives_.label_mix.shape[1] == 3


@pytest.mark.parametrize("mode", ["targets", "compressed", "joint", "pretrain"])
def test_every_mode_is_better_than_chance(training: Embeddings, mode: str) -> None:
    model = ecseq.ECSeqClassifier(mode=mode, n_representatives=60, max_epochs=20)
    report = model.fit(training.X, training.y).fit_report_
    assert report["validation"]["ecseq"]["auc"] > 0.55
    assert report["curve"]


@pytest.mark.parametrize(
    "compressor",
    ["kmeans", "balanced_kmeans", "agc", "grain", "variation_edges", "heavy_edge", "k_center"],
)
@pytest.mark.parametrize("attach", ["knn", "epsilon"])
def test_compressors_and_attachments(training: Embeddings, compressor: str, attach: str) -> None:
    model = ecseq.ECSeqClassifier(
        compressor=compressor, attach=attach, n_representatives=30, epsilon=0.9, max_epochs=5
    ).fit(training.X, training.y)
    found = len(model.representatives_)
    assert found == 30 or (compressor == "grain" and 1 < found < 30)  # fewer cover all
    rate = model.fit_report_["isolation_rate"]
    assert rate == 0 if attach == "knn" else 0 < rate < 1


def test_balanced_counts_by_class(training: Embeddings) -> None:
    model = ecseq.ECSeqClassifier(
        compressor="balanced_kmeans", n_representatives={0: 12, 1: 3}, max_epochs=2
    ).fit(training.X, training.y)
    mix = model.representatives_.label_mix
    assert (mix[:, 0] == 1).sum() == 12
    assert (mix[:, 1] == 1).sum() == 3


def test_never_worse_than_the_base_on_validation() -> None:
    rng = np.random.default_rng(0)
    for seed in range(5):
        X = rng.normal(size=(300, 4)).astype(np.float32)
        y = (X[:, 0] + rng.normal(size=300) > 0).astype(int)  # nothing beyond a linear model
        report = ecseq.ECSeqClassifier(random_state=seed, max_epochs=10).fit(X, y).fit_report_
        ours, base = report["validation"]["ecseq"], report["validation"]["base"]
        assert ours["auc"] >= base["auc"]
        assert ours["ap"] >= base["ap"]
        assert ours["log_loss"] <= base["log_loss"]


def test_class_weight_raises_the_rare_class(training: Embeddings) -> None:
    rare = (np.arange(len(training.y)) % 20 == 0).astype(int)
    plain = ecseq.ECSeqClassifier(max_epochs=5).fit(training.X, rare)
    balanced = ecseq.ECSeqClassifier(max_epochs=5, class_weight="balanced").fit(training.X, rare)
    given = ecseq.ECSeqClassifier(max_epochs=5, class_weight={1: 19.0}).fit(training.X, rare)
    assert balanced.base_scores(training.X).mean() > plain.base_scores(training.X).mean() + 0.2
    assert given.base_scores(training.X).mean() > plain.base_scores(training.X).mean() + 0.2


# ---- report


def test_the_report_says_what_was_done(related: ecseq.ECSeqClassifier) -> None:
    report = related.fit_report_
    assert set(report["validation"]) == {"base", "ecseq", "logistic_regression", "mlp"}
    for found in report["validation"].values():
        assert set(found) == {"auc", "ap", "recall_at_p90", "log_loss"}
    seconds = report["seconds"]
    assert {"encoder", "base", "compress", "attach", "gnn", "gate", "total"} <= set(seconds)
    assert seconds["total"] == pytest.approx(
        sum(value for name, value in seconds.items() if name != "total")
    )
    assert report["gate"]["choice"] in ("stacked", "base")
    assert report["n_training"] + report["n_validation"] == 1500
    assert [epoch["epoch"] for epoch in report["curve"]] == list(range(1, len(report["curve"]) + 1))
    assert report["n_representatives"] == len(related.representatives_)
    assert report["n_entities"] == {"terminal": 40}


def test_reported_metrics_are_scikit_learns(training: Embeddings) -> None:
    data = make_embeddings(2000, 7)
    rows, held_out = np.arange(1500), np.arange(1500, 2000)
    model = ecseq.ECSeqClassifier(max_epochs=5).fit(
        data.X[rows], data.y[rows], validation=(data.X[held_out], data.y[held_out])
    )
    scores = model.predict_proba(data.X[held_out])[:, 1]
    found = model.fit_report_["validation"]["ecseq"]
    assert found["auc"] == pytest.approx(roc_auc_score(data.y[held_out], scores), abs=1e-6)
    assert found["ap"] == pytest.approx(average_precision_score(data.y[held_out], scores), abs=1e-6)


def test_representatives_stand_for_the_training_rows(training: Embeddings) -> None:
    model = ecseq.ECSeqClassifier(n_representatives=25, max_epochs=2).fit(training.X, training.y)
    found = model.representatives_
    assert found.vectors.shape == (25, 5)
    assert found.mass.sum() == model.fit_report_["n_training"]
    np.testing.assert_allclose(found.label_mix.sum(axis=1), 1)
    # Medoids are rows of X as the caller numbers them, and near their representative.
    nearest = np.linalg.norm(training.X[found.medoids] - found.vectors, axis=1)
    typical = np.linalg.norm(training.X - training.X.mean(axis=0), axis=1).mean()
    assert nearest.mean() < 0.5 * typical
    assert len(set(found.medoids.tolist())) == 25


# ---- determinism


def test_threads_do_not_change_a_bit(
    training: Embeddings, later: Embeddings, relations: list[Any]
) -> None:
    scores = [
        ecseq.ECSeqClassifier(relations=relations, max_epochs=5, num_threads=threads)
        .fit(training.X, training.y, entities=training.entities, times=training.times)
        .replay(later.X, later.y, entities=later.entities, times=later.times)
        for threads in (1, 2)
    ]
    np.testing.assert_array_equal(scores[0], scores[1])


def test_seeds_matter_and_are_reproducible(training: Embeddings) -> None:
    def scores(seed: Any) -> NDArray[np.float32]:
        model = ecseq.ECSeqClassifier(max_epochs=3, random_state=seed)
        return model.fit(training.X, training.y).predict_proba(training.X)

    np.testing.assert_array_equal(scores(1), scores(1))
    assert not np.array_equal(scores(1), scores(2))
    np.testing.assert_array_equal(
        scores(np.random.RandomState(3)), scores(np.random.RandomState(3))
    )


@pytest.mark.filterwarnings("ignore::ecseq.StaleStateWarning")
def test_a_score_does_not_depend_on_its_batch(
    related: ecseq.ECSeqClassifier, later: Embeddings
) -> None:
    batch = related.predict_proba(later.X, entities=later.entities, times=later.times)
    order = np.random.default_rng(0).permutation(len(later.y))
    shuffled = related.predict_proba(
        later.X[order], entities={"terminal": later.terminal[order]}, times=later.times[order]
    )
    np.testing.assert_array_equal(batch[order], shuffled)
    for i in (0, 7, 399):
        alone = related.predict_proba(
            later.X[i : i + 1],
            entities={"terminal": later.terminal[i : i + 1]},
            times=later.times[i : i + 1],
        )
        np.testing.assert_array_equal(alone[0], batch[i])


# ---- time


def test_replay_sees_no_future_event_or_label(
    related: ecseq.ECSeqClassifier, later: Embeddings
) -> None:
    before = related.replay(later.X, later.y, entities=later.entities, times=later.times)
    half = 200
    moved = later.terminal.copy()
    moved[half:] = moved[0]
    times = later.times.copy()
    times[half:] += DAY
    changed = related.replay(
        later.X,
        np.concatenate([later.y[:half], 1 - later.y[half:]]),
        entities={"terminal": moved},
        times=times,
    )
    np.testing.assert_array_equal(before[:half], changed[:half])
    assert not np.array_equal(before[half:], changed[half:])


def test_replay_does_not_depend_on_the_order_of_rows(
    related: ecseq.ECSeqClassifier, later: Embeddings
) -> None:
    in_order = related.replay(later.X, later.y, entities=later.entities, times=later.times)
    order = np.random.default_rng(0).permutation(len(later.y))
    shuffled = related.replay(
        later.X[order],
        later.y[order],
        entities={"terminal": later.terminal[order]},
        times=later.times[order],
    )
    np.testing.assert_array_equal(in_order[order], shuffled)


def test_partial_fit_advances_the_entities_as_a_replay_does(
    training: Embeddings, later: Embeddings
) -> None:
    model = ecseq.ECSeqClassifier(
        relations=[ecseq.EntityRelation("terminal", label_delay="1d")], max_epochs=5
    ).fit(training.X, training.y, entities=training.entities, times=training.times)
    whole = model.replay(later.X, later.y, entities=later.entities, times=later.times)
    half = 200
    first, second = slice(0, half), slice(half, None)
    assert (
        model.partial_fit(
            later.X[first],
            later.y[first],
            entities={"terminal": later.terminal[first]},
            times=later.times[first],
        )
        is model
    )
    assert model.update_report_ is None
    rest = model.replay(
        later.X[second],
        later.y[second],
        entities={"terminal": later.terminal[second]},
        times=later.times[second],
    )
    np.testing.assert_array_equal(whole[second], rest)


def test_partial_fit_moves_the_representatives_and_no_layer(
    training: Embeddings, later: Embeddings, relations: list[Any]
) -> None:
    model = ecseq.ECSeqClassifier(relations=relations, max_epochs=5).fit(
        training.X, training.y, entities=training.entities, times=training.times
    )
    before = model.representatives_
    base = model.base_scores(later.X)
    shifted = later.X + np.float32(4.0)
    model.partial_fit(shifted, later.y, entities=later.entities, times=later.times)
    after = model.representatives_
    assert len(after.mass) > len(before.mass), "rows far from all make representatives"
    np.testing.assert_allclose(after.mass.sum(), before.mass.sum())
    assert model.update_report_["rows"] == len(later.X)
    assert model.update_report_["beyond_radius"] > 0.5
    np.testing.assert_array_equal(model.base_scores(later.X), base)
    scores = model.predict_proba(shifted, entities=later.entities, times=later.times)
    assert np.isfinite(scores).all()


def test_a_never_seen_entity_has_a_defined_answer(
    related: ecseq.ECSeqClassifier, later: Embeddings
) -> None:
    rows = slice(0, 5)
    unseen = related.predict_proba(
        later.X[rows], entities={"terminal": ["new"] * 5}, times=later.times[rows]
    )
    none = related.predict_proba(
        later.X[rows], entities={"terminal": [None] * 5}, times=later.times[rows]
    )
    assert np.isfinite(unseen).all()
    np.testing.assert_array_equal(unseen, none)


@pytest.mark.filterwarnings("ignore::ecseq.StaleStateWarning")
def test_ids_are_the_same_as_numbers_and_as_text(
    related: ecseq.ECSeqClassifier, later: Embeddings
) -> None:
    numbers = related.predict_proba(later.X, entities=later.entities, times=later.times)
    text = related.predict_proba(
        later.X, entities={"terminal": [str(t) for t in later.terminal]}, times=later.times
    )
    np.testing.assert_array_equal(numbers, text)


def test_datetimes_are_times(training: Embeddings, relations: list[Any]) -> None:
    seconds = ecseq.ECSeqClassifier(relations=relations, max_epochs=2).fit(
        training.X, training.y, entities=training.entities, times=np.round(training.times)
    )
    dates = np.round(training.times).astype("datetime64[s]")
    datetimes = ecseq.ECSeqClassifier(relations=relations, max_epochs=2).fit(
        training.X, training.y, entities=training.entities, times=dates
    )
    assert seconds.fit_report_["validation"] == datetimes.fit_report_["validation"]


# ---- explanations


def test_explanations_name_cases_and_their_effect(
    related: ecseq.ECSeqClassifier, later: Embeddings
) -> None:
    found = related.explain(
        later.X[:20], entities={"terminal": later.terminal[:20]}, times=later.times[:20], top=3
    )
    proba = related.predict_proba(
        later.X[:20], entities={"terminal": later.terminal[:20]}, times=later.times[:20]
    )
    assert len(found) == 20
    for row, explanation in enumerate(found):
        assert explanation.score == pytest.approx(proba[row, 1], abs=1e-6)
        assert len(explanation.similar) == 3
        effects = [abs(case.contribution) for case in explanation.similar]
        assert effects == sorted(effects, reverse=True)
        for case in explanation.similar:
            assert sum(case.label_mix.values()) == pytest.approx(1)
            assert ((case.cases >= 0) & (case.cases < 1500)).all()
        (entity,) = explanation.entities
        assert entity.by == "terminal"
        assert entity.entity == later.terminal[row]
        assert entity.known
        assert entity.facts["events"] > 0
        assert "terminal" in str(explanation)
    assert len(found.to_frame()) == 20 * 4


def test_an_entitys_contribution_is_what_its_absence_changes(
    related: ecseq.ECSeqClassifier, later: Embeddings
) -> None:
    rows = slice(0, 30)
    there = related.decision_function(
        later.X[rows], entities={"terminal": later.terminal[rows]}, times=later.times[rows]
    )
    absent = related.decision_function(
        later.X[rows], entities={"terminal": [None] * 30}, times=later.times[rows]
    )
    found = related.explain(
        later.X[rows], entities={"terminal": later.terminal[rows]}, times=later.times[rows]
    )
    np.testing.assert_allclose(
        [e.entities[0].contribution for e in found], there - absent, atol=1e-4
    )
    bad = np.random.default_rng(99).random(40) < 0.3
    contributions = np.array([e.entities[0].contribution for e in found])
    is_bad = bad[later.terminal[rows]]
    assert contributions[is_bad].mean() > contributions[~is_bad].mean() + 1


def test_regression_explanations_are_in_the_targets_units() -> None:
    data = make_embeddings(600, 5)
    model = ecseq.ECSeqRegressor(max_epochs=5).fit(data.X, 100 + data.X[:, 0] ** 2)
    (explanation,) = model.explain(data.X[:1])
    assert explanation.score == pytest.approx(float(model.predict(data.X[:1])[0]), abs=1e-4)
    assert explanation.label is None
    assert 90 < explanation.similar[0].label_mix < 120


# ---- sequences


def test_trains_an_encoder_by_name(sequences: Batch) -> None:
    batch, y = sequences
    model = ecseq.ECSeqClassifier("lstm", max_epochs=5).fit(batch, y)
    assert model.encoder_.hidden_size == 32
    assert model.fit_report_["seconds"]["encoder"] > 0
    assert model.fit_report_["base"] == "encoder head"
    assert model.predict_proba(batch).shape == (600, 2)
    assert model.transform(batch).shape == (600, 32)


def test_a_fitted_encoder_is_the_base_and_stays_as_it_is(
    encoder: ecseq.SequenceEncoder, sequences: Batch
) -> None:
    batch, y = sequences
    before = encoder.transform(batch)
    model = ecseq.ECSeqClassifier(encoder, max_epochs=5).fit(batch, y)
    assert model.encoder_ is encoder
    np.testing.assert_array_equal(before, encoder.transform(batch))
    np.testing.assert_allclose(
        model.base_scores(batch), encoder.predict_proba(batch)[:, 1], atol=1e-6
    )


def test_the_embedding_of_a_sequence_is_plug_and_play(
    encoder: ecseq.SequenceEncoder, sequences: Batch
) -> None:
    batch, y = sequences
    model = ecseq.ECSeqClassifier(max_epochs=5).fit(encoder.transform(batch), y)
    assert roc_auc_score(y, model.predict_proba(encoder.transform(batch))[:, 1]) > 0.8


def test_frames_carry_labels_entities_and_times() -> None:
    pandas = pytest.importorskip("pandas")
    data = make_embeddings(1200, 4)
    frame = pandas.DataFrame(
        {
            "card": np.arange(1200) % 60,
            "ts": pandas.to_datetime(data.times, unit="s"),
            "amount": data.X[:, 0],
            "hour": data.X[:, 1],
            "fraud": data.y,
            "terminal": data.terminal,
        }
    )
    batch = ecseq.Sequences.from_frame(
        frame, by="card", time="ts", features=["amount", "hour"], label="fraud",
        entities=["terminal"],
    ).windows(5)  # fmt: skip
    model = ecseq.ECSeqClassifier(
        "lstm",
        relations=[ecseq.EntityRelation("terminal", windows=("7d",), label_delay="1d")],
        max_epochs=5,
    ).fit(batch[batch.end_times < 50 * DAY])
    rest = batch[batch.end_times >= 50 * DAY]
    assert model.replay(rest).shape == (len(rest),)
    (explanation,) = model.explain(rest[:1])
    assert explanation.entities[0].by == "terminal"


def test_sequences_of_any_length_score_alone_as_in_a_batch(
    encoder: ecseq.SequenceEncoder,
) -> None:
    batch, y = make_sequences(200, 8)
    model = ecseq.ECSeqClassifier(encoder, max_epochs=3).fit(batch, y)
    together = model.predict_proba(batch)
    for i in (0, 3, 150):
        np.testing.assert_array_equal(model.predict_proba(batch[i : i + 1])[0], together[i])


@pytest.mark.filterwarnings("ignore::ecseq.StaleStateWarning")
def test_score_takes_what_predict_takes(related: ecseq.ECSeqClassifier, later: Embeddings) -> None:
    arguments: dict[str, Any] = {"entities": later.entities, "times": later.times}
    predicted = related.predict(later.X, **arguments)
    assert related.score(later.X, later.y, **arguments) == np.mean(predicted == later.y)


def test_score_of_sequences_uses_the_labels_they_carry(encoder: ecseq.SequenceEncoder) -> None:
    batch, y = make_sequences(200, 8)
    labelled = ecseq.Sequences(batch.values, batch.offsets, labels=np.repeat(y, batch.lengths))
    model = ecseq.ECSeqClassifier(encoder, max_epochs=2).fit(labelled)
    assert model.score(labelled) == model.score(batch, y)


def test_the_base_of_embeddings_is_scikit_learns_logistic_regression(
    training: Embeddings,
) -> None:
    from sklearn.linear_model import LogisticRegression

    y = (training.X[:, 0] + np.random.default_rng(0).normal(size=1500) > 0.5).astype(int)
    rows, held_out = slice(0, 1000), slice(1000, None)
    validation = (training.X[held_out], y[held_out])
    ours = ecseq.ECSeqClassifier(max_epochs=1).fit(training.X[rows], y[rows], validation=validation)
    mean, std = training.X[rows].mean(axis=0), training.X[rows].std(axis=0)
    theirs = LogisticRegression(C=1.0, tol=1e-8).fit((training.X[rows] - mean) / std, y[rows])
    np.testing.assert_allclose(
        ours.base_scores(training.X),
        theirs.predict_proba((training.X - mean) / std)[:, 1],
        atol=1e-4,
    )
