"""Ids of entities, of any hashable type, as the 64-bit keys that the core remembers them by.

A key is a hash of a text that depends on nothing but the id, so that models can be saved and loaded
elsewhere (Python's own ``hash`` is salted). What stands for one text is one entity:

=====================================  =========================================================
id                                     text
=====================================  =========================================================
None, NaN, NaT, pandas.NA              no entity
integers, and floats that are whole    decimal digits: 17, 17.0 and "17" are one entity
str                                    itself
bytes                                  ``bytes:`` and their hexadecimal digits
enum members                           ``enum:``, class and name
tuples, named tuples, frozensets       their kind and the texts of their members with lengths
frozen dataclasses                     class and the texts of their fields
anything else that can be hashed       ``str(id)``: UUID, date, Decimal, Path, ...
=====================================  =========================================================

Texts other than the first three and the last begin with a character that no ordinary text has. An
object whose ``str`` is only its address in memory has no such text and is refused.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecseq import _core
from ecseq._checks import as_entity_ids, is_text

_MARK = "\0"

# The entities of rows that have several each: keys of all rows, and where each row's begin [n + 1].
KeySets = tuple[NDArray[np.uint64], NDArray[np.int64]]
Keys = NDArray[np.uint64] | KeySets


def text_of(value: Any, name: str) -> str:
    """The text that stands for an id; ``TypeError`` where there is none."""
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return str(value)
    if isinstance(value, enum.Enum):
        return f"{_MARK}enum:{type(value).__module__}.{type(value).__qualname__}.{value.name}"
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    if isinstance(value, (bytes, np.bytes_)):
        return f"{_MARK}bytes:{value.hex()}"
    if isinstance(value, tuple):
        return _joined("tuple", (text_of(item, name) for item in value))
    if isinstance(value, frozenset):
        return _joined("frozenset", sorted(text_of(item, name) for item in value))
    if not isinstance(value, Hashable):
        raise TypeError(f"{name}: an id must be hashable, got a {type(value).__name__}: {value!r}")
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if dataclasses.is_dataclass(value):
        fields = (getattr(value, field.name) for field in dataclasses.fields(value))
        return _joined(kind, (text_of(item, name) for item in fields))
    if type(value).__str__ is object.__str__ and type(value).__repr__ is object.__repr__:
        raise TypeError(
            f"{name}: a {kind} has no text that is the same tomorrow; give it a __str__, or pass "
            "a str, an int or a tuple of them"
        )
    return str(value)


def _joined(kind: str, texts: Iterable[str]) -> str:
    """Lengths keep ("ab", "c") and ("a", "bc") apart."""
    return f"{_MARK}{kind}:" + "".join(f"{len(text)}:{text}" for text in texts)


def entity_keys(ids: ArrayLike, name: str, n_rows: int) -> NDArray[np.uint64]:
    """64-bit keys of entity ids [n]; 0 where there is none."""
    column = as_entity_ids(ids, name, n_rows)
    if column.dtype.kind in "iu":
        return _core.keys_of_integers(np.ascontiguousarray(column, dtype=np.int64))
    if is_text(column):
        return _core.keys_of_texts(column.tolist())
    return _core.keys_of_texts(
        [None if value is None else text_of(value, name) for value in column]
    )


def keys_of_sets(rows: Any, name: str, n_rows: int) -> KeySets:
    """Keys of the ids of each row. rows: [n] lists, sets or arrays of ids; or one id each."""
    try:
        given = list(rows)
    except TypeError:
        raise TypeError(f"{name}: expected one set of ids per row, got {rows!r}") from None
    if len(given) != n_rows:
        raise ValueError(f"{name}: expected one set of ids per row ({n_rows}), got {len(given)}")
    sets = [members_of(row) for row in given]
    offsets = np.concatenate([[0], np.cumsum([len(s) for s in sets], dtype=np.int64)])
    flat = [member for members in sets for member in members]
    return entity_keys(flat, name, len(flat)), offsets


def members_of(row: Any) -> list[Any]:
    """The ids that a row's entry holds. A tuple or a frozenset is one id."""
    return list(row) if isinstance(row, (list, set, np.ndarray)) else [row]


def take(keys: Keys, rows: NDArray[np.int64]) -> Keys:
    """Those of some rows."""
    if not isinstance(keys, tuple):
        return keys[rows]
    flat, offsets = keys
    lengths = np.diff(offsets)[rows]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    within = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
    return flat[np.repeat(offsets[:-1][rows], lengths) + within], starts


def flat(keys: Keys) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """One key at a time, and the row that each is of."""
    if not isinstance(keys, tuple):
        return keys, np.arange(len(keys), dtype=np.int64)
    members, offsets = keys
    return members, np.repeat(np.arange(len(offsets) - 1, dtype=np.int64), np.diff(offsets))
