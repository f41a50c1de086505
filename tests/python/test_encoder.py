"""SequenceEncoder."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

import ecseq
from conftest import make_sequences

Batch = tuple[ecseq.Sequences, NDArray[np.int64]]


def test_learns_what_an_order_free_summary_cannot() -> None:
    rng = np.random.default_rng(0)
    events = [rng.normal(size=(10, 1)).astype(np.float32) for _ in range(3000)]
    # Which half holds the larger sum: the mean over time says nothing.
    y = np.array([int(x[5:].sum() > x[:5].sum()) for x in events])
    batch = ecseq.Sequences.from_list(events)
    encoder = ecseq.SequenceEncoder(hidden_size=12, learning_rate=0.01)
    encoder.fit(batch[:2500], y[:2500])
    auc = roc_auc_score(y[2500:], encoder.predict_proba(batch[2500:])[:, 1])
    assert auc > 0.95


def test_a_gru_learns_it_too_and_survives_pickle_and_model_file(
    sequences: Batch, tmp_path: Path
) -> None:
    batch, y = sequences
    encoder = ecseq.SequenceEncoder("gru", hidden_size=9, learning_rate=0.01).fit(batch, y)
    assert roc_auc_score(y, encoder.predict_proba(batch)[:, 1]) > 0.9
    copy = pickle.loads(pickle.dumps(encoder))
    assert copy.cell == "gru"
    np.testing.assert_array_equal(copy.transform(batch), encoder.transform(batch))
    model = ecseq.ECSeqClassifier(encoder, max_epochs=2).fit(batch, y)
    model.save(tmp_path / "gru.ecseq")
    loaded = ecseq.load(tmp_path / "gru.ecseq")
    assert loaded.encoder_.cell == "gru"
    np.testing.assert_array_equal(loaded.predict_proba(batch), model.predict_proba(batch))
    named = ecseq.ECSeqClassifier("gru", max_epochs=2).fit(batch, y)
    assert named.encoder_.cell == "gru"


def test_layers_and_directions_survive_pickle_and_model_file(
    sequences: Batch, tmp_path: Path
) -> None:
    batch, y = sequences
    encoder = ecseq.SequenceEncoder(
        "gru", hidden_size=5, n_layers=2, bidirectional=True, dropout=0.1, learning_rate=0.01
    ).fit(batch, y)
    assert encoder.transform(batch).shape == (600, 10)
    assert roc_auc_score(y, encoder.predict_proba(batch)[:, 1]) > 0.9
    copy = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(copy.transform(batch), encoder.transform(batch))
    model = ecseq.ECSeqClassifier(encoder, max_epochs=2).fit(batch, y)
    model.save(tmp_path / "gru.ecseq")
    loaded = ecseq.load(tmp_path / "gru.ecseq")
    assert loaded.encoder_.n_layers == 2
    assert loaded.encoder_.bidirectional
    assert loaded.encoder_.dropout == 0.1
    np.testing.assert_array_equal(loaded.predict_proba(batch), model.predict_proba(batch))


@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_pooling_learns_and_survives_model_file(
    sequences: Batch, tmp_path: Path, cell: str, pooling: str
) -> None:
    batch, y = sequences
    encoder = ecseq.SequenceEncoder(
        cell, hidden_size=6, pooling=pooling, bidirectional=True, learning_rate=0.01
    ).fit(batch, y)
    assert roc_auc_score(y, encoder.predict_proba(batch)[:, 1]) > 0.9
    embedding = encoder.transform(batch)
    for row in (0, 5, 599):
        np.testing.assert_array_equal(encoder.transform(batch[row : row + 1])[0], embedding[row])
    model = ecseq.ECSeqClassifier(encoder, max_epochs=2).fit(batch, y)
    model.save(tmp_path / "model.ecseq")
    loaded = ecseq.load(tmp_path / "model.ecseq")
    assert loaded.encoder_.pooling == pooling
    np.testing.assert_array_equal(loaded.predict_proba(batch), model.predict_proba(batch))


def test_shapes_and_classes(encoder: ecseq.SequenceEncoder, sequences: Batch) -> None:
    batch, y = sequences
    assert encoder.transform(batch).shape == (600, 7)
    assert encoder.transform(batch).dtype == np.float32
    proba = encoder.predict_proba(batch)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(encoder.predict(batch), encoder.classes_[proba.argmax(axis=1)])
    assert np.mean(encoder.predict(batch) == y) > 0.8
    assert encoder.n_features_in_ == 3


def test_several_classes_and_regression() -> None:
    batch, _ = make_sequences(900, 1)
    total = np.array([x[:, 0].sum() for x in batch])
    names = np.array(["down", "flat", "up"])[np.digitize(total, [-1, 1])]
    classifier = ecseq.SequenceEncoder(hidden_size=8, learning_rate=0.01).fit(batch, names)
    assert list(classifier.classes_) == ["down", "flat", "up"]
    assert np.mean(classifier.predict(batch) == names) > 0.7
    regressor = ecseq.SequenceEncoder(hidden_size=8, learning_rate=0.01)
    regressor.fit(batch, 50 + 10 * total)
    residual = regressor.predict(batch) - (50 + 10 * total)
    assert residual.std() < 0.5 * (10 * total).std()
    with pytest.raises(AttributeError, match="regression"):
        regressor.predict_proba(batch)


def test_whole_numbers_are_classes_unless_said_otherwise(sequences: Batch) -> None:
    batch, y = sequences
    fitted = ecseq.SequenceEncoder(hidden_size=3, max_epochs=1, task="regression").fit(batch, y)
    assert not hasattr(fitted, "classes_")


def test_padding_does_not_exist(encoder: ecseq.SequenceEncoder, sequences: Batch) -> None:
    batch, _ = sequences
    together = encoder.transform(batch)
    for i in (0, 11, 599):
        np.testing.assert_array_equal(encoder.transform(batch[i : i + 1])[0], together[i])
    padded = np.full((5, 20, 3), 7.5, dtype=np.float32)
    lengths = [len(batch[i]) for i in range(5)]
    for i in range(5):
        padded[i, : lengths[i]] = batch[i]
    np.testing.assert_array_equal(
        encoder.transform(ecseq.Sequences.from_padded(padded, lengths)), together[:5]
    )


def test_threads_and_seeds(sequences: Batch) -> None:
    batch, y = sequences

    def embedding(**options: Any) -> NDArray[np.float32]:
        encoder = ecseq.SequenceEncoder(hidden_size=9, max_epochs=3, **options)
        return encoder.fit(batch, y).transform(batch)

    one = embedding(num_threads=1, random_state=1)
    np.testing.assert_array_equal(one, embedding(num_threads=2, random_state=1))
    assert not np.array_equal(one, embedding(num_threads=2, random_state=2))


def test_early_stopping_restores_the_best_weights(sequences: Batch) -> None:
    batch, y = sequences
    held_out = make_sequences(300, 77)
    encoder = ecseq.SequenceEncoder(
        hidden_size=24, learning_rate=0.02, max_epochs=60, patience=3
    ).fit(batch, y, validation=held_out)
    report = encoder.fit_report_
    curve = [epoch["validation_score"] for epoch in report["curve"]]
    assert report["stop_reason"] == "early_stopping"
    assert len(curve) == report["best_epoch"] + 3
    assert max(curve) == curve[report["best_epoch"] - 1]
    scores = encoder.predict_proba(held_out[0])[:, 1]
    from sklearn.metrics import average_precision_score

    best = 0.5 * (roc_auc_score(held_out[1], scores) + average_precision_score(held_out[1], scores))
    assert best == pytest.approx(max(curve), abs=1e-6)


def test_class_weight(sequences: Batch) -> None:
    batch, _ = sequences
    rare = (np.arange(600) % 20 == 0).astype(int)
    options: dict[str, Any] = {"hidden_size": 4, "max_epochs": 5}
    plain = ecseq.SequenceEncoder(**options).fit(batch, rare)
    balanced = ecseq.SequenceEncoder(**options, class_weight="balanced").fit(batch, rare)
    assert (
        balanced.predict_proba(batch)[:, 1].mean() > plain.predict_proba(batch)[:, 1].mean() + 0.1
    )


def test_features_of_any_scale_are_standardised(sequences: Batch) -> None:
    batch, y = sequences
    wide = ecseq.Sequences(
        batch.values * np.array([1e6, 1e-6, 1], np.float32) + np.array([0, 0, 1e4], np.float32),
        batch.offsets,
    )
    plain = ecseq.SequenceEncoder(hidden_size=8, max_epochs=8, learning_rate=0.01).fit(batch, y)
    scaled = ecseq.SequenceEncoder(hidden_size=8, max_epochs=8, learning_rate=0.01).fit(wide, y)
    assert roc_auc_score(y, scaled.predict_proba(wide)[:, 1]) == pytest.approx(
        roc_auc_score(y, plain.predict_proba(batch)[:, 1]), abs=0.02
    )


def test_the_latest_sequences_validate_when_there_are_times() -> None:
    rng = np.random.default_rng(0)
    n = 400
    times = np.arange(2.0 * n)
    labels = np.repeat(rng.integers(0, 2, n), 2)
    batch = ecseq.Sequences(
        rng.normal(size=(2 * n, 2)), np.arange(0, 2 * n + 1, 2), times=times, labels=labels
    )
    by_default = ecseq.SequenceEncoder(hidden_size=3, max_epochs=2).fit(batch)
    explicit = ecseq.SequenceEncoder(hidden_size=3, max_epochs=2).fit(
        batch[: int(0.8 * n)], validation=batch[int(0.8 * n) :]
    )
    np.testing.assert_array_equal(by_default.transform(batch), explicit.transform(batch))


def test_progress_reaches_a_callable_and_stderr(
    sequences: Batch, capfd: pytest.CaptureFixture[str]
) -> None:
    batch, y = sequences
    seen: list[tuple[str, int, int, str]] = []
    ecseq.SequenceEncoder(
        hidden_size=3, max_epochs=2, verbose=lambda *event: seen.append(event)
    ).fit(batch, y)
    assert {stage for stage, *_ in seen} == {"encoder"}
    assert all(0 <= done <= total for _, done, total, _ in seen)
    ecseq.SequenceEncoder(hidden_size=3, max_epochs=2, verbose=True).fit(batch, y)
    out, err = capfd.readouterr()
    assert out == ""
    assert "ecseq: encoder" in err


def test_clone_is_unfitted(encoder: ecseq.SequenceEncoder) -> None:
    copy = clone(encoder)
    assert copy.hidden_size == 7
    assert not copy.__sklearn_is_fitted__()


def test_divergence_is_an_error_with_advice(sequences: Batch) -> None:
    batch, y = sequences
    encoder = ecseq.SequenceEncoder(
        task="regression", learning_rate=1e30, clip_norm=0.0, max_epochs=3
    )
    with pytest.raises(ecseq.TrainingDiverged, match=r"learning_rate|learning rate|clip"):
        encoder.fit(batch, y * 1.0)
