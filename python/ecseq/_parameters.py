"""Parameters of an estimator, checked and turned into what the core takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from ecseq._encoder import SequenceEncoder
from ecseq._foreign_head import hidden_sizes, is_foreign
from ecseq._inputs import class_weights, positive, training_options
from ecseq._relations import EntityRelation, Relation, SimilarityRelation
from ecseq._sequences import Sequences


def relations_of(estimator: Any) -> list[Relation]:
    """The relations asked for, or the one that the flat parameters describe."""
    if estimator.relations is None:
        return [
            SimilarityRelation(
                estimator.n_representatives,
                compressor=estimator.compressor,
                attach=estimator.attach,
                n_neighbors=estimator.n_neighbors,
                epsilon=estimator.epsilon,
                isolated=estimator.isolated,
                label_mix=estimator.label_mix,
                mass=estimator.mass,
                standardize=estimator.standardize,
            )
        ]
    relations = list(estimator.relations)
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


def core_options(
    estimator: Any,
    relations: list[Relation],
    classes: NDArray[Any] | None,
    codes: NDArray[np.float32],
    seed: int,
) -> dict[str, Any]:
    """Options of the C++ model. estimator: its parameters, see `settings_of`. codes: class numbers
    or values [n]."""
    options = training_options(estimator, seed)
    if estimator.batch_size is None:
        options["batch_size"] = 0  # the core chooses by the number of rows
    for name in ("gnn", "activation", "loss", "selection", "mode", "schedule"):
        options[name] = str(getattr(estimator, name))
    for name in ("n_layers", "heads"):
        options[name] = positive(getattr(estimator, name), name)
    for name in (
        "aux_weight",
        "dropout",
        "input_dropout",
        "attention_dropout",
        "weight_decay",
    ):
        options[name] = float(getattr(estimator, name))
    for name in ("embedding", "residual", "gate", "controls", "standardize", "tune_encoder"):
        options[name] = bool(getattr(estimator, name))
    options["own_head"] = not is_foreign(estimator.head)
    options["head"] = hidden_sizes(estimator.head, options["hidden_size"])
    if not options["own_head"] and (options["gnn"] != "sage_mean" or options["n_layers"] != 1):
        raise ValueError(
            "head: a head of your own sees the averaged representatives, which is one layer of "
            f"'sage_mean'; got gnn={estimator.gnn!r}, n_layers={estimator.n_layers}"
        )
    if classes is not None:
        options["class_weight"] = class_weights(estimator.class_weight, classes, codes)
    options["entities"] = []
    for relation in relations:
        if isinstance(relation, SimilarityRelation):
            options["similarity"] = relation._options(None if classes is None else classes.tolist())
        else:
            options["entities"].append(relation._options())
    return options


def encoder_of(
    estimator: Any, sequences: Sequences | None, task: str, classes: NDArray[Any] | None
) -> SequenceEncoder | None:
    """None for embeddings; the fitted encoder given; or a new, unfitted one."""
    if sequences is None:
        return None
    encoder = estimator.encoder
    if isinstance(encoder, str):
        return SequenceEncoder(
            encoder,
            task="regression" if classes is None else "classification",
            class_weight=estimator.class_weight,
            random_state=estimator.random_state,
            num_threads=estimator.num_threads,
            verbose=estimator.verbose,
        )
    if not isinstance(encoder, SequenceEncoder):
        raise ValueError(
            "encoder: expected None, 'lstm', 'gru', 'transformer' or a SequenceEncoder, got "
            f"{encoder!r}"
        )
    if not encoder.__sklearn_is_fitted__():
        unfitted: SequenceEncoder = clone(encoder)
        return unfitted
    fitted_on = encoder.fit_report_["task"]
    same = fitted_on == task and (
        classes is None or np.array_equal(getattr(encoder, "classes_", []), classes)
    )
    if not same and fitted_on != "none":
        known = list(getattr(encoder, "classes_", []))
        raise ValueError(
            f"encoder: was fitted for {fitted_on} {known or ''}, y is {task} "
            f"{[] if classes is None else list(classes)}"
        )
    if encoder.n_features_in_ != sequences.n_features:
        raise ValueError(
            f"X: events have {sequences.n_features} features, the encoder was fitted on "
            f"{encoder.n_features_in_}"
        )
    return encoder
