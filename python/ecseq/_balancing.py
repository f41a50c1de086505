"""How many representatives each class, or each part of a real-valued target, gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecseq import _core
from ecseq._inputs import positive
from ecseq._label_channels import LabelChannels

# By class or, for real values, from the lowest part to the highest: numbers, or shares of K.
Allocation = str | Mapping[Any, float] | Sequence[float] | None


def balanced_groups(
    labels: LabelChannels,
    codes: NDArray[np.float32],
    allocation: Allocation,
    n_quantiles: int,
    n_representatives: int,
) -> tuple[NDArray[np.int32], list[int] | None]:
    """(group of each row [n], K of each group or None for equal parts)

    codes : class numbers or values [n]. Groups are the classes, or parts of equally many rows by
    the rank of their value: as many as `allocation` names, or n_quantiles.
    """
    if not labels.given:
        return np.zeros(len(codes), np.int32), None
    if labels.classes is None:
        names: list[Any] = []
        if isinstance(allocation, Mapping):
            raise ValueError("allocation: a dict is by class, and y holds real values; give a list")
        bins = positive(n_quantiles, "n_quantiles")
        if allocation is not None and not isinstance(allocation, str):
            bins = len(allocation)
        groups = _core.quantile_groups(codes, bins)
    else:
        names = labels.classes.tolist()
        groups = codes.astype(np.int32)
    sizes = np.bincount(groups, minlength=len(names))
    wanted = _in_order(allocation, names, sizes)
    if wanted is None:
        return groups, None
    return groups, _counts(wanted, n_representatives, names or list(range(len(wanted))))


def _in_order(
    allocation: Allocation, names: list[Any], sizes: NDArray[np.intp]
) -> list[float] | None:
    """One number or share per group."""
    if allocation is None or allocation == "equal":
        return None
    if isinstance(allocation, str):
        if allocation != "proportional":
            raise ValueError(
                "allocation: expected 'equal', 'proportional', or numbers or shares by class, got "
                f"{allocation!r}"
            )
        return [float(share) for share in sizes / sizes.sum()]
    if isinstance(allocation, Mapping):
        if set(allocation) != set(names):
            raise ValueError(
                f"allocation: expected an entry for each class {names}, got {list(allocation)}"
            )
        return [allocation[name] for name in names]
    if len(allocation) != len(sizes):
        raise ValueError(
            f"allocation: expected {len(sizes)} entries, one per class, got {len(allocation)}"
        )
    return list(allocation)


def _counts(wanted: list[float], total: int, names: list[Any]) -> list[int]:
    if all(isinstance(w, (int, np.integer)) and not isinstance(w, bool) for w in wanted):
        return [positive(w, f"allocation[{name!r}]") for name, w in zip(names, wanted, strict=True)]
    shares = np.asarray(wanted, dtype=np.float64)
    if not ((shares > 0).all() and abs(shares.sum() - 1) < 1e-6):
        raise ValueError(
            f"allocation: expected whole numbers, or shares above 0 that sum to 1, got {wanted}"
        )
    if total < len(wanted):
        raise ValueError(
            f"n_representatives: expected at least one for each of {len(wanted)} groups, got "
            f"{total}"
        )
    # Everyone one, and the rest by largest remainder.
    ideal = shares * total
    counts = np.maximum(1, np.floor(ideal)).astype(int)
    while counts.sum() < total:
        counts[np.argmax(ideal - counts)] += 1
    while counts.sum() > total:
        counts[np.argmax(np.where(counts > 1, counts - ideal, -np.inf))] -= 1
    return [int(c) for c in counts]
