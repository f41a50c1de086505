"""``preset="best"``: kinds of relation layer tried within a time budget."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from ecseq import _core
from ecseq._progress import ProgressCallback

# What is tried beside the parameters as they are, what pays most often first. Each changes some
# options of the core; those of "similarity" by a dot.
_CANDIDATES: tuple[dict[str, Any], ...] = (
    {"learning_rate": 3e-3, "head": [32]},
    {"gnn": "attention"},
    {"hidden_size": 64, "dropout": 0.2},
    {"similarity.n_neighbors": 16},
    {"gnn": "sage_max"},
    {"gnn": "gcn"},
    {"gnn": "gat"},
    {"gnn": "attention", "n_layers": 2},
    {"n_layers": 2},
    {"learning_rate": 1e-3},
    {"similarity.n_neighbors": 4},
    {"hidden_size": 128, "dropout": 0.3},
)

FitCore = Callable[[dict[str, Any]], "tuple[_core.Model, _core.FitDetails]"]


def best_model(
    fit_core: FitCore,
    options: dict[str, Any],
    seconds: float,
    progress: ProgressCallback | None,
) -> tuple[_core.Model, _core.FitDetails, list[dict[str, Any]]]:
    """Of the models fitted in ``seconds`` the one that validation likes best, its details, and what
    was tried.

    The parameters as they are come first and are always fitted; another is begun only if the
    longest so far would still end in time.
    """
    if not options["own_head"]:
        raise ValueError("preset: 'best' tries built-in heads; leave head at its default")
    if not seconds > 0:
        raise ValueError(f"time_budget: expected seconds above 0, got {seconds!r}")
    begin = time.monotonic()
    best: tuple[float, _core.Model, _core.FitDetails] | None = None
    tried: list[dict[str, Any]] = []
    longest = 0.0
    candidates = [{}, *(c for c in _CANDIDATES if _applies(c, options))]
    for number, changes in enumerate(candidates):
        start = time.monotonic()
        if best is not None and start - begin + longest > seconds:
            break
        model, details = fit_core(_changed(options, changes))
        validation = json.loads(model.report)["validation"]["ecseq"]
        score = _score(validation)
        took = time.monotonic() - start
        longest = max(longest, took)
        tried.append({"changes": changes, "score": score, "seconds": took, **validation})
        if best is None or score > best[0]:
            best = (score, model, details)
        if progress is not None:
            progress("search", number + 1, len(candidates), f"best so far {best[0]:.4f}")
    assert best is not None
    return best[1], best[2], tried


def _applies(changes: dict[str, Any], options: dict[str, Any]) -> bool:
    graph = {"gnn", "n_layers"} & set(changes)
    on_similarity = graph or any(name.startswith("similarity.") for name in changes)
    return "similarity" in options or not on_similarity


def _changed(options: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    out = {
        name: dict(value) if isinstance(value, dict) else value for name, value in options.items()
    }
    for name, value in changes.items():
        part, _, inner = name.partition(".")
        if inner:
            out[part][inner] = value
        else:
            out[part] = value
    return out


def _score(metrics: dict[str, float]) -> float:
    """Higher is better: (AUC + AP) / 2, else minus the error."""
    if "auc" in metrics:
        return (metrics["auc"] + metrics["ap"]) / 2
    return -metrics.get("rmse", metrics.get("log_loss", 0.0))
