"""What a forecaster is given, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]


def as_series(Y: ArrayLike) -> Floats:
    """[time, series] or [time, series, channels] in float32; ``ValueError`` for anything else."""
    values = np.asarray(Y)
    if values.ndim not in (2, 3) or 0 in values.shape:
        raise ValueError(
            "Y: expected [time, series] or [time, series, channels] with rows, got shape "
            f"{values.shape}"
        )
    if values.dtype.kind not in "fiub":
        raise ValueError(f"Y: expected numbers, got {values.dtype}")
    return np.ascontiguousarray(values, dtype=np.float32)


def as_exogenous(exogenous: ArrayLike | None) -> Floats | None:
    """[time, features] in float32, or None; ``ValueError`` for anything else."""
    if exogenous is None:
        return None
    features = np.asarray(exogenous)
    if features.ndim != 2 or features.shape[1] == 0:
        raise ValueError(f"exogenous: expected [time, features], got shape {features.shape}")
    if features.dtype.kind not in "fiub":
        raise ValueError(f"exogenous: expected numbers, got {features.dtype}")
    return np.ascontiguousarray(features, dtype=np.float32)


def flattened(values: Floats, split: bool) -> tuple[Floats, int]:
    """[time, series * channels], and the channels of what the core takes for a series."""
    channels = 1 if split or values.ndim == 2 else values.shape[2]
    return values.reshape(len(values), -1), channels


def series_names(Y: Any, values: Floats) -> list[Any]:
    """The columns of a table, or numbers."""
    columns = getattr(Y, "columns", None)
    if columns is not None and len(columns) == values.shape[1]:
        return list(columns)
    return list(range(values.shape[1]))


def validation_begin(validation: float | int, steps: int) -> int:
    """The first row of validation, from that row or the share of the last ones."""
    if isinstance(validation, bool) or not isinstance(
        validation, (int, float, np.integer, np.floating)
    ):
        raise ValueError(f"validation: expected a share or a row number, got {validation!r}")
    if isinstance(validation, (int, np.integer)):
        return int(validation)
    if not 0 < validation < 1:
        raise ValueError(f"validation: expected a share in (0, 1), got {validation}")
    return steps - max(1, round(float(validation) * steps))
