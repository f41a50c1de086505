"""Fitting, scoring, explaining and keeping: what the classifier and the regressor share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ecseq import _core
from ecseq._calibration import Calibration, require_calibration
from ecseq._checks import check_finite
from ecseq._cross_fitting import cross_fitted_outputs, require_cross_fit
from ecseq._encoder import SequenceEncoder
from ecseq._entity_ids import Keys
from ecseq._explaining import cases_asked, explanation_of
from ecseq._explanations import Explanations
from ecseq._foreign_head import fitted_head, head_outputs
from ecseq._inputs import (
    Samples,
    core_sequences,
    finite_matrix,
    ids_of,
    make_samples,
    seed_of,
    threads,
)
from ecseq._labels import (
    encode_labels,
    labels_of,
    metrics_of,
    probabilities,
    recode,
    split_labelled,
)
from ecseq._model_file import description_of
from ecseq._monitoring import Monitoring
from ecseq._own_compressor import grouping_of
from ecseq._parameters import core_options, encoder_of, relations_of
from ecseq._presets import settings_of
from ecseq._progress import Verbose, as_progress, close_progress
from ecseq._relations import EntityRelation, Relation
from ecseq._representatives import Representatives, representatives_of
from ecseq._search import best_model
from ecseq._sequences import Sequences

Rows = ArrayLike | Sequences
Validation = tuple[Any, Any] | tuple[Any, Any, Mapping[str, Any]] | Sequences


class ECSeqBase(Monitoring, TransformerMixin, BaseEstimator):
    """What the classifier and the regressor share."""

    _task: str  # "classification" or "regression"

    def __init__(
        self,
        encoder: SequenceEncoder | str | None = None,
        *,
        relations: Sequence[Relation] | None = None,
        n_representatives: int | Mapping[Any, int] | None = None,
        compressor: Any = "kmeans",
        attach: str = "knn",
        n_neighbors: int = 8,
        epsilon: float = 0.99,
        gnn: str = "sage_mean",
        n_layers: int = 1,
        heads: int = 4,
        activation: str = "relu",
        embedding: bool = True,
        residual: bool = True,
        hidden_size: int = 32,
        head: Any = "linear",
        loss: str = "auto",
        mode: str = "targets",
        aux_weight: float = 1.0,
        dropout: float = 0.1,
        input_dropout: float = 0.0,
        attention_dropout: float = 0.0,
        class_weight: Mapping[Any, float] | str | None = None,
        gate: bool = True,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.0,
        schedule: str = "plateau",
        selection: str = "auto",
        batch_size: int | None = None,
        max_epochs: int = 100,
        patience: int = 10,
        validation_fraction: float = 0.2,
        calibrate: str | None = None,
        cross_fit: int | None = None,
        tune_encoder: bool = False,
        controls: bool = True,
        preset: str | None = None,
        time_budget: float = 60.0,
        random_state: Any = 0,
        num_threads: int | None = None,
        verbose: Verbose = False,
    ) -> None:
        self.encoder = encoder
        self.relations = relations
        self.n_representatives = n_representatives
        self.compressor = compressor
        self.attach = attach
        self.n_neighbors = n_neighbors
        self.epsilon = epsilon
        self.gnn = gnn
        self.n_layers = n_layers
        self.heads = heads
        self.activation = activation
        self.embedding = embedding
        self.residual = residual
        self.hidden_size = hidden_size
        self.head = head
        self.loss = loss
        self.mode = mode
        self.aux_weight = aux_weight
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.attention_dropout = attention_dropout
        self.class_weight = class_weight
        self.gate = gate
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.selection = selection
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.calibrate = calibrate
        self.cross_fit = cross_fit
        self.tune_encoder = tune_encoder
        self.controls = controls
        self.preset = preset
        self.time_budget = time_budget
        self.random_state = random_state
        self.num_threads = num_threads
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # the core works in float32
        return tags

    def fit(
        self,
        X: Rows,
        y: ArrayLike | None = None,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
        validation: Validation | None = None,
        X_unlabeled: Rows | None = None,
    ) -> Any:
        """Fit on embeddings X [n, h] or Sequences X [n] with labels y [n].

        y, entities ({name: ids [n]}) and times ([n], seconds or datetime64) default to what
        Sequences carry. validation: ``(X, y)`` or ``(X, y, {"entities": ..., "times": ...})``, or
        Sequences that carry their labels. With times, entity states are built causally over both
        parts, and end up knowing both. X_unlabeled: more rows of the kind of X, without labels,
        which help to find the representatives by similarity.

        Raises ``ValueError`` before any work for bad input; the estimator is then unchanged.
        """
        x, labels = self._training_data(X, y)
        sequences = X if isinstance(X, Sequences) else None
        seed = seed_of(self.random_state)
        task, classes, codes = encode_labels(labels, self._task)
        n_classes = 0 if classes is None else len(classes)
        settings = settings_of(self, None if classes is None else classes.tolist())
        relations = relations_of(settings)
        options = core_options(settings, relations, classes, codes, seed)
        needed = {r.by: r.over == "sequence" for r in relations if isinstance(r, EntityRelation)}
        samples = make_samples(x, len(labels), sequences, entities, times, needed)

        encoder = encoder_of(settings, sequences, task, classes)
        if validation is None:
            rows, validation_rows = split_labelled(
                samples.times, task, n_classes, codes, self.validation_fraction, seed
            )
            training, held_out = samples.take(rows), samples.take(validation_rows)
            y_training, y_held_out = codes[rows], codes[validation_rows]
            parts = None if sequences is None else (sequences[rows], sequences[validation_rows])
        else:
            rows = np.arange(len(labels), dtype=np.int64)
            training, y_training = samples, codes
            held_out, y_held_out, held_out_sequences = self._validation_data(
                validation, classes, needed, sequences
            )
            parts = None
            if sequences is not None and held_out_sequences is not None:
                parts = (sequences, held_out_sequences)
        if task != "regression" and len(np.unique(y_training)) < 2:
            raise ValueError("y: the training part holds one class only")
        unlabelled = None if X_unlabeled is None else self._unlabelled_data(X_unlabeled, sequences)
        require_calibration(self.calibrate, task, y_held_out)

        labels_training = y_training if classes is None else classes[y_training.astype(int)]
        for relation in relations:
            own = getattr(relation, "compressor", "")
            if not isinstance(own, str):
                options["similarity"]["grouping"] = grouping_of(own, labels_training, seed)

        labels_held_out = y_held_out if classes is None else classes[y_held_out.astype(int)]
        if self.cross_fit is not None:
            require_cross_fit(self.cross_fit, encoder, y_training, task)
        progress = as_progress(self.verbose)
        try:
            encoder_seconds = 0.0
            if encoder is not None and not encoder.__sklearn_is_fitted__():
                assert parts is not None
                encoder.fit(
                    parts[0],
                    labels_training,
                    validation=(parts[1], labels_held_out),
                )
                encoder_seconds = float(encoder.fit_report_["seconds"])

            crossed = None
            if self.cross_fit is not None:
                assert encoder is not None
                assert parts is not None
                crossed, took = cross_fitted_outputs(
                    encoder, parts[0], labels_training, parts[1], labels_held_out, self.cross_fit
                )
                encoder_seconds += took

            def fit_core(chosen: dict[str, Any]) -> tuple[_core.Model, _core.FitDetails]:
                return _core.Model.fit(
                    training.x,
                    y_training,
                    training.entities,
                    training.times,
                    held_out.x,
                    y_held_out,
                    held_out.entities,
                    held_out.times,
                    task,
                    n_classes,
                    chosen,
                    None if encoder is None else encoder._core,
                    rows,
                    crossed,
                    unlabelled,
                    progress,
                )

            tried = None
            if self.preset == "best":
                model, details, tried = best_model(fit_core, options, self.time_budget, progress)
            else:
                model, details = fit_core(options)
            head, held_out_outputs = None, details["validation_outputs"]
            if not options["own_head"]:
                learned = details["rows"]
                head = fitted_head(
                    settings.head,
                    task,
                    details["training_inputs"][learned],
                    y_training[learned],
                    seed,
                )
                own = head_outputs(head, task, n_classes, details["validation_inputs"])
                held_out_base = model.base(*held_out, threads(self.num_threads))
                model.fit_gate_of(held_out_base, own, y_held_out)
                held_out_outputs = model.gated(held_out_base, own)
        finally:
            close_progress(progress)
        if encoder is not None and model.encoder is not None and model.tuned:
            encoder = SequenceEncoder._from_core(model.encoder, classes, encoder.categories_)
        self._adopt(model, encoder, classes, head)
        self._watch(relations, training, held_out, y_training, y_held_out, held_out_outputs)
        if tried is not None:
            self.fit_report_["tried"] = tried
        if head is not None:
            self.fit_report_["validation"]["ecseq"] = metrics_of(task, y_held_out, held_out_outputs)
            self.fit_report_["gate"] = model.gate
        seconds = self.fit_report_["seconds"]
        seconds["encoder"] = encoder_seconds
        seconds["total"] += encoder_seconds
        if sequences is None:
            # Names of data-frame columns and their number, as scikit-learn keeps them.
            validate_data(self, X, skip_check_array=True)
        else:
            self.feature_names_in_ = np.asarray(sequences.feature_names, dtype=object)
        return self

    def _unlabelled_data(self, X: Rows, training: Sequences | None) -> Any:
        if isinstance(X, Sequences) != (training is not None):
            raise TypeError("X_unlabeled: expected rows of the kind of X")
        if isinstance(X, Sequences):
            assert training is not None
            return core_sequences(X.recoded(training.categories))
        return finite_matrix(X)

    def _training_data(self, X: Rows, y: ArrayLike | None) -> tuple[Any, NDArray[Any]]:
        if isinstance(X, Sequences):
            if self.encoder is None:
                raise ValueError(
                    "encoder: X is Sequences, so an encoder is needed: encoder='lstm' trains one"
                )
            return core_sequences(self._recoded(X)), labels_of(X, y)
        if self.encoder is not None:
            raise TypeError(
                f"X: with encoder= X must be ecseq.Sequences, got {type(X).__name__}; see "
                "Sequences.from_frame"
            )
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        checked, labels = validate_data(
            clone(self),
            X,
            y,
            dtype=np.float32,
            order="C",
            ensure_all_finite=False,
            ensure_min_samples=2,
            y_numeric=self._task == "regression",
        )
        check_finite(checked, "X", _column_names(X, checked.shape[1]), _source_of(X))
        if self._task == "classification":
            check_classification_targets(labels)
        return checked, labels

    def _recoded(self, X: Sequences) -> Sequences:
        """X with its categories numbered as a fitted encoder knows them."""
        return X if not isinstance(self.encoder, SequenceEncoder) else self.encoder._recoded(X)

    def _validation_data(
        self,
        validation: Validation,
        classes: NDArray[Any] | None,
        needed: Mapping[str, bool],
        training: Sequences | None,
    ) -> tuple[Samples, NDArray[np.float32], Sequences | None]:
        extra: Mapping[str, Any] = {}
        if isinstance(validation, Sequences):
            X: Any = validation
            y: Any = None
        elif isinstance(validation, tuple) and len(validation) in (2, 3):
            X, y = validation[0], validation[1]
            extra = validation[2] if len(validation) == 3 else {}
        else:
            raise ValueError(
                "validation: expected (X, y), (X, y, {'entities': ..., 'times': ...}) or Sequences"
            )
        if isinstance(X, Sequences) and training is not None:
            X = X.recoded(training.categories)
        x, labels = self._training_data(X, y)
        sequences = X if isinstance(X, Sequences) else None
        samples = make_samples(
            x, len(labels), sequences, extra.get("entities"), extra.get("times"), needed
        )
        return samples, recode(labels, classes, "validation"), sequences

    def _adopt(
        self,
        model: _core.Model,
        encoder: SequenceEncoder | None,
        classes: NDArray[Any] | None,
        head: Any = None,
    ) -> None:
        self._model = model
        self.head_ = head
        self._entity_sets: dict[str, bool] = model.entity_sets
        self.encoder_ = encoder
        self.fit_report_: dict[str, Any] = json.loads(model.report)
        self.n_features_in_ = int(model.input_features)
        if not hasattr(self, "user_metadata_"):
            self.user_metadata_: dict[str, Any] = {}
        if classes is not None:
            self.classes_ = classes

    def _samples(
        self, X: Rows, entities: Mapping[str, ArrayLike] | None, times: ArrayLike | None
    ) -> Samples:
        check_is_fitted(self)
        if isinstance(X, Sequences):
            if self.encoder_ is None:
                raise TypeError("X: this model was fitted on embeddings; got Sequences")
            x = core_sequences(self.encoder_._recoded(X))
            return make_samples(x, len(X), X, entities, times, self._entity_sets)
        if self.encoder_ is not None:
            raise TypeError(
                f"X: this model was fitted on Sequences and has an encoder; got {type(X).__name__}"
            )
        x = validate_data(
            self, X, reset=False, dtype=np.float32, order="C", ensure_all_finite=False
        )
        check_finite(x, "X", _column_names(X, x.shape[1]), _source_of(X))
        return make_samples(x, len(x), None, entities, times, self._entity_sets)

    def _decide(self, X: Rows, entities: Any, times: Any) -> NDArray[np.float32]:
        """Logits [n, outputs], or values [n, 1]."""
        samples = self._samples(X, entities, times)
        self._warn_if_stale(samples.times)
        return self._outputs_of(samples, None)

    def _gated(self, samples: Samples, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """What gate and a head of the caller's own make of its inputs."""
        model = self._model
        outputs = head_outputs(self.head_, model.task, model.n_classes, inputs)
        return model.gated(model.base(*samples, threads(self.num_threads)), outputs)

    def transform(
        self,
        X: Rows,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """The enriched embedding [n, hidden_size]: the graph layers' output.

        With a head of your own: what it sees, embedding, base output and relations side by side.
        """
        samples = self._samples(X, entities, times)
        if self.head_ is not None:
            return self._model.inputs(*samples, threads(self.num_threads))
        return self._model.transform(*samples, threads(self.num_threads))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the columns of `transform`."""
        check_is_fitted(self)
        n = self.hidden_size if self.head_ is None else self.head_.n_features_in_
        return np.asarray([f"ecseq{i}" for i in range(n)], dtype=object)

    def replay(
        self,
        X: Rows,
        y: ArrayLike | None = None,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """Scores of a later period, event by event as it would have happened.

        Each row sees only the entity events before it, and their labels only once ``label_delay``
        has passed since their event; rows of equal time do not see each other. The model is not
        changed. This is how a model with entity relations is to be evaluated.

        Returns the probability of the second class [n] for two classes, probabilities [n, classes]
        for several, values [n] for regression.
        """
        samples, codes = self._labelled(X, y, entities, times)
        return self._scores(self._outputs_of(samples, codes), self.calibration_)

    def partial_fit(
        self,
        X: Rows,
        y: ArrayLike | None = None,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
    ) -> Any:
        """Advance every kind of representative by labelled rows; encoder, layers and gate stay.

        Entities know the rows' events, and their labels from ``label_delay`` on. Representatives by
        similarity move towards the rows nearest to them, rows far from all make new ones, and old
        mass fades so that the total stays (not those of ``compressor="none"``, which stay as they
        are). ``update_report_`` then says how far the rows are from what the latter were made of.
        """
        samples, codes = self._labelled(X, y, entities, times)
        self.update_report_: dict[str, Any] | None = self._model.observe(
            samples.x, codes, samples.entities, samples.times, threads(self.num_threads)
        )
        self._advanced(samples.times)
        return self

    def _labelled(
        self, X: Rows, y: ArrayLike | None, entities: Any, times: Any
    ) -> tuple[Samples, NDArray[np.float32]]:
        samples = self._samples(X, entities, times)
        if isinstance(X, Sequences):
            labels = labels_of(X, y)
        else:
            labels = np.asarray(y)
            n = len(samples.x)
            if y is None or labels.ndim != 1 or len(labels) != n:
                raise ValueError(
                    f"y: expected {n} labels, one per row of X, got "
                    f"{'none' if y is None else f'shape {labels.shape}'}"
                )
        return samples, recode(labels, getattr(self, "classes_", None), "y")

    def _scores(
        self, outputs: NDArray[np.float32], calibration: Calibration | None = None
    ) -> NDArray[np.float32]:
        if self._task == "regression":
            return outputs[:, 0]
        of = probabilities if calibration is None else calibration.probabilities
        return of(outputs[:, 0])[:, 1] if outputs.shape[1] == 1 else of(outputs)

    def base_scores(self, X: Rows) -> NDArray[np.float32]:
        """What the base alone says: the encoder's own head, or logistic (linear) regression.

        Shapes as for `replay`.
        """
        samples = self._samples_without_relations(X)
        return self._scores(self._model.base(*samples, threads(self.num_threads)))

    def control_scores(self, X: Rows, name: str) -> NDArray[np.float32]:
        """What a control says: ``"logistic_regression"`` or ``"mlp"`` on the same embedding.

        Shapes as for `replay`.
        """
        samples = self._samples_without_relations(X)
        return self._scores(self._model.control(*samples, name, threads(self.num_threads)))

    def _samples_without_relations(self, X: Rows) -> Samples:
        """Base and controls look at no entity: any stands in for what the model asks for."""
        samples = self._samples(X, None, None)
        n = len(samples.x[1]) if isinstance(samples.x, tuple) else len(samples.x)
        nobody: dict[str, Keys] = {name: np.zeros(n, dtype=np.uint64) for name in self._entity_sets}
        return Samples(samples.x, nobody, np.zeros(n))

    def explain(
        self,
        X: Rows,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
        top: int = 5,
        method: str = "auto",
    ) -> Explanations:
        """Why each row is scored as it is: the representatives it is related to, with their label
        mix, mass and most typical training cases, what is known of its entities, and how much the
        logit (the value for regression) changes when each is taken away.

        ``top``: similar cases per row, those that matter most first. ``method``: "occlusion" takes
        each away; "gradient" is gradient times input, whose contributions add up to the logit with
        what remains; "auto" is "additive", exact and summing to the logit, where the model is
        linear in what it hears (``activation="none"`` with "sage_mean" or "gcn"), else "occlusion".
        """
        n_cases = cases_asked(top)
        samples = self._samples(X, entities, times)
        if self.head_ is not None:
            raise ValueError(
                f"explain: takes the built-in head; {type(self.head_).__name__} has ways of its own"
            )
        found = self._model.explain(*samples, n_cases, str(method), threads(self.num_threads))
        ids = ids_of(X if isinstance(X, Sequences) else None, entities, self._entity_sets)
        classes = getattr(self, "classes_", None)
        return Explanations(
            explanation_of(
                item, {by: column[row] for by, column in ids.items()}, classes, self.calibration_
            )
            for row, item in enumerate(found)
        )

    @property
    def representatives_(self) -> Representatives | None:
        """The representatives of the similarity relation; None without one."""
        check_is_fitted(self)
        return representatives_of(self._model)

    def save(self, path: Any) -> None:
        """Write one safetensors file; ``ecseq.load`` reads it. Nothing in it is ever executed."""
        self._described().save(str(path))

    def _described(self) -> _core.Model:
        """The model with all that its file says of the estimator."""
        check_is_fitted(self)
        self._model.set_metadata(json.dumps(description_of(self)))
        return self._model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_model")

    def __sklearn_clone__(self) -> Any:
        # A fitted encoder is part of the configuration ("use this one"), not of the state: a clone
        # keeps it, where scikit-learn's default would hand back an untrained one.
        parameters = {
            name: value if name == "encoder" else clone(value, safe=False)
            for name, value in self.get_params(deep=False).items()
        }
        return type(self)(**parameters)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        model = state.pop("_model", None)
        if model is not None:
            state["_model_bytes"] = model.to_bytes()
        if callable(state.get("verbose")):
            state["verbose"] = False
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved = state.pop("_model_bytes", None)
        super().__setstate__(state)
        if saved is not None:
            self._model = _core.Model.from_bytes(saved, "pickle")


def _column_names(X: Any, n: int) -> list[str]:
    columns = getattr(X, "columns", None)
    if columns is not None and len(columns) == n:
        return [str(name) for name in columns]
    return [str(i) for i in range(n)]


def _source_of(X: Any) -> Any:
    """The value as the caller gave it, to tell "too large for float32" from infinity."""
    array = np.asarray(X)
    return lambda row, column: array[row, column]
