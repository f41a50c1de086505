"""ECSeq as scikit-learn estimators."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin, clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ecseq import _core
from ecseq._checks import check_finite
from ecseq._encoder import (
    SequenceEncoder,
    encode_labels,
    labels_of,
    probabilities,
    recode,
    split_rows,
)
from ecseq._explanations import (
    EntityCase,
    Explanation,
    Explanations,
    SimilarCase,
    entity_facts,
)
from ecseq._inputs import (
    Samples,
    class_weights,
    core_sequences,
    make_samples,
    seed_of,
    threads,
    training_options,
)
from ecseq._progress import Verbose, as_progress, close_progress
from ecseq._relations import EntityRelation, Relation, SimilarityRelation
from ecseq._sequences import Sequences

X_ = Union[ArrayLike, Sequences]
Validation = Union[tuple[Any, Any], tuple[Any, Any, Mapping[str, Any]], Sequences]


@dataclass(frozen=True)
class Representatives:
    """The K training sequences' stand-ins that a similarity relation attaches targets to.

    Attributes
    ----------
    vectors : float32 array [K, h]
        Means of their members, in the units of the embedding.
    mass : array [K]
        Training sequences each stands for.
    spread : array [K]
        Mean squared distance of the members, in standardised units.
    label_mix : array [K, n_classes], or [K] for regression
        Shares of the classes among the members; mean target for regression.
    medoids : int64 array [K]
        The training row nearest to each: a real case.
    cases : int64 array [K, m]
        The m most typical training rows, nearest first; -1 where there are fewer.
    """

    vectors: NDArray[np.float32]
    mass: NDArray[np.float64]
    spread: NDArray[np.float64]
    label_mix: NDArray[np.float64]
    medoids: NDArray[np.int64]
    cases: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.vectors)


_PARAMETERS = """
    Parameters
    ----------
    encoder : None, "lstm" or SequenceEncoder
        None: X is an embedding matrix [n, h] from anywhere. Otherwise X is `Sequences`: a fitted
        encoder is used as it is (it is never changed), ``"lstm"`` or an unfitted one is trained on
        the training part first.
    relations : list of SimilarityRelation and EntityRelation, or None
        None: one SimilarityRelation with the flat parameters below.
    n_representatives, compressor, attach, n_neighbors, epsilon
        Of the default relation, see `SimilarityRelation`.
    gnn : {"sage_mean"}
        The graph layer over target and representatives.
    hidden_size : int
        Of the graph layer; the enriched embedding's size.
    mode : {"targets", "compressed", "joint", "pretrain"}
        What the layer is trained on: the targets; the representatives with their label mix; both,
        the latter times `aux_weight`; the representatives and then the targets.
    aux_weight, dropout : float
    class_weight : None, "balanced" or dict
    learning_rate, batch_size, max_epochs, patience
        Of the graph layer (Adam); batch_size None chooses by the number of rows.
    validation_fraction : float
        Share held out when ``fit`` gets no ``validation``: the latest rows where times are known,
        else a random part of each class. It decides early stopping and the gate.
    controls : bool
        Also fit logistic (linear) regression and a small MLP on the same embedding, to be compared
        with: in ``fit_report_`` and by `control_scores`.
    random_state : int, RandomState or None
        With an int, results are the same bits for every `num_threads`.
    num_threads : int or None
        None: the process default, see ``ecseq.set_num_threads``.
    verbose : bool or callable
        True prints progress to stderr; a callable gets (stage, done, total, message).

    Attributes
    ----------
    representatives_ : Representatives or None
    fit_report_ : dict
        ``validation`` (metrics of base, ecseq and controls), ``gate`` (what it chose), ``seconds``
        per stage, ``isolation_rate``, ``curve`` per epoch, ``n_representatives``, ``n_entities``.
    encoder_ : SequenceEncoder or None
    n_features_in_ : int
        Columns of the embedding, or features of an event.
    user_metadata_ : dict
        Yours: anything JSON can hold, kept in the model file.
"""


class _ECSeq(TransformerMixin, BaseEstimator):
    """What the classifier and the regressor share."""

    _task: str  # "classification" or "regression"

    def __init__(
        self,
        encoder: SequenceEncoder | str | None = None,
        *,
        relations: Sequence[Relation] | None = None,
        n_representatives: int | Mapping[Any, int] | None = None,
        compressor: str = "kmeans",
        attach: str = "knn",
        n_neighbors: int = 8,
        epsilon: float = 0.99,
        gnn: str = "sage_mean",
        hidden_size: int = 32,
        mode: str = "targets",
        aux_weight: float = 1.0,
        dropout: float = 0.1,
        class_weight: Mapping[Any, float] | str | None = None,
        learning_rate: float = 5e-3,
        batch_size: int | None = None,
        max_epochs: int = 100,
        patience: int = 10,
        validation_fraction: float = 0.2,
        controls: bool = True,
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
        self.hidden_size = hidden_size
        self.mode = mode
        self.aux_weight = aux_weight
        self.dropout = dropout
        self.class_weight = class_weight
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.controls = controls
        self.random_state = random_state
        self.num_threads = num_threads
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # the core works in float32
        return tags

    # ---- fitting

    def fit(
        self,
        X: X_,
        y: ArrayLike | None = None,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
        validation: Validation | None = None,
    ) -> Any:
        """Fit on embeddings X [n, h] or Sequences X [n] with labels y [n].

        y, entities ({name: ids [n]}) and times ([n], seconds or datetime64) default to what
        Sequences carry. validation: ``(X, y)`` or ``(X, y, {"entities": ..., "times": ...})``, or
        Sequences that carry their labels. With times, entity states are built causally over both
        parts, and end up knowing both.

        Raises ``ValueError`` before any work for bad input; the estimator is then unchanged.
        """
        x, labels = self._training_data(X, y)
        sequences = X if isinstance(X, Sequences) else None
        seed = seed_of(self.random_state)
        task, classes, codes = encode_labels(labels, self._task)
        n_classes = 0 if classes is None else len(classes)
        relations = self._relations()
        options = self._options(relations, classes, codes, seed)
        needed = [r.by for r in relations if isinstance(r, EntityRelation)]
        samples = make_samples(x, len(labels), sequences, entities, times, needed)

        encoder = self._encoder_to_use(sequences, task, classes)
        if validation is None:
            rows, validation_rows = split_rows(
                samples.times, task, n_classes, codes, self.validation_fraction, seed
            )
            training, held_out = samples.take(rows), samples.take(validation_rows)
            y_training, y_held_out = codes[rows], codes[validation_rows]
            parts = None if sequences is None else (sequences[rows], sequences[validation_rows])
        else:
            rows = np.arange(len(labels), dtype=np.int64)
            training, y_training = samples, codes
            held_out, y_held_out, held_out_sequences = self._validation_data(
                validation, classes, needed
            )
            parts = None if sequences is None else (sequences, held_out_sequences)
        if task != "regression" and len(np.unique(y_training)) < 2:
            raise ValueError("y: the training part holds one class only")

        progress = as_progress(self.verbose)
        try:
            encoder_seconds = 0.0
            if encoder is not None and not encoder.__sklearn_is_fitted__():
                assert parts is not None
                encoder.fit(
                    parts[0],
                    y_training if classes is None else classes[y_training.astype(int)],
                    validation=(
                        parts[1],
                        y_held_out if classes is None else classes[y_held_out.astype(int)],
                    ),
                )
                encoder_seconds = float(encoder.fit_report_["seconds"])
            model = _core.Model.fit(
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
                options,
                None if encoder is None else encoder._core,
                rows,
                progress,
            )
        finally:
            close_progress(progress)
        self._adopt(model, encoder, classes, needed)
        seconds = self.fit_report_["seconds"]
        seconds["encoder"] = encoder_seconds
        seconds["total"] += encoder_seconds
        if sequences is None:
            # Names of data-frame columns and their number, as scikit-learn keeps them.
            validate_data(self, X, skip_check_array=True)
        return self

    def _training_data(self, X: X_, y: ArrayLike | None) -> tuple[Any, NDArray[Any]]:
        if isinstance(X, Sequences):
            if self.encoder is None:
                raise ValueError(
                    "encoder: X is Sequences, so an encoder is needed: encoder='lstm' trains one"
                )
            return core_sequences(X), labels_of(X, y)
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

    def _validation_data(
        self, validation: Validation, classes: NDArray[Any] | None, needed: list[str]
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
        x, labels = self._training_data(X, y)
        sequences = X if isinstance(X, Sequences) else None
        samples = make_samples(
            x, len(labels), sequences, extra.get("entities"), extra.get("times"), needed
        )
        return samples, recode(labels, classes, "validation"), sequences

    def _relations(self) -> list[Relation]:
        if self.relations is None:
            return [
                SimilarityRelation(
                    self.n_representatives,
                    compressor=self.compressor,
                    attach=self.attach,
                    n_neighbors=self.n_neighbors,
                    epsilon=self.epsilon,
                )
            ]
        relations = list(self.relations)
        for relation in relations:
            if not isinstance(relation, (SimilarityRelation, EntityRelation)):
                raise ValueError(
                    "relations: expected SimilarityRelation or EntityRelation objects, got "
                    f"{relation!r}"
                )
        if not relations:
            raise ValueError("relations: expected at least one relation, got an empty list")
        if sum(isinstance(r, SimilarityRelation) for r in relations) > 1:
            raise ValueError("relations: expected at most one SimilarityRelation")
        names = [r.by for r in relations if isinstance(r, EntityRelation)]
        if len(set(names)) < len(names):
            raise ValueError(f"relations: two EntityRelations have the same name, {names}")
        return relations

    def _options(
        self,
        relations: list[Relation],
        classes: NDArray[Any] | None,
        codes: NDArray[np.float32],
        seed: int,
    ) -> dict[str, Any]:
        options = training_options(self, seed)
        if self.batch_size is None:
            options["batch_size"] = 0  # the core chooses by the number of rows
        options["gnn"] = str(self.gnn)
        options["mode"] = str(self.mode)
        options["aux_weight"] = float(self.aux_weight)
        options["dropout"] = float(self.dropout)
        options["controls"] = bool(self.controls)
        if classes is not None:
            options["class_weight"] = class_weights(self.class_weight, classes, codes)
        options["entities"] = []
        for relation in relations:
            if isinstance(relation, SimilarityRelation):
                options["similarity"] = relation._options(
                    None if classes is None else classes.tolist()
                )
            else:
                options["entities"].append(relation._options())
        return options

    def _encoder_to_use(
        self, sequences: Sequences | None, task: str, classes: NDArray[Any] | None
    ) -> SequenceEncoder | None:
        """None for embeddings; the fitted encoder given; or a new, unfitted one."""
        if sequences is None:
            return None
        if isinstance(self.encoder, str):
            return SequenceEncoder(
                self.encoder,
                task=self._task,
                class_weight=self.class_weight,
                random_state=self.random_state,
                num_threads=self.num_threads,
                verbose=self.verbose,
            )
        if not isinstance(self.encoder, SequenceEncoder):
            raise ValueError(
                f"encoder: expected None, 'lstm' or a SequenceEncoder, got {self.encoder!r}"
            )
        if not self.encoder.__sklearn_is_fitted__():
            unfitted: SequenceEncoder = clone(self.encoder)
            return unfitted
        fitted_on = self.encoder.fit_report_["task"]
        if fitted_on != task or (
            classes is not None and not np.array_equal(self.encoder.classes_, classes)
        ):
            known = list(getattr(self.encoder, "classes_", []))
            raise ValueError(
                f"encoder: was fitted for {fitted_on} {known or ''}, y is {task} "
                f"{[] if classes is None else list(classes)}"
            )
        if self.encoder.n_features_in_ != sequences.n_features:
            raise ValueError(
                f"X: events have {sequences.n_features} features, the encoder was fitted on "
                f"{self.encoder.n_features_in_}"
            )
        return self.encoder

    def _adopt(
        self,
        model: Any,
        encoder: SequenceEncoder | None,
        classes: NDArray[Any] | None,
        needed: list[str],
    ) -> None:
        self._model = model
        self._entity_names = list(needed)
        self.encoder_ = encoder
        self.fit_report_: dict[str, Any] = json.loads(model.report)
        self.n_features_in_ = int(model.input_features)
        if not hasattr(self, "user_metadata_"):
            self.user_metadata_: dict[str, Any] = {}
        if classes is not None:
            self.classes_ = classes

    # ---- using

    def _samples(
        self, X: X_, entities: Mapping[str, ArrayLike] | None, times: ArrayLike | None
    ) -> Samples:
        check_is_fitted(self)
        if isinstance(X, Sequences):
            if self.encoder_ is None:
                raise TypeError("X: this model was fitted on embeddings; got Sequences")
            return make_samples(
                core_sequences(X), len(X), X, entities, times, self._entity_names
            )
        if self.encoder_ is not None:
            raise TypeError(
                f"X: this model was fitted on Sequences and has an encoder; got {type(X).__name__}"
            )
        x = validate_data(
            self, X, reset=False, dtype=np.float32, order="C", ensure_all_finite=False
        )
        check_finite(x, "X", _column_names(X, x.shape[1]), _source_of(X))
        return make_samples(x, len(x), None, entities, times, self._entity_names)

    def _outputs(self, method: Any, X: X_, entities: Any, times: Any) -> NDArray[np.float32]:
        samples = self._samples(X, entities, times)
        outputs: NDArray[np.float32] = method(
            samples.x, samples.entities, samples.times, threads(self.num_threads)
        )
        return outputs

    def transform(
        self,
        X: X_,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """The enriched embedding [n, hidden_size]: the graph layer's output."""
        check_is_fitted(self)
        return self._outputs(self._model.transform, X, entities, times)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the columns of `transform`."""
        check_is_fitted(self)
        return np.asarray([f"ecseq{i}" for i in range(self.hidden_size)], dtype=object)

    def replay(
        self,
        X: X_,
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
        outputs = self._model.replay(
            samples.x, codes, samples.entities, samples.times, threads(self.num_threads)
        )
        return self._scores(outputs)

    def partial_fit(
        self,
        X: X_,
        y: ArrayLike | None = None,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
    ) -> Any:
        """Advance the entity states by labelled rows; everything else stays as it was fitted."""
        samples, codes = self._labelled(X, y, entities, times)
        self._model.observe(samples.x, codes, samples.entities, samples.times)
        return self

    def _labelled(
        self, X: X_, y: ArrayLike | None, entities: Any, times: Any
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

    def _scores(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._task == "regression":
            return outputs[:, 0]
        if outputs.shape[1] == 1:
            return probabilities(outputs[:, 0])[:, 1]
        return probabilities(outputs)

    def base_scores(self, X: X_) -> NDArray[np.float32]:
        """What the base alone says: the encoder's own head, or logistic (linear) regression.

        Shapes as for `replay`.
        """
        samples = self._samples_without_relations(X)
        return self._scores(self._model.base(*samples, threads(self.num_threads)))

    def control_scores(self, X: X_, name: str) -> NDArray[np.float32]:
        """What a control says: ``"logistic_regression"`` or ``"mlp"`` on the same embedding.

        Shapes as for `replay`.
        """
        samples = self._samples_without_relations(X)
        return self._scores(self._model.control(*samples, name, threads(self.num_threads)))

    def _samples_without_relations(self, X: X_) -> Samples:
        """Base and controls look at no entity: any stands in for what the model asks for."""
        samples = self._samples(X, None, None)
        n = len(samples.x[1]) if isinstance(samples.x, tuple) else len(samples.x)
        nobody = {name: np.zeros(n, dtype=np.uint64) for name in self._entity_names}
        return Samples(samples.x, nobody, np.zeros(n))

    def explain(
        self,
        X: X_,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
        top: int = 5,
    ) -> Explanations:
        """Why each row is scored as it is: the representatives it is related to, with their label
        mix, mass and most typical training cases, what is known of its entities, and how much the
        logit (the value for regression) changes when each is taken away.

        ``top``: similar cases per row, those that matter most first.
        """
        if isinstance(top, bool) or not isinstance(top, (int, np.integer)) or top < 0:
            raise ValueError(f"top: expected a number of at least 0, got {top!r}")
        samples = self._samples(X, entities, times)
        found = self._model.explain(
            samples.x, samples.entities, samples.times, int(top), threads(self.num_threads)
        )
        names = self._given_entities(X, entities)
        return Explanations(
            [self._explanation(item, row, names) for row, item in enumerate(found)]
        )

    def _given_entities(self, X: X_, entities: Any) -> dict[str, Any]:
        carried: dict[str, Any] = dict(X.end_entities) if isinstance(X, Sequences) else {}
        carried.update(entities or {})
        return carried

    def _explanation(self, found: dict[str, Any], row: int, names: dict[str, Any]) -> Explanation:
        classes = getattr(self, "classes_", None)

        def score(value: float) -> float:
            # For several classes the logits of the others are not at hand: the logit itself.
            if classes is None or len(classes) > 2:
                return float(value)
            return float(probabilities(np.asarray([value], dtype=np.float32))[0, 1])

        def label_mix(shares: list[float]) -> dict[Any, float] | float:
            if classes is None:
                return shares[0]
            return dict(zip(classes.tolist(), shares))

        similar = [
            SimilarCase(
                representative=case["representative"],
                similarity=case["similarity"],
                weight=case["weight"],
                mass=case["mass"],
                label_mix=label_mix(case["label_mix"]),
                cases=np.asarray(case["cases"], dtype=np.int64),
                contribution=case["contribution"],
            )
            for case in found["similar"]
        ]
        entity_cases = [
            EntityCase(
                by=case["by"],
                entity=np.asarray(names[case["by"]], dtype=object)[row],
                known=case["known"],
                facts=entity_facts(case["names"], case["facts"]),
                contribution=case["contribution"],
            )
            for case in found["entities"]
        ]
        label = None
        if classes is not None:
            label = classes[found["output"] if len(classes) > 2 else 1]
        return Explanation(
            score=score(found["score"]),
            base_score=score(found["base_score"]),
            score_without_relations=score(found["without_relations"]),
            similar=similar,
            entities=entity_cases,
            label=label,
        )

    @property
    def representatives_(self) -> Representatives | None:
        """The representatives of the similarity relation; None without one."""
        check_is_fitted(self)
        found = self._model.representatives()
        if found is None:
            return None
        shares = found["label_sums"] / found["mass"][:, None]
        if self._task == "regression":
            report_mean, report_std = self._target_scale()
            mix = shares[:, 0] * report_std + report_mean
        elif shares.shape[1] == 1:
            mix = np.concatenate([1.0 - shares, shares], axis=1)
        else:
            mix = shares
        return Representatives(
            vectors=found["vectors"],
            mass=found["mass"],
            spread=found["spread"],
            label_mix=mix,
            medoids=found["cases"][:, 0].copy(),
            cases=found["cases"],
        )

    def _target_scale(self) -> tuple[float, float]:
        return float(self._model.target_mean), float(self._model.target_std)

    # ---- keeping

    def save(self, path: Any) -> None:
        """Write one safetensors file; ``ecseq.load`` reads it. Nothing in it is ever executed."""
        check_is_fitted(self)
        self._model.set_metadata(json.dumps(self._description()))
        self._model.save(str(path))

    def _description(self) -> dict[str, Any]:
        """What the file says of the Python side."""
        parameters: dict[str, Any] = {}
        for name, value in self.get_params(deep=False).items():
            if name == "relations" and value is not None:
                parameters[name] = [_relation_to_json(relation) for relation in value]
                continue
            if name == "encoder" and isinstance(value, SequenceEncoder):
                value = "fitted"
            elif name == "verbose" and callable(value):
                value = False
            elif name == "random_state" and not isinstance(value, (int, np.integer)):
                value = None
            parameters[name] = _plain(value)
        description: dict[str, Any] = {
            "estimator": type(self).__name__,
            "parameters": parameters,
            "entity_names": self._entity_names,
            "fit_report": self.fit_report_,
            "user_metadata": self.user_metadata_,
        }
        if hasattr(self, "classes_"):
            description["classes"] = self.classes_.tolist()
            description["classes_dtype"] = self.classes_.dtype.str
        if hasattr(self, "feature_names_in_"):
            description["feature_names_in"] = self.feature_names_in_.tolist()
        return description

    @classmethod
    def _from_core(cls, model: Any, description: dict[str, Any]) -> Any:
        parameters = dict(description["parameters"])
        if parameters.get("relations") is not None:
            parameters["relations"] = [_relation_from_json(r) for r in parameters["relations"]]
        for name in ("n_representatives", "class_weight"):
            if isinstance(parameters.get(name), dict):
                parameters[name] = {key: value for key, value in parameters[name]["items"]}
        classes = None
        if "classes" in description:
            classes = np.asarray(
                description["classes"], dtype=np.dtype(description["classes_dtype"])
            )
        encoder = None
        if model.encoder is not None:
            encoder = SequenceEncoder._from_core(model.encoder, classes)
            if parameters.get("encoder") == "fitted":
                parameters["encoder"] = encoder
        estimator = cls(**parameters)
        estimator._adopt(model, encoder, classes, description["entity_names"])
        estimator.fit_report_ = description["fit_report"]
        estimator.user_metadata_ = description["user_metadata"]
        if "feature_names_in" in description:
            estimator.feature_names_in_ = np.asarray(description["feature_names_in"], dtype=object)
        return estimator

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


class ECSeqClassifier(ClassifierMixin, _ECSeq):
    __doc__ = f"""Classify sequences by looking at a few hundred representative sequences (ECSeq).

    Every target is attached to representatives: of like sequences, and of the entities it shares
    with others. One graph layer relates them; a gate fitted on validation data stacks the result
    with the base (the encoder's own head, or logistic regression on the embedding) and falls back
    to the base where relations do not help. Source: Wu et al., ICWS 2024, arXiv 2406.02979.
{_PARAMETERS}
    classes_ : array [n_classes]

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 6)).astype(np.float32)
    >>> y = (X[:, 0] * X[:, 1] > 0).astype(int)
    >>> model = ECSeqClassifier(n_representatives=20, max_epochs=20).fit(X, y)
    >>> model.predict_proba(X[:2]).shape
    (2, 2)
    """

    _task = "classification"

    def decision_function(
        self,
        X: X_,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """Logits: [n] for two classes, [n, n_classes] for several."""
        check_is_fitted(self)
        outputs = self._outputs(self._model.decide, X, entities, times)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def predict_proba(
        self,
        X: X_,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """Class probabilities [n, n_classes], columns in the order of ``classes_``.

        With entity relations fitted on times, ``times`` says as of when; the entities' states do
        not change (see `partial_fit`, `replay`).
        """
        return probabilities(self.decision_function(X, entities=entities, times=times))

    def predict(
        self,
        X: X_,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
    ) -> NDArray[Any]:
        """The most probable class of each row: [n]."""
        outputs = self.decision_function(X, entities=entities, times=times)
        chosen = (outputs > 0).astype(int) if outputs.ndim == 1 else outputs.argmax(axis=1)
        predicted: NDArray[Any] = self.classes_[chosen]
        return predicted


class ECSeqRegressor(RegressorMixin, _ECSeq):
    __doc__ = f"""Predict a number for each sequence by looking at representative sequences (ECSeq).

    As `ECSeqClassifier`, with squared error, and linear regression as the base of embeddings.
{_PARAMETERS}
    """

    _task = "regression"

    def predict(
        self,
        X: X_,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """Values [n]."""
        check_is_fitted(self)
        return self._outputs(self._model.decide, X, entities, times)[:, 0]


def load(path: Any) -> Any:
    """The estimator that `save` wrote: predictions are the same bits on the same machine.

    Raises `ModelFileError` (a ``ValueError``) for a file that is missing, truncated, altered, or
    written by a newer version.
    """
    model = _core.Model.load(str(path))
    try:
        description = json.loads(model.metadata) if model.metadata else None
    except json.JSONDecodeError:
        description = None
    estimators = {"ECSeqClassifier": ECSeqClassifier, "ECSeqRegressor": ECSeqRegressor}
    if not isinstance(description, dict) or description.get("estimator") not in estimators:
        # Written by the C++ library: classes are numbered.
        regression = model.task == "regression"
        cls: Any = ECSeqRegressor if regression else ECSeqClassifier
        description = {
            "estimator": cls.__name__,
            "parameters": {},
            "entity_names": model.entity_names,
            "fit_report": json.loads(model.report),
            "user_metadata": {},
        }
        if not regression:
            description["classes"] = list(range(model.n_classes))
            description["classes_dtype"] = "<i8"
        if model.encoder is not None:
            description["parameters"]["encoder"] = "fitted"
    else:
        cls = estimators[description["estimator"]]
    return cls._from_core(model, description)


def _column_names(X: Any, n: int) -> list[str]:
    columns = getattr(X, "columns", None)
    if columns is not None and len(columns) == n:
        return [str(name) for name in columns]
    return [str(i) for i in range(n)]


def _source_of(X: Any) -> Any:
    """The value as the caller gave it, to tell "too large for float32" from infinity."""
    array = np.asarray(X)
    return lambda row, column: array[row, column]


def _plain(value: Any) -> Any:
    """JSON's own types; dicts as items, because JSON keys are text and classes need not be."""
    if isinstance(value, Mapping):
        return {"items": [[_plain(k), _plain(v)] for k, v in value.items()]}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def _relation_to_json(relation: Relation) -> dict[str, Any]:
    parameters = relation.get_params(deep=False)
    if isinstance(relation, EntityRelation):
        parameters.update(relation._options())
        parameters["windows"] = ["all" if np.isinf(w) else w for w in parameters["windows"]]
    return {
        "kind": type(relation).__name__,
        "parameters": {name: _plain(value) for name, value in parameters.items()},
    }


def _relation_from_json(saved: dict[str, Any]) -> Relation:
    parameters = dict(saved["parameters"])
    for name, value in parameters.items():
        if isinstance(value, dict):
            parameters[name] = {key: item for key, item in value["items"]}
    kinds: dict[str, Any] = {
        "SimilarityRelation": SimilarityRelation,
        "EntityRelation": EntityRelation,
    }
    relation: Relation = kinds[saved["kind"]](**parameters)
    return relation
