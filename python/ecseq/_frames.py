"""Columns of pandas and Arrow tables as NumPy arrays, without depending on either."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

_NUMPY_OF_KIND = {"i": np.int64, "u": np.uint64, "f": np.float64, "b": np.bool_}


class Frame(Protocol):
    """A table whose columns can be read one by one."""

    names: list[str]
    n_rows: int

    def column(self, name: str, *, allow_missing: bool = False) -> NDArray[Any]:
        """The column as numbers, booleans, datetime64 (UTC) or objects.

        Refuses missing values, unless they are allowed: then the column comes as objects, with None
        where there is no value.
        """
        ...


def pandas_frame(data: Any, columns: list[str] | None = None) -> Any:
    """A pandas DataFrame, for the methods called ``to_frame``; ``ImportError`` without pandas."""
    try:
        pandas: Any = importlib.import_module("pandas")
    except ImportError:
        raise ImportError("to_frame needs pandas: pip install pandas") from None
    return pandas.DataFrame(data, columns=columns)


def open_frame(frame: Any) -> Frame:
    """Wrap a pandas DataFrame, a pyarrow Table or anything with ``__arrow_c_stream__``."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(frame, pandas.DataFrame):
        return _PandasFrame(frame)
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is not None and isinstance(frame, pyarrow.Table):
        return _ArrowFrame(frame)
    if hasattr(frame, "__arrow_c_stream__"):
        try:
            arrow: Any = importlib.import_module("pyarrow")
        except ImportError:
            raise TypeError(
                f"frame: reading a {type(frame).__name__} needs pyarrow; install ecseq[arrow]"
            ) from None
        return _ArrowFrame(arrow.table(frame))
    raise TypeError(
        "frame: expected a pandas DataFrame, a pyarrow Table or an object with "
        f"__arrow_c_stream__, got {type(frame).__name__}"
    )


def _require(names: list[str], name: str) -> None:
    if name not in names:
        known = ", ".join(map(repr, names))
        raise ValueError(f"frame: no column {name!r}; the columns are {known}")
    if names.count(name) > 1:
        raise ValueError(f"frame: {names.count(name)} columns are called {name!r}")


def _refuse_null(name: str, missing: NDArray[np.bool_]) -> None:
    raise ValueError(
        f"frame: row {int(np.argmax(missing))}, column {name!r}: expected a value, got a missing "
        f"one ({int(missing.sum())} in this column); fill or drop these rows first"
    )


class _PandasFrame:
    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self.names = [str(name) for name in frame.columns]
        self.n_rows = len(frame)

    def column(self, name: str, *, allow_missing: bool = False) -> NDArray[Any]:
        _require(self.names, name)
        series = self._frame.iloc[:, self.names.index(name)]
        missing = np.asarray(series.isna(), dtype=np.bool_)
        if missing.any():
            if not allow_missing:
                _refuse_null(name, missing)
            objects = np.array(series, dtype=object)
            objects[missing] = None
            return objects
        dtype = series.dtype
        if isinstance(dtype, np.dtype):
            return np.asarray(series)
        kind = getattr(dtype, "kind", "O")
        if kind in _NUMPY_OF_KIND:
            return np.asarray(series.to_numpy(dtype=_NUMPY_OF_KIND[kind]))
        if kind == "M":
            if series.dt.tz is not None:
                series = series.dt.tz_convert(None)
            plain = isinstance(series.dtype, np.dtype)
            return np.asarray(series.to_numpy() if plain else series.to_numpy("datetime64[ns]"))
        return np.asarray(series)


class _ArrowFrame:
    def __init__(self, table: Any) -> None:
        self._table = table
        self.names = list(table.column_names)
        self.n_rows = int(table.num_rows)

    def column(self, name: str, *, allow_missing: bool = False) -> NDArray[Any]:
        _require(self.names, name)
        column = self._table.column(name)
        if column.null_count:
            if not allow_missing:
                _refuse_null(name, np.asarray(column.is_null().to_numpy()))
            # Not to_numpy, which would turn integers beside nulls into floats.
            return np.array(column.to_pylist(), dtype=object)
        if hasattr(column.type, "value_type") and hasattr(column.type, "index_type"):
            column = column.cast(column.type.value_type)
        return np.asarray(column.to_numpy())
