"""The rows of an event table, grouped into sequences."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecseq._checks import (
    as_entity_ids,
    as_float32,
    as_labels,
    as_names,
    as_seconds,
    check_finite,
    refuse_missing,
)
from ecseq._frames import Frame, open_frame


@dataclass
class GroupedEvents:
    """Events sorted by whose they are, then by time; as ``Sequences`` holds them."""

    values: NDArray[np.float32]  # [events, features]
    offsets: NDArray[np.int64]  # [sequences + 1]
    feature_names: list[str]
    times: NDArray[np.float64] | None  # [events] seconds since 1970
    labels: NDArray[Any] | None  # [events]
    entities: dict[str, NDArray[Any]]  # each [events]
    categories: dict[str, NDArray[Any]]  # the values that the numbers of a feature stand for
    ids: NDArray[Any]  # [sequences]
    row_order: NDArray[np.int64]  # [events] row of the table


def group_events(
    frame: Any,
    *,
    by: str,
    time: str | None,
    features: Iterable[str],
    label: str | None,
    static: Iterable[str],
    entities: Iterable[str],
) -> GroupedEvents:
    """What ``Sequences.from_frame`` says, errors included."""
    table = open_frame(frame)
    feature_list = as_names(features, "features")
    static_list = as_names(static, "static")
    entity_list = as_names(entities, "entities")
    if not feature_list:
        raise ValueError("features: expected at least one column name, got none")
    twice = sorted(set(feature_list) & set(static_list))
    if twice:
        raise ValueError(f"static: {twice[0]!r} is already one of the features")
    if table.n_rows == 0:
        raise ValueError("frame: expected at least one row, got zero rows")

    owners = table.column(by)
    refuse_missing(owners, f"column {by!r}")
    codes, ids = _factorize(owners, by)
    order, seconds = _order(table, codes, time)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids)))])
    offsets = offsets.astype(np.int64, copy=False)

    names = feature_list + static_list
    values = np.empty((table.n_rows, len(names)), dtype=np.float32)
    categories: dict[str, NDArray[Any]] = {}
    for j, name in enumerate(names):
        column = table.column(name)
        if name in static_list or column.dtype.kind not in "OUS":
            values[:, j] = _numeric_column(table, name)[order]
        else:
            refuse_missing(column, f"column {name!r}")
            numbers, categories[name] = _factorize(column, name)
            values[:, j] = numbers[order]
    for j in range(len(feature_list), len(names)):
        _refuse_varying(values[:, j], offsets, names[j], ids)

    labels = None
    if label is not None:
        labels = as_labels(table.column(label), f"column {label!r}", table.n_rows)[order]
    by_entity = {
        name: as_entity_ids(
            table.column(name, allow_missing=True), f"column {name!r}", table.n_rows
        )[order]
        for name in entity_list
    }
    return GroupedEvents(values, offsets, names, seconds, labels, by_entity, categories, ids, order)


def _order(
    table: Frame, codes: NDArray[np.int64], time: str | None
) -> tuple[NDArray[np.int64], NDArray[np.float64] | None]:
    """The rows by owner, then time, and their seconds; where there is no time, as they come."""
    if time is None:
        return np.argsort(codes, kind="stable").astype(np.int64, copy=False), None
    moments = table.column(time)
    seconds = as_seconds(moments, f"column {time!r}", table.n_rows)
    # Sort on the stored integers: float64 seconds tie times under a microsecond apart.
    key = moments.astype(np.int64) if moments.dtype.kind == "M" else moments
    order = np.lexsort((key, codes)).astype(np.int64, copy=False)
    return order, seconds[order]


def _refuse_varying(
    column: NDArray[np.float32], offsets: NDArray[np.int64], name: str, ids: NDArray[Any]
) -> None:
    varies = column != np.repeat(column[offsets[:-1]], np.diff(offsets))
    if varies.any():
        i = int(np.searchsorted(offsets, np.argmax(varies), side="right")) - 1
        raise ValueError(
            f"static: column {name!r} varies within sequence {ids[i]!r}; "
            "list it under features instead"
        )


def _numeric_column(table: Frame, name: str) -> NDArray[np.float32]:
    column = table.column(name)
    if column.dtype.kind not in "biuf":
        advice = (
            "derive numbers from it, such as the hour or the gap to the event before"
            if column.dtype.kind in "mM"
            else "encode its categories as numbers first, or convert it with astype(float)"
        )
        raise TypeError(
            f"frame: column {name!r}: expected numbers, got dtype {column.dtype}; {advice}"
        )
    converted = as_float32(column, f"column {name!r}")
    check_finite(converted.reshape(-1, 1), "frame", [name], lambda row, _: column[row])
    return converted


def _factorize(column: NDArray[Any], name: str) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Codes [rows] and the sorted distinct values that they stand for."""
    if column.dtype.kind != "O":
        ids, codes = np.unique(column, return_inverse=True)
        return codes.astype(np.int64, copy=False), ids
    # Hashing first and sorting only the distinct values: a table has far more rows than owners.
    values = column.tolist()
    try:
        distinct = sorted(dict.fromkeys(values))
    except TypeError:
        raise TypeError(
            f"column {name!r}: expected values of one kind that can be sorted (all text or all "
            "numbers); convert them, for example with astype(str)"
        ) from None
    rank = {value: code for code, value in enumerate(distinct)}
    ids = np.empty(len(distinct), dtype=object)
    ids[:] = distinct
    return np.fromiter(map(rank.__getitem__, values), np.int64, count=len(values)), ids
