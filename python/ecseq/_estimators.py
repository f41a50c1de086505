"""ECSeq as scikit-learn estimators."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.validation import check_is_fitted

from ecseq import _core
from ecseq._base import ECSeqBase, Rows
from ecseq._forecaster import ECSeqForecaster, is_forecaster
from ecseq._labels import class_numbers, labels_of, probabilities
from ecseq._model_file import restored
from ecseq._sequences import Sequences

_PARAMETERS = """
    Parameters
    ----------
    encoder : None, "lstm", "gru" or SequenceEncoder
        None: X is an embedding matrix [n, h] from anywhere. Otherwise X is `Sequences`: a fitted
        encoder is used as it is (it is never changed), a name or an unfitted one is trained on
        the training part first.
    relations : list of SimilarityRelation and EntityRelation, or None
        None: one SimilarityRelation with the flat parameters below.
    n_representatives, compressor, attach, n_neighbors, epsilon
        Of the default relation, see `SimilarityRelation`.
    gnn : {"sage_mean", "sage_max", "gcn", "gat", "attention"}
        The graph layer over target and representatives.
    n_layers : {1, 2}
        With two, the representatives hear one another first.
    heads : int
        Of "gat" and "attention"; divides `hidden_size`.
    activation : {"relu", "tanh", "gelu", "none"}
        Of hidden layers; "none" leaves a linear model.
    embedding, residual : bool
        Whether the layer also sees the target's own embedding, and what the base says of it; one of
        both at least. On small data with entities, the base's output alone is often better.
    hidden_size : int
        Of the graph layers; the enriched embedding's size.
    head : {"linear", "mlp"}, sizes of hidden layers, or a scikit-learn classifier or regressor
        What turns the enriched embedding into outputs. One of your own (a clone is fitted) gets
        embedding, base output and averaged relations, X [n, width]; the gate stacks it as any. A
        file keeps it by ``skops``, if that is installed.
    loss : {"auto", "huber", "paper"}
        Cross-entropy or squared error; Huber's; squared error of the sigmoid (the paper's).
    mode : {"targets", "compressed", "joint", "pretrain"}
        What the layer is trained on: the targets; the representatives with their label mix; both,
        the latter times `aux_weight`; the representatives and then the targets.
    aux_weight, dropout, input_dropout, attention_dropout : float
        dropout: of hidden layers. input_dropout: of what graph layers other than one "sage_mean"
        see. attention_dropout: of the attention weights of "gat" and "attention".
    class_weight : None, "balanced" or dict
    gate : bool
        Stack with the base, or fall back to it where validation says so.
    learning_rate, weight_decay, schedule, selection, batch_size, max_epochs, patience
        Of the graph layer and the MLP control (AdamW). schedule "plateau" halves the rate when
        validation stands still ("constant", "cosine"). selection: what early stopping watches,
        "auto" for (AUC + AP) / 2 or the loss, "auc", "ap", "loss". batch_size None chooses by the
        number of rows.
    validation_fraction : float
        Share held out when ``fit`` gets no ``validation``: the latest rows where times are known,
        else a random part of each class. It decides early stopping and the gate.
    calibrate : None, "isotonic" or "platt"
        Of a classifier: fit, on the validation rows, what turns logits into probabilities that mean
        what they say: rising steps (Zadrozny and Elkan 2002), which need some hundred rows of each
        class, or a sigmoid (Platt 1999). `predict_proba`, `predict` and `replay` use it,
        `decision_function` does not; the order of rows stays, up to ties. See `recalibrate`.
    cross_fit : int or None
        Folds. An encoder knows its own training sequences too well: what its head says of them is
        far better than what it will say of others, and the relation layer learns to look no
        further. With folds, the layer learns from what encoders that were not trained on a sequence
        say of it; everything else uses the one encoder. Costs as many more encoder fits.
    tune_encoder : bool
        Train the encoder on through attachment and relation layer (one layer of "sage_mean",
        ``attach="knn"``), representatives found again after each epoch; then fit anew on the
        embeddings it gives, and keep that if validation likes it better
        (``fit_report_["tuning"]``). The encoder given is not changed; see ``encoder_``.
    controls : bool
        Also fit logistic (linear) regression and a small MLP on the same embedding, to be compared
        with: in ``fit_report_`` and by `control_scores`.
    preset : None, "paper", "fast" or "best"
        Values for all parameters that are left at their defaults. "paper": the released protocol of
        the paper, without any of what this library adds. "fast": fewer representatives and epochs.
        "best": tries kinds of relation layer for `time_budget` seconds and keeps the one that
        validation likes best (``fit_report_["tried"]``).
    random_state : int, RandomState or None
        With an int, results are the same bits for every `num_threads`.
    num_threads : int or None
        None: the process default, see ``ecseq.set_num_threads``.
    verbose : bool or callable
        True prints progress to stderr; a callable gets (stage, done, total, message).

    Attributes
    ----------
    representatives_ : Representatives or None
    update_report_ : dict or None
        Of the last `partial_fit`: how far its rows were from the representatives by similarity.
    fit_report_ : dict
        ``validation`` (metrics of base, ecseq and controls), ``gate`` (what it chose), ``seconds``
        per stage, ``isolation_rate`` (of the validation rows), ``curve`` per epoch,
        ``n_representatives``, ``n_entities``, ``reference`` (what `drift` compares with),
        ``freshness`` (what `staleness` does).
    encoder_ : SequenceEncoder or None
    calibration_ : Calibration or None
    n_features_in_ : int
        Columns of the embedding, or features of an event.
    user_metadata_ : dict
        Yours: anything JSON can hold, kept in the model file.
"""


class ECSeqClassifier(ClassifierMixin, ECSeqBase):
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
        X: Rows,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """Logits: [n] for two classes, [n, n_classes] for several."""
        check_is_fitted(self)
        outputs = self._decide(X, entities, times)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def predict_proba(
        self,
        X: Rows,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """Class probabilities [n, n_classes], columns in the order of ``classes_``, calibrated
        where the model is.

        With entity relations fitted on times, ``times`` says as of when; the entities' states do
        not change (see `partial_fit`, `replay`).
        """
        outputs = self.decision_function(X, entities=entities, times=times)
        of = probabilities if self.calibration_ is None else self.calibration_.probabilities
        return of(outputs)

    def predict(
        self,
        X: Rows,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
    ) -> NDArray[Any]:
        """The most probable class of each row: [n]."""
        outputs = self.decision_function(X, entities=entities, times=times)
        if self.calibration_ is None:
            numbers = class_numbers(outputs)
        else:
            numbers = self.calibration_.probabilities(outputs).argmax(axis=1)
        predicted: NDArray[Any] = self.classes_[numbers]
        return predicted

    def score(
        self,
        X: Rows,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
    ) -> float:
        """Share of rows whose class is predicted; y defaults to the labels Sequences carry."""
        labels = labels_of(X, y) if isinstance(X, Sequences) else y
        predicted = self.predict(X, entities=entities, times=times)
        return float(accuracy_score(labels, predicted, sample_weight=sample_weight))


class ECSeqRegressor(RegressorMixin, ECSeqBase):
    __doc__ = f"""Predict a number for each sequence by looking at representative sequences (ECSeq).

    As `ECSeqClassifier`, with squared error, and linear regression as the base of embeddings.
{_PARAMETERS}
    """

    _task = "regression"

    def predict(
        self,
        X: Rows,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """Values [n]."""
        check_is_fitted(self)
        return self._decide(X, entities, times)[:, 0]

    def score(
        self,
        X: Rows,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        entities: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
    ) -> float:
        """Coefficient of determination; y defaults to the labels Sequences carry."""
        labels = labels_of(X, y) if isinstance(X, Sequences) else y
        predicted = self.predict(X, entities=entities, times=times)
        return float(r2_score(labels, predicted, sample_weight=sample_weight))


def load(path: Any) -> Any:
    """The estimator that `save` wrote: predictions are the same bits on the same machine.

    Raises `ModelFileError` (a ``ValueError``) for a file that is missing, truncated, altered, or
    written by a newer version.
    """
    if is_forecaster(str(path)):
        return ECSeqForecaster._load(str(path))
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
            "entity_names": list(model.entity_sets),
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
    return restored(cls, model, description)
