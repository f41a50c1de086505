"""What the core is told of an encoder: its network, its features and its training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecseq._inputs import class_weights, positive, training_options
from ecseq._sequences import Sequences

_CHOICES = {
    "cell": ("lstm", "gru", "transformer"),
    "pooling": ("last", "mean", "max", "attention"),
    "norm": ("pre", "post"),
    "activation": ("gelu", "relu"),
    "positions": ("sinusoidal", "learned", "none"),
    "task": ("auto", "classification", "regression"),
    "optimizer": ("adamw", "adam", "sgd"),
    "schedule": ("constant", "cosine", "plateau"),
    "selection": ("auto", "auc", "ap", "loss"),
}
_CATEGORICAL_OPTIONS = ("dimension", "max_norm", "min_count")
# Of an architecture: what imported weights alone decide.
IMPORTED_PARTS = ("input_projection", "final_norm")


def core_options(
    encoder: Any,
    sequences: Sequences,
    seed: int,
    classes: NDArray[Any] | None,
    codes: NDArray[np.float32],
) -> dict[str, Any]:
    """Checked options of an encoder that is to be trained on ``sequences``."""
    for name, choices in _CHOICES.items():
        value = getattr(encoder, name)
        if value not in choices:
            known = ", ".join(repr(choice) for choice in choices)
            raise ValueError(f"{name}: {value!r} is not one of {known}")
    options = training_options(encoder, seed)
    if encoder.batch_size is None:
        options["batch_size"] = 0  # the core chooses by the number of sequences
    for name in _CHOICES.keys() - {"task"}:
        options[name] = getattr(encoder, name)
    for name in ("n_layers", "n_heads", "max_length", "accumulate"):
        options[name] = positive(getattr(encoder, name), name)
    for name in ("bidirectional", "time_features", "causal", "bucket_by_length"):
        options[name] = bool(getattr(encoder, name))
    for name in ("dropout", "momentum", "weight_decay", "clip_norm"):
        options[name] = float(getattr(encoder, name))
    if encoder.feed_forward_size is not None:
        options["feed_forward_size"] = positive(encoder.feed_forward_size, "feed_forward_size")
    options["categorical"] = categorical_columns(encoder.categorical, sequences)
    if classes is not None:
        options["class_weight"] = class_weights(encoder.class_weight, classes, codes)
    return options


def categorical_columns(
    categorical: Mapping[Any, Any] | None, sequences: Sequences
) -> list[dict[str, Any]]:
    """One description per categorical feature, in the order of the columns."""
    found: dict[int, dict[str, Any]] = {}
    for feature, given in (categorical or {}).items():
        column = _column_of(feature, sequences)
        options = dict(given) if isinstance(given, Mapping) else {"dimension": given}
        unknown = [name for name in options if name not in _CATEGORICAL_OPTIONS]
        if unknown:
            raise ValueError(
                f"categorical: {feature!r}: {unknown[0]!r} is not one of "
                + ", ".join(repr(name) for name in _CATEGORICAL_OPTIONS)
            )
        description: dict[str, Any] = {"column": column}
        for name in ("dimension", "min_count"):
            if name in options:
                description[name] = positive(options[name], f"categorical: {feature!r}: {name}")
        if "max_norm" in options:
            description["max_norm"] = float(options["max_norm"])
        if column in found:
            raise ValueError(f"categorical: feature {feature!r} is named twice")
        found[column] = description
    for name in sequences.categories:
        if sequences.feature_names.index(name) not in found:
            raise ValueError(
                f"categorical: feature {name!r} holds categories, which are no numbers to compute "
                f"with: pass categorical={{{name!r}: 8}}, 8 being the size of its embedding"
            )
    return [found[column] for column in sorted(found)]


def _column_of(feature: Any, sequences: Sequences) -> int:
    names = sequences.feature_names
    if isinstance(feature, (int, np.integer)) and not isinstance(feature, bool):
        if not 0 <= feature < len(names):
            raise ValueError(
                f"categorical: feature {feature} is not one of the {len(names)} features"
            )
        return int(feature)
    if feature not in names:
        raise ValueError(f"categorical: no feature {feature!r}; the features are {names}")
    return names.index(feature)


def parameters_of(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor parameters of an encoder whose core has this architecture."""
    parameters = {k: v for k, v in architecture.items() if k not in IMPORTED_PARTS}
    columns = parameters["categorical"]
    parameters["categorical"] = {
        c["column"]: {name: c[name] for name in _CATEGORICAL_OPTIONS} for c in columns
    } or None
    parameters["feed_forward_size"] = parameters["feed_forward_size"] or None
    return parameters
