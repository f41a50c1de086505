"""Bad input: a clear error before any work, and the object is as it was before."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import ecseq
from conftest import Embeddings

Batch = tuple[ecseq.Sequences, NDArray[np.int64]]


def refused(model: Any, message: str, *args: Any, error: Any = ValueError, **kwargs: Any) -> None:
    before = copy.deepcopy(model.__dict__) if not hasattr(model, "_model") else None
    with pytest.raises(error, match=message):
        model.fit(*args, **kwargs)
    if before is not None:
        assert set(vars(model)) == set(before)


@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "inf")])
def test_a_value_that_is_not_finite_is_named(training: Embeddings, value: float, name: str) -> None:
    X = training.X.copy()
    X[17, 3] = value
    refused(ecseq.ECSeqClassifier(), "(?s)(?=.*17)(?=.*3)" + f"(?=.*{name})", X, training.y)


def test_columns_of_a_frame_are_named(training: Embeddings) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(training.X, columns=["a", "b", "amount", "d", "e"])
    frame.loc[5, "amount"] = np.nan
    refused(ecseq.ECSeqClassifier(), "amount", frame, training.y)


def test_zero_rows() -> None:
    refused(ecseq.ECSeqClassifier(), "0 sample", np.zeros((0, 3)), np.zeros(0))


def test_one_class_only(training: Embeddings) -> None:
    refused(ecseq.ECSeqClassifier(), "one class", training.X, np.ones(1500))


def test_labels_of_another_length(training: Embeddings, sequences: Batch) -> None:
    refused(ecseq.ECSeqClassifier(), "inconsistent numbers", training.X, training.y[:-1])
    refused(ecseq.ECSeqClassifier("lstm"), "expected 600 labels", sequences[0], sequences[1][:-1])
    refused(ecseq.SequenceEncoder(), "expected 600 labels", sequences[0], sequences[1][:-1])


def test_labels_that_are_not_finite(training: Embeddings) -> None:
    y = training.y.astype(float)
    y[3] = np.nan
    refused(ecseq.ECSeqRegressor(), "NaN|row 3", training.X, y)


def test_another_number_of_columns_at_prediction(
    training: Embeddings, encoder: ecseq.SequenceEncoder
) -> None:
    model = ecseq.ECSeqClassifier(max_epochs=1).fit(training.X, training.y)
    with pytest.raises(ValueError, match="X has 4 features, but ECSeqClassifier is expecting 5"):
        model.predict(training.X[:, :4])
    with pytest.raises(ValueError, match="events have 2 features, the encoder was fitted on 3"):
        encoder.transform(ecseq.Sequences.from_list([np.zeros((4, 2))]))


def test_more_representatives_than_distinct_rows(training: Embeddings) -> None:
    X = np.repeat(training.X[:30], 50, axis=0)
    refused(
        ecseq.ECSeqClassifier(n_representatives=31),
        "31 asked for, but X has only 30 distinct rows",
        X,
        training.y,
    )
    assert len(ecseq.ECSeqClassifier(max_epochs=1).fit(X, training.y).representatives_) <= 30


@pytest.mark.parametrize(
    ("option", "listed"),
    [
        ({"compressor": "magic"}, "'kmeans', 'kron', 'medoids'"),
        ({"attach": "magic"}, "'knn', 'epsilon'"),
        ({"gnn": "magic"}, "'sage_mean'"),
        ({"mode": "magic"}, "'targets', 'compressed', 'joint', 'pretrain'"),
        ({"class_weight": "magic"}, "'balanced'"),
        ({"n_representatives": 0}, "n_representatives: expected at least 1, got 0"),
        ({"n_representatives": 2.5}, "n_representatives: expected an integer"),
        ({"n_representatives": {0: 5}}, "balanced_kmeans"),
        ({"n_neighbors": 0}, "n_neighbors: expected at least 1"),
        ({"epsilon": 1.5}, "epsilon: expected a cosine"),
        ({"hidden_size": 0}, "hidden_size: expected at least 1"),
        ({"max_epochs": 0}, "max_epochs: expected at least 1"),
        ({"learning_rate": 0.0}, "learning_rate: expected a positive number"),
        ({"dropout": 1.0}, "dropout"),
        ({"validation_fraction": 1.5}, "validation_fraction: expected a number between 0 and 1"),
        ({"random_state": -1}, "random_state"),
        ({"num_threads": 0}, "num_threads: expected at least 1"),
        ({"relations": []}, "at least one relation"),
        ({"relations": ["entity"]}, "expected SimilarityRelation or EntityRelation"),
        ({"class_weight": {7: 1.0}}, "7 is not one of the classes"),
    ],
)
def test_unknown_option_values_list_the_valid_ones(
    training: Embeddings, option: dict[str, Any], listed: str
) -> None:
    refused(ecseq.ECSeqClassifier(**option), listed, training.X, training.y)


@pytest.mark.parametrize(
    ("option", "listed"),
    [
        ({"cell": "rnn"}, "cell: 'rnn' is not one of 'lstm', 'gru'"),
        ({"task": "ranking"}, "'auto', 'classification', 'regression'"),
        ({"hidden_size": -1}, "hidden_size: expected at least 1"),
        ({"pooling": "median"}, "pooling: 'median' is not one of 'last', 'mean', 'max'"),
        ({"n_layers": 0}, "n_layers: expected at least 1"),
        ({"n_layers": 5}, "n_layers: expected 1 to 4, got 5"),
        ({"dropout": 1.0}, "dropout: expected at least 0 and below 1"),
        ({"class_weight": "magic"}, "'balanced'"),
    ],
)
def test_encoder_options(sequences: Batch, option: dict[str, Any], listed: str) -> None:
    refused(ecseq.SequenceEncoder(**option), listed, *sequences)


@pytest.mark.parametrize(
    "relation",
    [
        ecseq.EntityRelation("t", windows=("7 fortnights",)),
        ecseq.EntityRelation("t", label_delay="-1d"),
        ecseq.EntityRelation("t", label_delay="all"),
        ecseq.EntityRelation("t", memory=0),
        ecseq.EntityRelation(""),
    ],
)
def test_entity_options(training: Embeddings, relation: ecseq.EntityRelation) -> None:
    refused(
        ecseq.ECSeqClassifier(relations=[relation]),
        "windows|label_delay|memory|by",
        training.X,
        training.y,
        entities={"t": training.terminal},
    )


def test_entities_and_times_that_do_not_fit(training: Embeddings, relations: list[Any]) -> None:
    model = ecseq.ECSeqClassifier(relations=relations)
    refused(model, "'terminal' is needed", training.X, training.y)
    refused(model, "terminal", training.X, training.y, entities={"terminal": [1, 2]})
    refused(
        model, "times", training.X, training.y, entities=training.entities, times=training.times[:9]
    )
    wrong = training.times.copy()
    wrong[4] = np.nan
    refused(model, "times", training.X, training.y, entities=training.entities, times=wrong)
    refused(
        model,
        "times",
        training.X,
        training.y,
        entities=training.entities,
        times=np.full(1500, 7.0),
    )


@pytest.mark.filterwarnings("ignore::ecseq.StaleStateWarning")
def test_a_timed_model_wants_to_know_as_of_when(
    related: ecseq.ECSeqClassifier, later: Embeddings
) -> None:
    with pytest.raises(ValueError, match="as of when"):
        related.predict_proba(later.X, entities=later.entities)
    with pytest.raises(ValueError, match="'terminal' is needed"):
        related.predict_proba(later.X, times=later.times)


def test_replay_of_an_untimed_model(training: Embeddings) -> None:
    model = ecseq.ECSeqClassifier(relations=[ecseq.EntityRelation("terminal")], max_epochs=1)
    model.fit(training.X, training.y, entities=training.entities)
    with pytest.raises(ValueError, match="replay needs"):
        model.replay(training.X, training.y, entities=training.entities)


def test_before_fit(training: Embeddings, sequences: Batch) -> None:
    from sklearn.exceptions import NotFittedError

    for call in (
        lambda: ecseq.ECSeqClassifier().predict(training.X),
        lambda: ecseq.ECSeqClassifier().explain(training.X),
        lambda: ecseq.ECSeqRegressor().predict(training.X),
        lambda: ecseq.ECSeqClassifier().save("x.ecseq"),
        lambda: ecseq.SequenceEncoder().transform(sequences[0]),
        lambda: ecseq.SequenceEncoder().predict(sequences[0]),
    ):
        with pytest.raises(NotFittedError):
            call()


def test_sequences_and_matrices_are_not_mixed_up(
    training: Embeddings, sequences: Batch, encoder: ecseq.SequenceEncoder
) -> None:
    batch, y = sequences
    refused(ecseq.ECSeqClassifier(), "encoder", batch, y)
    refused(ecseq.ECSeqClassifier("lstm"), "Sequences", training.X, training.y, error=TypeError)
    refused(ecseq.SequenceEncoder(), "Sequences", training.X, training.y, error=TypeError)
    model = ecseq.ECSeqClassifier(max_epochs=1).fit(training.X, training.y)
    with pytest.raises(TypeError, match="fitted on embeddings"):
        model.predict(batch)
    model = ecseq.ECSeqClassifier(encoder, max_epochs=1).fit(batch, y)
    with pytest.raises(TypeError, match="fitted on Sequences"):
        model.predict(training.X)


def test_an_encoder_of_another_task(encoder: ecseq.SequenceEncoder, sequences: Batch) -> None:
    batch, y = sequences
    refused(ecseq.ECSeqRegressor(encoder), "was fitted for binary", batch, y.astype(float) + 0.5)
    refused(ecseq.ECSeqClassifier(encoder), "was fitted for binary", batch, y + 1)


def test_unknown_labels_later(related: ecseq.ECSeqClassifier, later: Embeddings) -> None:
    with pytest.raises(ValueError, match="label 5 at row 2"):
        related.replay(
            later.X[:3], [0, 1, 5], entities={"terminal": [1, 2, 3]}, times=later.times[:3]
        )


def test_a_failed_fit_leaves_a_fitted_model_as_it_was(
    training: Embeddings,
) -> None:
    model = ecseq.ECSeqClassifier(max_epochs=2).fit(training.X, training.y)
    before = model.predict_proba(training.X)
    with pytest.raises(ValueError, match="one class"):
        model.fit(training.X[:, :3], np.zeros(1500))
    np.testing.assert_array_equal(before, model.predict_proba(training.X))


def test_a_failed_partial_fit_leaves_the_state_as_it_was(
    training: Embeddings, later: Embeddings, relations: list[Any]
) -> None:
    model = ecseq.ECSeqClassifier(relations=relations, max_epochs=2).fit(
        training.X, training.y, entities=training.entities, times=training.times
    )
    before = model.replay(later.X, later.y, entities=later.entities, times=later.times)
    with pytest.raises(ValueError, match="y"):
        model.partial_fit(later.X, later.y[:-1], entities=later.entities, times=later.times)
    after = model.replay(later.X, later.y, entities=later.entities, times=later.times)
    np.testing.assert_array_equal(before, after)


def test_a_class_absent_from_the_training_part() -> None:
    X = np.random.default_rng(0).normal(size=(100, 2))
    y = (np.arange(100) >= 90).astype(int)
    refused(
        ecseq.ECSeqClassifier(),
        "absent from the training part",
        X,
        y,
        times=np.arange(100.0),
    )
