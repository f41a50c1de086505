"""Sequence encoders: a ragged batch of events in, one embedding per sequence out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ecseq import _core
from ecseq._encoder_options import IMPORTED_PARTS, core_options, parameters_of
from ecseq._foreign_weights import (
    Imported,
    architecture_of_module,
    from_state_dict,
    tensors_of_safetensors,
    to_state_dict,
)
from ecseq._inputs import core_sequences, seed_of, threads
from ecseq._labels import (
    class_numbers,
    encode_labels,
    event_labels_of,
    labels_of,
    probabilities,
    recode,
    require_sequences,
    split_rows,
    split_validation,
)
from ecseq._progress import Verbose, as_progress, close_progress
from ecseq._sequences import Sequences, ranges

_NO_LABELS = np.zeros(0, dtype=np.float32)


class SequenceEncoder(BaseEstimator):
    """A network over event sequences: embedding and own prediction.

    LSTM, GRU or Transformer layers give a state after each event. The embedding is the last state
    of the top layer (with both directions: the forward one after the last event, then the backward
    one after the first), or all states pooled; a linear head on it gives the prediction that ECSeq
    must beat. Numeric features are standardised inside the model. The weights of the best epoch on
    the validation part are kept: by (AUC + AP) / 2 for two classes, cross-entropy for several,
    squared error for regression.

    ``fit(X, y)`` trains on labels, one per sequence or one per event. ``fit(X)`` without labels
    trains the network to predict each next event; it then has an embedding and no prediction.

    Parameters
    ----------
    cell : {"lstm", "gru", "transformer"}
    hidden_size : int
        Size of the hidden state and of the embedding, which is twice that with both directions.
    n_layers : int
        1 to 4 (a Transformer 1 to 24); each reads every state of the layer below.
    bidirectional : bool
        Each recurrent layer reads a sequence in both directions, with weights for each.
    dropout : float
        Share dropped between recurrent layers while training (nothing with one layer); in a
        Transformer of attention weights, activations and what a sublayer adds.
    pooling : {"last", "mean", "max", "attention"}
        How the states of the top layer become the embedding: the last one, the mean or elementwise
        maximum of those after each event, or their mean weighted by learned attention.
    categorical : dict, optional
        Features that hold categories, by name or number, with the size of their embedding:
        ``{"mcc": 8}``, or ``{"mcc": {"dimension": 8, "max_norm": 1.0, "min_count": 2}}``. Any
        number or text is a category; those unknown in training, or with fewer than ``min_count``
        events in it, share one row. ``max_norm`` bounds the length of the embeddings.
    time_features : bool
        Read when events happened (``Sequences.times``): the logarithm of the time since the event
        before, and the cycles of the hour and of the day of the week.
    n_heads, feed_forward_size, norm, activation, positions, max_length, causal
        Of a Transformer: attention heads (a divisor of ``hidden_size``); hidden units of the
        feed-forward nets (None: four times ``hidden_size``); ``"pre"`` or ``"post"``, where layer
        norms stand; ``"gelu"`` or ``"relu"``; ``"sinusoidal"``, ``"learned"`` (for sequences of at
        most ``max_length`` events) or ``"none"``; whether events see earlier ones only.
    labels_per : {"auto", "sequence", "event", "none"}
        What a label belongs to. "event": y has one label for each event of each sequence, one
        sequence after the other; the loss is taken at every step in one pass over each sequence,
        which trains what streaming scoring asks for. "none": train without labels. "auto" goes by
        the length of y, and trains without labels where there are none.
    task : {"auto", "classification", "regression"}
        "auto": regression for labels that are not whole numbers, classification otherwise.
    optimizer : {"adamw", "adam", "sgd"}
    learning_rate, schedule, momentum, weight_decay
        The rate, and how it goes on: "constant", "cosine" (to 0 over ``max_epochs``) or "plateau"
        (halved after two epochs without a better score); momentum of "sgd"; weight decay, decoupled
        for "adamw".
    batch_size, accumulate, bucket_by_length
        Sequences per batch (None: by their number, at most 512); batches whose mean gradient makes
        one step; whether batches are made of sequences of like length.
    max_epochs, patience
        Passes at most; epochs without a better validation score before stopping.
    selection : {"auto", "auc", "ap", "loss"}
        That score, for two classes: AUC, average precision (where positives are few and much of the
        rest cannot be told from negatives, AUC is noise), minus the loss, or, "auto", the mean of
        the first two. Of other tasks it is minus the loss.
    clip_norm : float
        Bound of the gradient's norm; 0 for none.
    class_weight : None, "balanced" or dict
    validation_fraction : float
        Share held out when ``fit`` gets no ``validation``: the latest sequences when they carry
        times, else a random part of each class.
    warm_start : bool
        ``fit`` goes on from the weights, statistics and vocabularies of the fit before (also one
        without labels) instead of from new ones.
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
    categories_ : dict of feature name to array
        The categories of features that were text, in the order of their numbers.
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
        categorical: Mapping[Any, Any] | None = None,
        time_features: bool = False,
        n_heads: int = 4,
        feed_forward_size: int | None = None,
        norm: str = "pre",
        activation: str = "gelu",
        positions: str = "sinusoidal",
        max_length: int = 512,
        causal: bool = True,
        labels_per: str = "auto",
        task: str = "auto",
        optimizer: str = "adamw",
        learning_rate: float = 3e-3,
        schedule: str = "constant",
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        batch_size: int | None = None,
        accumulate: int = 1,
        bucket_by_length: bool = False,
        max_epochs: int = 30,
        patience: int = 5,
        selection: str = "auto",
        clip_norm: float = 5.0,
        class_weight: Mapping[Any, float] | str | None = None,
        validation_fraction: float = 0.2,
        warm_start: bool = False,
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
        self.categorical = categorical
        self.time_features = time_features
        self.n_heads = n_heads
        self.feed_forward_size = feed_forward_size
        self.norm = norm
        self.activation = activation
        self.positions = positions
        self.max_length = max_length
        self.causal = causal
        self.labels_per = labels_per
        self.task = task
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.accumulate = accumulate
        self.bucket_by_length = bucket_by_length
        self.max_epochs = max_epochs
        self.patience = patience
        self.selection = selection
        self.clip_norm = clip_norm
        self.class_weight = class_weight
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
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
        """Train on sequences X [n] with labels y, [n] or one per event.

        y defaults to the labels that X carries; without any, the network learns to predict each
        next event. validation : (Sequences, labels), or Sequences (with labels, where it needs
        them); decides when to stop.

        Interrupted (Ctrl-C) after an epoch, the encoder keeps the best weights so far. Raises
        ``ValueError`` before any work for labels of another length or not finite, one class only,
        or an option outside its values.
        """
        start = self._core if self.warm_start and self.__sklearn_is_fitted__() else None
        return self._train(X, y, validation, start)

    def partial_fit(
        self, X: Sequences, y: ArrayLike | None = None, *, classes: ArrayLike | None = None
    ) -> SequenceEncoder:
        """Train for one pass over X, going on from the weights there are; nothing is held out.

        Statistics and vocabularies stay those of the first call. classes: all labels there will
        be, where the first call does not hold each of them.
        """
        start = self._core if self.__sklearn_is_fitted__() else None
        return self._train(X, y, None, start, one_pass=True, classes=classes)

    def _train(
        self,
        X: Sequences,
        y: ArrayLike | None,
        validation: Any,
        start: _core.SequenceEncoder | None,
        *,
        one_pass: bool = False,
        classes: ArrayLike | None = None,
    ) -> SequenceEncoder:
        sequences = require_sequences(X)
        if start is not None:
            sequences = self._recoded(sequences)
        per = _labels_per(self.labels_per, sequences, y)
        seed = seed_of(self.random_state)
        labels = y
        if per == "sequence":
            labels = labels_of(sequences, y)
        elif per == "event":
            labels = event_labels_of(sequences, y)
        known = None if classes is None else np.unique(np.asarray(classes))
        if one_pass and known is None and start is not None and start.has_head:
            known = getattr(self, "classes_", None)
        task, named, codes = "regression", None, _NO_LABELS
        if per != "none":
            task, named, codes = encode_labels(np.asarray(labels), self.task, known)
        options = core_options(self, sequences, seed, named, codes)
        options["labels_per"] = "sequence" if per == "none" else per
        if start is not None:  # imported weights may do without parts that ours have
            options.update({name: start.architecture[name] for name in IMPORTED_PARTS})
        if one_pass:
            options["max_epochs"] = 1
        n_classes = 0 if named is None else len(named)

        training, y_training = sequences, codes
        held_out, y_held_out = None, _NO_LABELS
        if validation is not None:
            held_out, y_held_out = self._held_out(validation, per, named, sequences)
        elif not one_pass and not (per == "none" and len(sequences) < 2):
            rows, held_out_rows = split_rows(
                sequences, per, task, n_classes, codes, self.validation_fraction, seed
            )
            training, held_out = sequences[rows], sequences[held_out_rows]
            if per == "sequence":
                y_training, y_held_out = codes[rows], codes[held_out_rows]
            elif per == "event":
                lengths = sequences.lengths
                first = np.cumsum(lengths) - lengths
                y_training = codes[ranges(first[rows], lengths[rows])]
                y_held_out = codes[ranges(first[held_out_rows], lengths[held_out_rows])]
        data = core_sequences(training)
        held_out_data = _nothing_of(data) if held_out is None else core_sequences(held_out)
        progress = as_progress(self.verbose)
        try:
            if per == "none":
                core, raised = _core.SequenceEncoder.pretrain(
                    data, held_out_data, options, start, progress
                )
            else:
                core, raised = _core.SequenceEncoder.fit(
                    data,
                    y_training,
                    held_out_data,
                    y_held_out,
                    task,
                    n_classes,
                    options,
                    start,
                    progress,
                )
        finally:
            close_progress(progress)
        self._adopt(core, named, sequences.categories)
        if raised is not None:
            raise raised
        return self

    def _held_out(
        self, validation: Any, per: str, classes: NDArray[Any] | None, training: Sequences
    ) -> tuple[Sequences, NDArray[np.float32]]:
        held_out, labels = split_validation(validation, per)
        held_out = held_out.recoded(training.categories)
        if per == "none":
            return held_out, _NO_LABELS
        return held_out, recode(labels, classes, "validation")

    def _adopt(
        self,
        core: _core.SequenceEncoder,
        classes: NDArray[Any] | None,
        categories: Mapping[str, NDArray[Any]],
    ) -> None:
        self._core = core
        self.n_features_in_ = int(core.input_features)
        self.categories_ = dict(categories)
        if classes is not None:
            self.classes_ = classes
        elif hasattr(self, "classes_"):
            del self.classes_
        self.fit_report_: dict[str, Any] = {
            "task": core.task if core.has_head else "none",
            "curve": core.curve,
            "best_epoch": core.best_epoch,
            "stop_reason": core.stop_reason,
            "seconds": core.seconds,
        }

    @classmethod
    def _from_core(
        cls,
        core: _core.SequenceEncoder,
        classes: NDArray[Any] | None,
        categories: Mapping[str, NDArray[Any]] | None = None,
    ) -> SequenceEncoder:
        encoder = cls(**parameters_of(core.architecture))
        encoder._adopt(core, classes, categories or {})
        return encoder

    @classmethod
    def from_torch(
        cls,
        source: Any,
        *,
        pooling: str = "last",
        prefix: str = "",
        head: str | None = None,
        task: str = "classification",
        classes: ArrayLike | None = None,
        n_heads: int | None = None,
        norm: str = "post",
        activation: str = "relu",
        causal: bool = False,
    ) -> SequenceEncoder:
        """An encoder with the weights of a ``torch.nn.LSTM``, ``GRU`` or ``TransformerEncoder``, or
        of a state dict; torch itself is not needed for the latter, whose tensors may be arrays.

        Events enter as they are, without standardisation. Every tensor is consumed, or the import
        refuses by name.

        Parameters
        ----------
        source : module or state dict
        pooling : {"last", "mean", "max"}
        prefix : str
            What stands before the names of the layers: "rnn." for "rnn.weight_ih_l0".
        head : str, optional
            Name of a linear layer on the embedding: "fc" for "fc.weight" and "fc.bias". Without
            one the encoder gives embeddings only.
        task, classes
            What the head answers, "classification" or "regression", and its labels in the order of
            its outputs; by default 0, 1, ...
        n_heads, norm, activation, causal
            Of a Transformer: what a state dict does not hold. A module says the first three itself;
            ``causal``: whether it is called with a causal mask.

        Examples
        --------
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> state = {"weight_ih_l0": rng.normal(size=(12, 2)),
        ...          "weight_hh_l0": rng.normal(size=(12, 3))}
        >>> encoder = SequenceEncoder.from_torch(state)
        >>> encoder.transform(Sequences.from_list([rng.normal(size=(4, 2))])).shape
        (1, 3)
        """
        given: dict[str, Any] = {"n_heads": n_heads, "norm": norm, "activation": activation}
        state = source
        if hasattr(source, "state_dict"):
            given.update(architecture_of_module(source))
            state = source.state_dict()
        elif not isinstance(source, Mapping):
            raise TypeError(
                f"source: expected a torch module or a state dict, got {type(source).__name__}"
            )
        given["causal"] = bool(causal)
        imported = from_state_dict(state, given, prefix=prefix, head=head)
        return cls._imported(imported, pooling, task, classes)

    @classmethod
    def from_safetensors(cls, path: Any, **options: Any) -> SequenceEncoder:
        """As `from_torch`, from a safetensors file of a state dict.

        Needs the package safetensors: ``pip install 'ecseq[safetensors]'``.
        """
        return cls.from_torch(tensors_of_safetensors(str(path)), **options)

    @classmethod
    def _imported(
        cls, imported: Imported, pooling: str, task: str, classes: ArrayLike | None
    ) -> SequenceEncoder:
        if pooling == "attention":
            raise ValueError("pooling: 'attention' has weights of its own, which no import brings")
        if task not in ("classification", "regression"):
            raise ValueError(f"task: {task!r} is not one of 'classification', 'regression'")
        has_head = "head.weight" in imported.tensors
        outputs = imported.tensors["head.weight"].shape[1] if has_head else 0
        core_task, named = "regression", None
        if has_head and task == "classification":
            n_classes = max(outputs, 2)
            named = np.arange(n_classes) if classes is None else np.asarray(classes)
            if len(named) != n_classes:
                raise ValueError(f"classes: expected {n_classes}, got {len(named)}")
            core_task = "binary" if outputs == 1 else "multiclass"
        elif has_head and outputs != 1:
            raise ValueError(f"task: a head for regression has one output, this one {outputs}")
        core = _core.SequenceEncoder.from_tensors(
            imported.tensors,
            {**imported.architecture, "pooling": pooling},
            core_task,
            0 if named is None else len(named),
        )
        return cls._from_core(core, named)

    def to_torch_state_dict(self, *, as_numpy: bool = False) -> dict[str, Any]:
        """The layers' weights under PyTorch's names, for events as they are: their standardisation
        becomes part of the first weights.

        An LSTM or GRU loads into ``torch.nn.LSTM(n_features, hidden_size, n_layers,
        bidirectional=...)``; a Transformer's layers into ``torch.nn.TransformerEncoder``, beside
        "input.weight" and "input.bias" of the linear map before it. Pooling and head are not part
        of it. Tensors, or arrays with ``as_numpy``. Raises ``ValueError`` for an encoder that reads
        categories or times.
        """
        check_is_fitted(self)
        architecture = self._core.architecture
        if architecture["categorical"] or architecture["time_features"]:
            raise ValueError(
                "to_torch_state_dict: PyTorch's layers read numbers; this encoder reads "
                + ("categories" if architecture["categorical"] else "times")
            )
        state = to_state_dict(self._core.tensors(), architecture)
        if as_numpy:
            return dict(state)
        try:
            import torch
        except ImportError as error:
            raise ImportError(
                "to_torch_state_dict: torch is not installed; as_numpy=True gives arrays"
            ) from error
        return {name: torch.from_numpy(tensor) for name, tensor in state.items()}

    def transform(self, X: Sequences, *, every_event: bool = False) -> NDArray[np.float32]:
        """Embeddings of sequences X [n]: [n, hidden_size], twice as wide with both directions.

        every_event: instead, the top layer's state after each event, sequence after sequence
        [events, hidden_size]; with pooling "last" and a network that does not look ahead, row t is
        the embedding of the sequence up to event t.
        """
        if not hasattr(self, "_core"):  # scikit-learn's check takes longer than a short sequence
            check_is_fitted(self)
        encode = self._core.encode_events if every_event else self._core.encode
        return encode(core_sequences(self._checked(X)), threads(self.num_threads))

    def fit_transform(self, X: Sequences, y: ArrayLike | None = None) -> NDArray[np.float32]:
        """``fit(X, y).transform(X)``"""
        return self.fit(X, y).transform(X)

    def decision_function(self, X: Sequences, *, every_event: bool = False) -> NDArray[np.float32]:
        """Logits of the head: [n] for two classes, [n, n_classes] for several; values [n] for
        regression. every_event: after each event, sequence after sequence."""
        check_is_fitted(self)
        if not self._core.has_head:
            raise AttributeError(
                "this encoder has no head: it was trained without labels, or imported without one"
            )
        architecture = self._core.architecture
        if every_event and architecture["pooling"] != "last":
            raise ValueError(
                "every_event: the head reads pooled states, not those of single events"
            )
        outputs = self._core.decide(self.transform(X, every_event=every_event))
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def predict_proba(self, X: Sequences, *, every_event: bool = False) -> NDArray[np.float32]:
        """Class probabilities [n, n_classes] of the head, columns in the order of ``classes_``."""
        outputs = self.decision_function(X, every_event=every_event)
        if not hasattr(self, "classes_"):
            raise AttributeError("predict_proba: this encoder was trained for regression")
        return probabilities(outputs)

    def predict(self, X: Sequences, *, every_event: bool = False) -> NDArray[Any]:
        """Labels, or values for regression: [n]."""
        outputs = self.decision_function(X, every_event=every_event)
        if not hasattr(self, "classes_"):
            return outputs
        predicted: NDArray[Any] = self.classes_[class_numbers(outputs)]
        return predicted

    def _checked(self, X: Sequences) -> Sequences:
        sequences = require_sequences(X)
        if sequences.n_features != self.n_features_in_:
            raise ValueError(
                f"X: events have {sequences.n_features} features, the encoder was fitted on "
                f"{self.n_features_in_}"
            )
        return self._recoded(sequences)

    def _recoded(self, X: Sequences) -> Sequences:
        """X with its categories numbered as in the fit."""
        return X.recoded(getattr(self, "categories_", {}))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_core")

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        core = state.pop("_core", None)
        if core is not None:
            state["_core_state"] = {
                "tensors": core.tensors(),
                "options": core.architecture,
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


def _labels_per(asked: str, sequences: Sequences, y: ArrayLike | None) -> str:
    """ "sequence", "event" or "none"."""
    if asked not in ("auto", "sequence", "event", "none"):
        raise ValueError(f"labels_per: {asked!r} is not one of 'auto', 'sequence', 'event', 'none'")
    if asked != "auto":
        return asked
    if y is None:
        return "none" if sequences.labels is None else "sequence"
    n = len(np.asarray(y))
    return "event" if n != len(sequences) and n == int(sequences.lengths.sum()) else "sequence"


def _nothing_of(data: Any) -> Any:
    """No sequence, over the same events."""
    values, starts, stops, times = data
    return values, starts[:0], stops[:0], times
