"""Sequence encoders: a ragged batch of events in, one embedding per sequence out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from ecseq import _core
from ecseq._inputs import (
    class_weights,
    core_sequences,
    positive,
    seed_of,
    threads,
    training_options,
)
from ecseq._progress import Verbose, as_progress, close_progress
from ecseq._sequences import Sequences

_CELLS = ("lstm", "gru")
_POOLINGS = ("last", "mean", "max")
_TASKS = ("auto", "classification", "regression")


class SequenceEncoder(BaseEstimator):
    """A recurrent network trained on labelled sequences: embedding and own prediction.

    The embedding is the last hidden state of the top layer (with both directions: the forward one
    after the last event, then the backward one after the first); a linear head on it gives the
    prediction that ECSeq must beat. Features are standardised inside the model. Training is Adam
    with early stopping; the weights of the best epoch on the validation part are kept: by (AUC +
    AP) / 2 for two classes, cross-entropy for several, squared error for regression.

    Parameters
    ----------
    cell : {"lstm", "gru"}
    hidden_size : int
        Size of the hidden state and of the embedding, which is twice that with both directions.
    n_layers : int
        1 to 4; each reads every state of the layer below.
    bidirectional : bool
        Each layer reads a sequence in both directions, with weights for each.
    dropout : float
        Share of the states dropped between layers while training; nothing with one layer.
    pooling : {"last", "mean", "max"}
        How the states of the top layer become the embedding: the last one, or the mean or
        elementwise maximum of those after each event.
    task : {"auto", "classification", "regression"}
        "auto": regression for labels that are not whole numbers, classification otherwise.
    learning_rate, batch_size, max_epochs, patience, weight_decay
        Adam's step, sequences per step (None: by their number, at most 512), passes at most, epochs
        without a better validation score before stopping, decoupled weight decay.
    clip_norm : float
        Bound of the gradient's norm; 0 for none.
    class_weight : None, "balanced" or dict
    validation_fraction : float
        Share held out when ``fit`` gets no ``validation``: the latest sequences when they carry
        times, else a random part of each class.
    random_state : int, RandomState or None
        With an int, results are the same bits for every `num_threads`.
    num_threads : int or None
        None: the process default, see ``ecseq.set_num_threads``.
    verbose : bool or callable
        True prints progress to stderr; a callable gets (stage, done, total, message).

    Attributes
    ----------
    classes_ : array [n_classes], classification only
    n_features_in_ : int
        Features of an event.
    fit_report_ : dict
        ``curve`` per epoch, ``best_epoch``, ``stop_reason``, ``seconds``.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> events = [rng.normal(size=(rng.integers(3, 9), 2)) for _ in range(200)]
    >>> labels = [int(x[:, 0].sum() > 0) for x in events]
    >>> sequences = Sequences.from_list(events)
    >>> encoder = SequenceEncoder(hidden_size=8, max_epochs=5).fit(sequences, labels)
    >>> encoder.transform(sequences[:3]).shape
    (3, 8)
    """

    def __init__(
        self,
        cell: str = "lstm",
        hidden_size: int = 32,
        *,
        n_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        pooling: str = "last",
        task: str = "auto",
        learning_rate: float = 3e-3,
        batch_size: int | None = None,
        max_epochs: int = 30,
        patience: int = 5,
        weight_decay: float = 0.0,
        clip_norm: float = 5.0,
        class_weight: Mapping[Any, float] | str | None = None,
        validation_fraction: float = 0.2,
        random_state: Any = 0,
        num_threads: int | None = None,
        verbose: Verbose = False,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.pooling = pooling
        self.task = task
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.class_weight = class_weight
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.num_threads = num_threads
        self.verbose = verbose

    def fit(
        self,
        X: Sequences,
        y: ArrayLike | None = None,
        *,
        validation: tuple[Sequences, ArrayLike] | Sequences | None = None,
    ) -> SequenceEncoder:
        """Train on sequences X [n] with labels y [n] (default: the labels that X carries).

        validation : (Sequences, labels) or Sequences with labels; decides when to stop.

        Raises ``ValueError`` before any work for labels of another length or not finite, one class
        only, or an option outside its values.
        """
        sequences = _require_sequences(X)
        labels = labels_of(sequences, y)
        if self.cell not in _CELLS:
            raise ValueError(f"cell: {self.cell!r} is not one of {_quoted(_CELLS)}")
        if self.pooling not in _POOLINGS:
            raise ValueError(f"pooling: {self.pooling!r} is not one of {_quoted(_POOLINGS)}")
        if self.task not in _TASKS:
            raise ValueError(f"task: {self.task!r} is not one of {_quoted(_TASKS)}")
        seed = seed_of(self.random_state)
        task, classes, codes = encode_labels(labels, self.task)
        options = training_options(self, seed)
        if self.batch_size is None:
            options["batch_size"] = 0  # the core chooses by the number of sequences
        options["cell"] = self.cell
        options["n_layers"] = positive(self.n_layers, "n_layers")
        options["bidirectional"] = bool(self.bidirectional)
        options["pooling"] = self.pooling
        options["dropout"] = float(self.dropout)
        options["weight_decay"] = float(self.weight_decay)
        options["clip_norm"] = float(self.clip_norm)
        if classes is not None:
            options["class_weight"] = class_weights(self.class_weight, classes, codes)
        n_classes = 0 if classes is None else len(classes)

        if validation is None:
            training_rows, validation_rows = split_rows(
                sequences.end_times, task, n_classes, codes, self.validation_fraction, seed
            )
            training, held_out = sequences[training_rows], sequences[validation_rows]
            y_training, y_held_out = codes[training_rows], codes[validation_rows]
        else:
            held_out, held_out_labels = split_validation(validation)
            training, y_training = sequences, codes
            y_held_out = recode(held_out_labels, classes, "validation")
        progress = as_progress(self.verbose)
        try:
            core = _core.SequenceEncoder.fit(
                *core_sequences(training),
                y_training,
                *core_sequences(held_out),
                y_held_out,
                task,
                n_classes,
                options,
                progress,
            )
        finally:
            close_progress(progress)
        self._adopt(core, classes)
        return self

    def _adopt(self, core: _core.SequenceEncoder, classes: NDArray[Any] | None) -> None:
        self._core = core
        self.n_features_in_ = int(core.input_features)
        if classes is not None:
            self.classes_ = classes
        elif hasattr(self, "classes_"):
            del self.classes_
        self.fit_report_: dict[str, Any] = {
            "task": core.task,
            "curve": core.curve,
            "best_epoch": core.best_epoch,
            "stop_reason": core.stop_reason,
            "seconds": core.seconds,
        }

    @classmethod
    def _from_core(
        cls, core: _core.SequenceEncoder, classes: NDArray[Any] | None
    ) -> SequenceEncoder:
        encoder = cls(**_options_of(core))
        encoder._adopt(core, classes)
        return encoder

    def transform(self, X: Sequences) -> NDArray[np.float32]:
        """Embeddings of sequences X [n]: [n, hidden_size], twice as wide with both directions."""
        check_is_fitted(self)
        return self._core.encode(*core_sequences(self._checked(X)), threads(self.num_threads))

    def fit_transform(self, X: Sequences, y: ArrayLike | None = None) -> NDArray[np.float32]:
        """``fit(X, y).transform(X)``"""
        return self.fit(X, y).transform(X)

    def decision_function(self, X: Sequences) -> NDArray[np.float32]:
        """Logits of the head: [n] for two classes, [n, n_classes] for several; values [n] for
        regression."""
        embedding = self.transform(X)
        outputs = self._core.decide(embedding)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def predict_proba(self, X: Sequences) -> NDArray[np.float32]:
        """Class probabilities [n, n_classes] of the head, columns in the order of ``classes_``."""
        check_is_fitted(self)
        if not hasattr(self, "classes_"):
            raise AttributeError("predict_proba: this encoder was trained for regression")
        return probabilities(self.decision_function(X))

    def predict(self, X: Sequences) -> NDArray[Any]:
        """Labels, or values for regression: [n]."""
        outputs = self.decision_function(X)
        if not hasattr(self, "classes_"):
            return outputs
        predicted: NDArray[Any] = self.classes_[class_numbers(outputs)]
        return predicted

    def _checked(self, X: Sequences) -> Sequences:
        sequences = _require_sequences(X)
        if sequences.n_features != self.n_features_in_:
            raise ValueError(
                f"X: events have {sequences.n_features} features, the encoder was fitted on "
                f"{self.n_features_in_}"
            )
        return sequences

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_core")

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        core = state.pop("_core", None)
        if core is not None:
            state["_core_state"] = {
                "tensors": core.tensors(),
                "options": _options_of(core),
                "task": core.task,
                "n_classes": core.n_classes,
            }
        if callable(state.get("verbose")):
            state["verbose"] = False
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved = state.pop("_core_state", None)
        super().__setstate__(state)
        if saved is not None:
            self._core = _core.SequenceEncoder.from_tensors(
                saved["tensors"], saved["options"], saved["task"], saved["n_classes"]
            )


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits [n] of two classes, or [n, classes], to probabilities [n, classes]."""
    z = logits.astype(np.float64)
    if z.ndim == 1:
        positive = 1.0 / (1.0 + np.exp(-np.clip(z, -700, 700)))
        return np.stack([1.0 - positive, positive], axis=1).astype(np.float32)
    z = np.exp(z - z.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = z / z.sum(axis=1, keepdims=True)
    return shares.astype(np.float32)


def _options_of(core: _core.SequenceEncoder) -> dict[str, Any]:
    """What, beside its weights, makes the same network."""
    return {
        "cell": core.cell,
        "hidden_size": core.hidden_size,
        "n_layers": core.n_layers,
        "bidirectional": core.bidirectional,
        "dropout": core.dropout,
        "pooling": core.pooling,
    }


def class_numbers(logits: NDArray[np.float32]) -> NDArray[np.intp]:
    """The most probable class [n] from logits [n] of two classes, or [n, classes]."""
    return (logits > 0).astype(np.intp) if logits.ndim == 1 else logits.argmax(axis=1)


def _require_sequences(X: Any) -> Sequences:
    if not isinstance(X, Sequences):
        raise TypeError(
            f"X: expected ecseq.Sequences, got {type(X).__name__}; see Sequences.from_frame, "
            "from_list and from_padded"
        )
    return X


def labels_of(sequences: Sequences, y: ArrayLike | None) -> NDArray[Any]:
    """The labels given, or those that the sequences carry. [n]"""
    if y is None:
        if sequences.labels is None:
            raise ValueError("y: no labels were given and X carries none")
        return np.asarray(sequences.labels)
    labels = np.asarray(y)
    if labels.ndim != 1 or len(labels) != len(sequences):
        raise ValueError(
            f"y: expected {len(sequences)} labels, one per sequence, got shape {labels.shape}"
        )
    return labels


def encode_labels(
    labels: NDArray[Any], task: str
) -> tuple[str, NDArray[Any] | None, NDArray[np.float32]]:
    """(task for the core, classes or None, class numbers or values [n])."""
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        row = int(np.argmin(np.isfinite(labels)))
        raise ValueError(f"y: value at row {row} is not finite ({labels[row]})")
    if task == "auto":
        task = "regression" if type_of_target(labels) == "continuous" else "classification"
    if task == "regression":
        return "regression", None, np.ascontiguousarray(labels, dtype=np.float32)
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y: only one class is present ({classes.tolist()[0]!r}); a classifier needs at least "
            "two classes"
        )
    name = "binary" if len(classes) == 2 else "multiclass"
    return name, classes, codes.astype(np.float32)


def recode(labels: ArrayLike, classes: NDArray[Any] | None, name: str) -> NDArray[np.float32]:
    """Labels of another part as class numbers of ``classes``; values for regression."""
    array = np.asarray(labels)
    if classes is None:
        values = np.ascontiguousarray(array, dtype=np.float32)
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            raise ValueError(f"{name}: label at row {row} is not finite")
        return values
    order = np.searchsorted(classes, array)
    order = np.clip(order, 0, len(classes) - 1)
    wrong = classes[order] != array
    if np.any(wrong):
        row = int(np.argmax(wrong))
        raise ValueError(
            f"{name}: label {array[row].item()!r} at row {row} is not one of the classes "
            f"{classes.tolist()}"
        )
    return order.astype(np.float32)


def split_rows(
    times: NDArray[np.float64] | None,
    task: str,
    n_classes: int,
    codes: NDArray[np.float32],
    fraction: float,
    seed: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Training and validation rows: the latest validate where times are known."""
    if times is not None:
        training, validation = _core.split_by_time(times, float(fraction))
    else:
        training, validation = _core.split_at_random(task, n_classes, codes, float(fraction), seed)
    if task != "regression" and len(np.unique(codes[training])) < n_classes:
        raise ValueError(
            "validation_fraction: a class is absent from the training part of the split; give "
            "validation= explicitly"
        )
    return training, validation


def split_validation(
    validation: tuple[Sequences, ArrayLike] | Sequences,
) -> tuple[Sequences, NDArray[Any]]:
    if isinstance(validation, Sequences):
        return validation, labels_of(validation, None)
    if not isinstance(validation, tuple) or len(validation) < 2:
        raise ValueError("validation: expected (Sequences, labels)")
    held_out = _require_sequences(validation[0])
    return held_out, labels_of(held_out, validation[1])


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names)
