"""Compressors of the caller's own, as the core calls them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from ecseq._representatives import Representatives

Grouping = tuple[NDArray[np.int64], NDArray[np.float32] | None]

_SIZE_PARAMETERS = ("n_representatives", "n_clusters", "n_components")


def check_compressor(compressor: Any) -> None:
    """Raises ValueError unless it is a name, has ``fit`` or can be called."""
    if isinstance(compressor, str) or hasattr(compressor, "fit") or callable(compressor):
        return
    raise ValueError(
        "compressor: expected a name, an object or class with fit(X, y), or a function "
        f"(X, y, n_representatives) -> clusters, got {compressor!r}"
    )


def size_is_its_own(compressor: Any) -> bool:
    """Whether the number of representatives is the compressor's own affair."""
    return not isinstance(compressor, (str, type)) and hasattr(compressor, "fit")


def grouping_of(
    compressor: Any, y: NDArray[Any], seed: int
) -> Callable[[NDArray[np.float32], int], Grouping]:
    """What the core calls with the standardised embeddings X [n, h] and K.

    y : labels [n] as the caller gave them.
    """

    def group(X: NDArray[np.float32], n_representatives: int) -> Grouping:
        if not hasattr(compressor, "fit"):
            return _parts(compressor(X, y, n_representatives), len(X))
        if isinstance(compressor, type):
            fitted = _instance(compressor, n_representatives, seed)
        elif hasattr(compressor, "get_params"):
            fitted = clone(compressor)
        else:
            fitted = copy.deepcopy(compressor)
        fitted.fit(X, y)
        return _clusters_of(fitted, X), _vectors_of(fitted)

    return group


def _instance(kind: type, n_representatives: int, seed: int) -> Any:
    parameters = inspect.signature(kind).parameters
    size = next((name for name in _SIZE_PARAMETERS if name in parameters), None)
    if size is None:
        raise ValueError(
            f"compressor: class {kind.__name__} has none of the parameters "
            f"{', '.join(_SIZE_PARAMETERS)}; give an instance of it instead"
        )
    options: dict[str, Any] = {size: n_representatives}
    if "random_state" in parameters:
        options["random_state"] = seed
    return kind(**options)


def _clusters_of(fitted: Any, X: NDArray[np.float32]) -> NDArray[np.int64]:
    for name in ("assignment_", "labels_"):
        if hasattr(fitted, name):
            return _as_clusters(getattr(fitted, name), len(X))
    if hasattr(fitted, "predict"):
        return _as_clusters(fitted.predict(X), len(X))
    raise ValueError(
        f"compressor: {type(fitted).__name__} has neither assignment_ nor labels_ after its fit, "
        "nor predict(X)"
    )


def _vectors_of(fitted: Any) -> NDArray[np.float32] | None:
    found = getattr(fitted, "representatives_", None)
    if found is None:
        return None
    vectors = found.vectors if isinstance(found, Representatives) else found
    return np.ascontiguousarray(vectors, dtype=np.float32)


def _parts(result: Any, n: int) -> Grouping:
    if isinstance(result, tuple):
        if len(result) != 2:
            raise ValueError(
                f"compressor: expected clusters or (clusters, vectors), got {len(result)} parts"
            )
        return _as_clusters(result[0], n), np.ascontiguousarray(result[1], dtype=np.float32)
    return _as_clusters(result, n), None


def _as_clusters(labels: ArrayLike, n: int) -> NDArray[np.int64]:
    clusters = np.asarray(labels)
    if clusters.shape != (n,):
        raise ValueError(
            f"compressor: expected a cluster for each of the {n} rows, got shape {clusters.shape}"
        )
    if clusters.dtype.kind not in "iu":
        raise ValueError(f"compressor: expected whole numbers as clusters, got {clusters.dtype}")
    return np.ascontiguousarray(clusters, dtype=np.int64)
