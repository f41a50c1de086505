"""Whole sets of parameters by name: ``preset=`` of the estimators."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from ecseq._encoder import SequenceEncoder

# The released protocol of ECSeq (arXiv 2406.02979): a linear GraphSAGE layer over clusters found by
# a fixed threshold, no gate, squared error of the sigmoid.
_PAPER: dict[str, Any] = {
    "attach": "epsilon",
    "epsilon": 0.99,
    "isolated": "alone",
    "standardize": False,
    "label_mix": False,
    "mass": False,
    "gnn": "sage_mean",
    "activation": "none",
    "residual": False,
    "head": "linear",
    "hidden_size": 32,
    "loss": "paper",
    "dropout": 0.0,
    "gate": False,
    "learning_rate": 5e-3,
    "schedule": "constant",
    "batch_size": 1000,
    "max_epochs": 300,
    "patience": 30,
    "selection": "auc",
}
_FAST: dict[str, Any] = {
    "n_representatives": 100,
    "max_epochs": 15,
    "patience": 3,
    "controls": False,
}
PRESETS = ("paper", "fast", "best")


def settings_of(estimator: Any, classes: Sequence[Any] | None) -> SimpleNamespace:
    """The estimator's parameters with those of its preset in the place of defaults.

    A parameter that differs from its default was set by the caller, and stays. classes: in order,
    None for regression.
    """
    settings = SimpleNamespace(isolated="nearest", standardize=True, label_mix=True, mass=True)
    parameters = estimator.get_params(deep=False)
    settings.__dict__.update(parameters)
    preset = estimator.preset
    if preset is None or preset == "best":
        return settings
    if preset not in PRESETS:
        names = ", ".join(repr(name) for name in PRESETS)
        raise ValueError(f"preset: expected None, {names}, got {preset!r}")
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(type(estimator).__init__).parameters.items()
    }
    for name, value in (_paper(classes) if preset == "paper" else _FAST).items():
        if name not in parameters or _same(parameters[name], defaults[name]):
            setattr(settings, name, value)
    if preset == "paper" and isinstance(settings.encoder, str):
        settings.encoder = _paper_encoder(settings)
    return settings


def _paper(classes: Sequence[Any] | None) -> dict[str, Any]:
    if classes is None or len(classes) != 2:
        return {**_PAPER, "n_representatives": 100, "compressor": "kmeans"}
    # The second class is the rare one, as fraud is.
    return {
        **_PAPER,
        "n_representatives": {classes[0]: 400, classes[1]: 100},
        "compressor": "balanced_kmeans",
    }


def _paper_encoder(settings: SimpleNamespace) -> SequenceEncoder:
    return SequenceEncoder(
        settings.encoder,
        hidden_size=32,
        learning_rate=1e-5,
        batch_size=64,
        max_epochs=50,
        patience=10,
        class_weight=settings.class_weight,
        random_state=settings.random_state,
        num_threads=settings.num_threads,
        verbose=settings.verbose,
    )


def _same(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and bool(value == default))
