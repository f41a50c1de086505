"""What every measure asks of its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pair(
    first: ArrayLike, second: ArrayLike, names: tuple[str, str] = ("y_true", "prediction")
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two finite float64 arrays of one shape."""
    a = np.asarray(first, dtype=np.float64)
    b = np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"{names[1]}: expected shape {a.shape} as {names[0]} has, got {b.shape}")
    if a.size == 0:
        raise ValueError(f"{names[0]}: expected at least one row, got zero rows")
    for name, array in ((names[0], a), (names[1], b)):
        if not np.isfinite(array).all():
            row = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0]) if array.ndim else ()
            raise ValueError(f"{name}: row {row}: expected a finite number, got {array[row]}")
    return a, b


def binary(
    y_true: ArrayLike, score: ArrayLike, name: str
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    y, scores = pair(y_true, score, ("y_true", name))
    if y.ndim != 1:
        raise ValueError(f"y_true: expected one dimension, got shape {y.shape}")
    other = (y != 0.0) & (y != 1.0)
    if other.any():
        row = int(np.argmax(other))
        raise ValueError(f"y_true: row {row}: expected 0 or 1, got {y[row]}")
    return y == 1.0, scores


def require_probabilities(p: NDArray[np.float64]) -> None:
    outside = ~((p >= 0.0) & (p <= 1.0))
    if outside.any():
        row = int(np.argwhere(outside)[0][0])
        raise ValueError(f"probability: row {row}: expected numbers in [0, 1], got {p[row]}")


def class_columns(
    y_true: ArrayLike, probability: ArrayLike, classes: Sequence[Any] | NDArray[Any] | None
) -> tuple[NDArray[np.int64], NDArray[np.float64], list[Any]]:
    """The column of each row's label [n], distributions [n, c], and the label of each column."""
    p = np.asarray(probability, dtype=np.float64)
    y = np.asarray(y_true)
    if p.ndim != 2 or p.shape[1] < 2:
        raise ValueError(f"probability: expected shape [n, c] with c >= 2, got {p.shape}")
    if y.shape != (len(p),):
        raise ValueError(f"y_true: expected shape ({len(p)},) as probability has, got {y.shape}")
    if len(p) == 0:
        raise ValueError("y_true: expected at least one row, got zero rows")
    require_probabilities(p)
    sums = p.sum(axis=1)
    # Probabilities may come as float32, whose rows sum to 1 only this closely.
    wrong = np.abs(sums - 1.0) > 1e-4
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"probability: row {row} sums to {sums[row]}, expected 1")
    names = list(range(p.shape[1])) if classes is None else list(classes)
    if len(names) != p.shape[1]:
        raise ValueError(f"classes: expected {p.shape[1]} labels, got {len(names)}")
    index = {name: j for j, name in enumerate(names)}
    for row, label in enumerate(y.tolist()):
        if label not in index:
            raise ValueError(f"y_true: row {row}: {label!r} is not one of the classes {names}")
    code = np.fromiter((index[label] for label in y.tolist()), np.int64, count=len(y))
    return code, p, names
