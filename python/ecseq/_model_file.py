"""What a model file keeps of an estimator beside the C++ model: JSON in its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ecseq import _core, compress
from ecseq._calibration import Calibration
from ecseq._encoder import SequenceEncoder
from ecseq._foreign_head import head_from_text, head_to_text, is_foreign
from ecseq._relations import EntityRelation, Relation, SimilarityRelation


def description_of(estimator: Any) -> dict[str, Any]:
    """What a model file says of the Python side."""
    parameters: dict[str, Any] = {}
    for name, value in estimator.get_params(deep=False).items():
        if name == "relations" and value is not None:
            parameters[name] = [_relation_to_json(relation) for relation in value]
            continue
        if name == "compressor":
            parameters[name] = _compressor_to_json(value)
            continue
        if name == "head" and is_foreign(value):
            value = "foreign"
        if name == "encoder" and isinstance(value, SequenceEncoder):
            value = "fitted"
        elif name == "verbose" and callable(value):
            value = False
        elif name == "random_state" and not isinstance(value, (int, np.integer)):
            value = None
        parameters[name] = _plain(value)
    description: dict[str, Any] = {
        "estimator": type(estimator).__name__,
        "parameters": parameters,
        "entity_names": list(estimator._entity_sets),
        "fit_report": estimator.fit_report_,
        "user_metadata": estimator.user_metadata_,
    }
    if estimator.encoder_ is not None and estimator.encoder_.categories_:
        description["categories"] = {
            name: _plain(values.tolist()) for name, values in estimator.encoder_.categories_.items()
        }
    if estimator.head_ is not None:
        description["head"] = head_to_text(estimator.head_)
    if estimator.calibration_ is not None:
        description["calibration"] = estimator.calibration_.to_json()
    if estimator._latest_time is not None:
        description["latest_time"] = estimator._latest_time
    if hasattr(estimator, "classes_"):
        description["classes"] = estimator.classes_.tolist()
        description["classes_dtype"] = estimator.classes_.dtype.str
    if hasattr(estimator, "feature_names_in_"):
        description["feature_names_in"] = estimator.feature_names_in_.tolist()
    return description


def restored(cls: Any, model: _core.Model, description: dict[str, Any]) -> Any:
    """The estimator of class ``cls`` that `description_of` described."""
    parameters = dict(description["parameters"])
    if parameters.get("relations") is not None:
        parameters["relations"] = [_relation_from_json(r) for r in parameters["relations"]]
    parameters["compressor"] = _compressor_from_json(parameters["compressor"])
    for name in ("n_representatives", "class_weight"):
        if isinstance(parameters.get(name), dict):
            parameters[name] = dict(parameters[name]["items"])
    classes = None
    if "classes" in description:
        classes = np.asarray(description["classes"], dtype=np.dtype(description["classes_dtype"]))
    encoder = None
    if model.encoder is not None:
        categories = {
            name: np.asarray(values) for name, values in description.get("categories", {}).items()
        }
        encoder = SequenceEncoder._from_core(
            model.encoder, classes if model.encoder.has_head else None, categories
        )
        if parameters.get("encoder") == "fitted":
            parameters["encoder"] = encoder
    head = None
    if "head" in description:
        head = parameters["head"] = head_from_text(description["head"])
    estimator = cls(**parameters)
    estimator._adopt(model, encoder, classes, head)
    estimator.fit_report_ = description["fit_report"]
    estimator.user_metadata_ = description["user_metadata"]
    if "calibration" in description:
        estimator.calibration_ = Calibration.from_json(description["calibration"], model.n_classes)
    estimator._latest_time = description.get("latest_time")
    if "feature_names_in" in description:
        estimator.feature_names_in_ = np.asarray(description["feature_names_in"], dtype=object)
    return estimator


def _plain(value: Any) -> Any:
    """JSON's own types; dicts as items, because JSON keys are text and classes need not be."""
    if isinstance(value, Mapping):
        return {"items": [[_plain(k), _plain(v)] for k, v in value.items()]}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def _compressor_to_json(compressor: Any) -> Any:
    """A name as it is, one of ours with its parameters; of others a file keeps nothing."""
    if isinstance(compressor, str):
        return compressor
    kind = type(compressor)
    if kind.__module__ != compress.__name__:
        return "custom"
    parameters = {
        name: _plain(value)
        for name, value in compressor.get_params(deep=False).items()
        if name != "verbose"
    }
    described = {"class": kind.__name__, "parameters": parameters}
    try:
        json.dumps(described)
    except TypeError:  # as centroids to start from
        return "custom"
    return described


def _compressor_from_json(saved: Any) -> Any:
    if isinstance(saved, str):
        return saved
    parameters = {
        name: dict(value["items"]) if isinstance(value, dict) else value
        for name, value in saved["parameters"].items()
    }
    kind = getattr(compress, saved["class"], None)
    if not (isinstance(kind, type) and issubclass(kind, compress.Compressor)):
        raise _core.ModelFileError(f"model file: {saved['class']!r} is no compressor")
    return kind(**parameters)


def _relation_to_json(relation: Relation) -> dict[str, Any]:
    parameters = relation.get_params(deep=False)
    if isinstance(relation, EntityRelation):
        options = relation._options()  # durations in seconds
        parameters["windows"] = ["all" if np.isinf(w) else w for w in options["windows"]]
        parameters["decay"] = options["half_lives"] or None
        parameters["label_delay"] = options["label_delay"]
    saved = {name: _plain(value) for name, value in parameters.items()}
    if isinstance(relation, SimilarityRelation):
        saved["compressor"] = _compressor_to_json(relation.compressor)
    return {"kind": type(relation).__name__, "parameters": saved}


def _relation_from_json(saved: dict[str, Any]) -> Relation:
    parameters = dict(saved["parameters"])
    if "compressor" in parameters:
        parameters["compressor"] = _compressor_from_json(parameters["compressor"])
    for name, value in parameters.items():
        if isinstance(value, dict):
            parameters[name] = dict(value["items"])
    kinds: dict[str, Any] = {
        "SimilarityRelation": SimilarityRelation,
        "EntityRelation": EntityRelation,
    }
    relation: Relation = kinds[saved["kind"]](**parameters)
    return relation
