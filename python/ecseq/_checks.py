"""Checks at the boundary: every array that a caller hands in passes here once."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_ROWS_PER_CHECK = 8_192


def as_array(x: ArrayLike, name: str) -> NDArray[Any]:
    """``x`` as a NumPy array, with an error that names the argument when it is ragged."""
    try:
        return np.asarray(x)
    except ValueError as error:
        raise ValueError(f"{name}: expected a regular array, got {error}") from None


def as_float32(x: ArrayLike, name: str) -> NDArray[np.float32]:
    """``x`` as C-contiguous float32; not copied when it already is.

    Raises ``TypeError`` when ``x`` is not numeric. A number beyond float32 becomes infinite here
    and is refused by `check_finite`.
    """
    array = as_array(x, name)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected numbers, got dtype {array.dtype}")
    if array.dtype == np.float32 and array.flags.c_contiguous:
        return array  # one event takes less time than np.errstate
    with np.errstate(over="ignore"):
        # np.asarray with an order keeps 0-d and 1-d shapes, unlike np.ascontiguousarray.
        return np.asarray(array, dtype=np.float32, order="C")


def check_finite(
    values: NDArray[np.float32],
    name: str,
    columns: Sequence[str],
    source: Callable[[int, int], Any] | None = None,
    describe_row: Callable[[int], str] = lambda row: f"row {row}",
) -> None:
    """Refuse NaN and infinity in ``values`` [rows, columns], naming the row and the column.

    ``source(row, column)`` gives the number before its conversion to float32, so that a number
    which is merely too large is called so.
    """
    for begin in range(0, len(values), _ROWS_PER_CHECK):
        finite = np.isfinite(values[begin : begin + _ROWS_PER_CHECK])
        if finite.all():
            continue
        position, column = (int(i) for i in np.argwhere(~finite)[0])
        row = begin + position
        found = values[row, column] if source is None else source(row, column)
        where = f"{name}: {describe_row(row)}, column {columns[column]!r}"
        if np.isfinite(found):
            raise ValueError(
                f"{where}: {found} is beyond the range of float32 (3.4e38); rescale the column"
            )
        shown = "NaN" if np.isnan(found) else found
        raise ValueError(f"{where}: expected a finite number, got {shown}")


def as_offsets(offsets: ArrayLike, n_rows: int) -> NDArray[np.int64]:
    """Checked int64 offsets [n + 1] over ``n_rows`` rows; not copied when they are int64."""
    array = as_array(offsets, "offsets")
    if array.ndim != 1:
        raise ValueError(f"offsets: expected one dimension [n + 1], got shape {array.shape}")
    if array.size < 2:
        raise ValueError(
            f"offsets: expected at least 2 entries (one sequence), got {array.size}: zero sequences"
        )
    if array.dtype.kind not in "iu":
        raise TypeError(f"offsets: expected integers, got dtype {array.dtype}")
    result = np.asarray(array, dtype=np.int64, order="C")
    if result[0] != 0:
        raise ValueError(f"offsets: expected the first entry to be 0, got {result[0]}")
    lengths = np.diff(result)
    if (lengths <= 0).any():
        i = int(np.argmax(lengths <= 0))
        if lengths[i] == 0:
            raise ValueError(
                f"offsets: sequence {i} is empty (offsets[{i}] = offsets[{i + 1}] = {result[i]}); "
                "every sequence needs at least one event"
            )
        raise ValueError(
            f"offsets: expected increasing entries, got offsets[{i}] = {result[i]} "
            f"and offsets[{i + 1}] = {result[i + 1]}"
        )
    if result[-1] > n_rows:
        raise ValueError(
            f"offsets: the last entry {result[-1]} is past the end of values ({n_rows} rows)"
        )
    if result[-1] < n_rows:
        raise ValueError(
            f"offsets: the last entry {result[-1]} leaves the last {n_rows - int(result[-1])} of "
            f"{n_rows} rows of values unused"
        )
    return result


def as_column(x: ArrayLike, name: str, n_rows: int, per: str) -> NDArray[Any]:
    """A one-dimensional array with one entry per ``per`` ("row", "sequence")."""
    array = as_array(x, name)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected one dimension, got shape {array.shape}")
    if len(array) != n_rows:
        raise ValueError(f"{name}: expected one entry per {per} ({n_rows}), got {len(array)}")
    return array


def is_text(column: NDArray[Any]) -> bool:
    """Whether every entry is a ``str``, and none of a class derived from it."""
    return column.dtype.kind == "U" or (
        column.dtype.kind == "O" and all(kind is str for kind in set(map(type, column)))
    )


def is_missing(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Which entries [n] are NaN, NaT, None or pandas.NA."""
    missing: NDArray[np.bool_] = np.zeros(len(column), dtype=np.bool_)
    if column.dtype.kind == "f":
        np.isnan(column, out=missing)
    elif column.dtype.kind in "mM":
        np.isnat(column, out=missing)
    elif column.dtype.kind == "O" and not is_text(column):  # the usual column, at a glance
        missing[:] = np.fromiter(map(_is_missing_object, column), dtype=bool, count=len(column))
    return missing


def first_missing(column: NDArray[Any]) -> int | None:
    """Position of the first entry that `is_missing`; ``None`` when there is none."""
    missing = is_missing(column)
    return int(np.argmax(missing)) if missing.any() else None


def _is_missing_object(value: object) -> bool:
    if value is None:
        return True
    try:
        # Of the usual values only NaN and NaT differ from themselves.
        return bool(value != value)
    except (TypeError, ValueError):
        # pandas.NA refuses to be a truth value; an array does too, but it is not missing.
        return type(value).__name__ == "NAType"


def refuse_missing(column: NDArray[Any], name: str, advice: str = "") -> None:
    """Raise ``ValueError`` naming the first row of ``column`` that holds no value."""
    row = first_missing(column)
    if row is not None:
        raise ValueError(f"{name}: row {row} holds no value ({column[row]}){advice}")


def as_seconds(times: ArrayLike, name: str, n_rows: int, per: str = "row") -> NDArray[np.float64]:
    """Times [n_rows] as float64 seconds: numbers are seconds, datetime64 counts from 1970 (UTC)."""
    column = as_column(times, name, n_rows, per)
    if column.dtype.kind == "M":
        refuse_missing(column, name)
        # float64 resolves 0.2 microseconds at today's dates, so finer units lose nothing here.
        microseconds = column.astype("datetime64[us]").astype(np.int64)
        return np.asarray(microseconds / 1e6, dtype=np.float64)
    if column.dtype.kind not in "iuf":
        raise TypeError(
            f"{name}: expected seconds (numbers) or datetime64, got dtype {column.dtype}; "
            "parse text first, for example with pandas.to_datetime"
        )
    seconds = np.asarray(column, dtype=np.float64)
    finite = np.isfinite(seconds)
    if not finite.all():
        row = int(np.argmin(finite))
        raise ValueError(f"{name}: row {row}: expected a finite time, got {seconds[row]}")
    return seconds


def as_moment(time: float | str | datetime.date | np.datetime64, name: str) -> float:
    """One point in time as seconds; text in ISO form and datetimes count from 1970 (UTC)."""
    if isinstance(time, bool):
        raise TypeError(f"{name}: expected seconds or a date, got {time!r}")
    if isinstance(time, (int, float, np.integer, np.floating)):
        seconds = float(time)
        if not np.isfinite(seconds):
            raise ValueError(f"{name}: expected a finite time, got {time}")
        return seconds
    if isinstance(time, datetime.datetime) and time.tzinfo is not None:
        return time.timestamp()
    if not isinstance(time, (str, datetime.date, np.datetime64)):
        raise TypeError(f"{name}: expected seconds or a date, got {type(time).__name__}")
    try:
        moment = np.array(time, dtype="datetime64[us]")
    except ValueError:
        raise ValueError(f"{name}: expected an ISO date like '2024-01-31', got {time!r}") from None
    if np.isnat(moment):
        raise ValueError(f"{name}: expected a time, got {time!r}")
    return int(moment.astype(np.int64)) / 1e6


def as_entity_ids(ids: ArrayLike, name: str, n_rows: int, per: str = "row") -> NDArray[Any]:
    """Entity ids [n_rows]: integers as int64, others as objects, None where there is none."""
    column = as_column(_as_objects(ids), name, n_rows, per)
    if column.dtype.kind == "i" or (column.dtype.kind == "u" and column.dtype.itemsize < 8):
        return column.astype(np.int64, copy=False)
    missing = is_missing(column)
    objects = column.astype(object, copy=bool(missing.any()))
    if missing.any():
        objects[missing] = None
    return objects


def _as_objects(ids: Any) -> Any:
    """Ids of which numpy would make something else, tuples a matrix and bytes shorter ones."""
    if not isinstance(ids, (list, tuple)):
        return ids
    if not any(isinstance(value, (tuple, bytes, list, set, frozenset, dict)) for value in ids):
        return ids
    column = np.empty(len(ids), dtype=object)
    for i, value in enumerate(ids):
        column[i] = value
    return column


def as_labels(labels: ArrayLike, name: str, n_rows: int, per: str = "row") -> NDArray[Any]:
    """Labels [n_rows] of any one-dimensional kind, none of them missing or infinite."""
    column = as_column(labels, name, n_rows, per)
    refuse_missing(column, name)
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        row = int(np.argmin(np.isfinite(column)))
        raise ValueError(f"{name}: row {row}: expected a finite label, got {column[row]}")
    return column


def as_names(names: Iterable[str], name: str) -> list[str]:
    """A list of distinct column names; a bare string is refused, as it would fall into letters."""
    if isinstance(names, str):
        raise TypeError(f"{name}: expected a list of names, got the string {names!r}")
    result = list(names)
    for item in result:
        if not isinstance(item, str):
            raise TypeError(f"{name}: expected strings, got {item!r}")
    if len(set(result)) != len(result):
        twice = next(item for item in result if result.count(item) > 1)
        raise ValueError(f"{name}: {twice!r} is named twice")
    return result
