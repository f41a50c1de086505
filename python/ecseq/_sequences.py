"""A ragged batch of event sequences."""

from __future__ import annotations

import datetime
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecseq._checks import (
    as_array,
    as_column,
    as_entity_ids,
    as_float32,
    as_labels,
    as_moment,
    as_names,
    as_offsets,
    as_seconds,
    check_finite,
)
from ecseq._event_table import group_events


class Sequences:
    """A batch of sequences of different lengths, one below the other in a single matrix.

    Sequence ``i`` is ``values[offsets[i]:offsets[i + 1]]``: no padding, and at least one event.
    Sub-batches and windows share ``values`` with the batch that they were taken from.

    Parameters
    ----------
    values : array [steps, features]
        The events of all sequences, sequence after sequence, oldest first. A C-contiguous float32
        array is used as it is, without a copy (do not change it afterwards); anything else numeric
        is converted, which copies it.
    offsets : int array [n + 1]
        Where each sequence begins; the last entry is ``steps``. int64 is not copied.
    feature_names : list of str, optional
        Names of the columns, for messages and explanations; by default ``x0``, ``x1``, ...
    times : array [steps], optional
        Seconds, or datetime64 (seconds since 1970). Must not decrease within a sequence.
    labels : array [steps], optional
        A label per event. The label of a sequence is that of its last event.
    entities : dict of name to array [steps], optional
        The shared entity (terminal, merchant, device, ...) of each event: integers or objects; None
        or NaN where there is none.
    ids : array [n], optional
        The name of each sequence; by default 0, 1, ...

    Attributes
    ----------
    values : float32 array [steps, features], read-only
    starts, stops : int64 arrays [n]
        Sequence ``i`` is ``values[starts[i]:stops[i]]``.
    feature_names : list of str
    times : float64 array [steps] or None
    step_labels : array [steps] or None
    entities : dict of name to array [steps]
    categories : dict of feature name to array
        For features that were text or categories in the table: what each number stands for. They
        are for ``SequenceEncoder(categorical=...)``; no network can read them as numbers.
    ids : array [n]
    row_order : int64 array [steps]
        Position of each event in the table or array that it came from.

    Raises
    ------
    ValueError
        For NaN or infinity (row and column are named), an empty sequence, no sequence at all,
        offsets that do not increase from 0 to ``steps``, and arrays of the wrong shape or length.
    TypeError
        For values or offsets that are not numbers.

    Examples
    --------
    >>> import numpy as np
    >>> batch = Sequences(np.arange(10.0).reshape(5, 2), [0, 2, 5])
    >>> len(batch), batch.lengths.tolist()
    (2, [2, 3])
    >>> batch[0]
    array([[0., 1.],
           [2., 3.]], dtype=float32)
    """

    values: NDArray[np.float32]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    feature_names: list[str]
    times: NDArray[np.float64] | None
    step_labels: NDArray[Any] | None
    entities: dict[str, NDArray[Any]]
    categories: dict[str, NDArray[Any]]
    ids: NDArray[Any]
    row_order: NDArray[np.int64]
    _offsets: NDArray[np.int64] | None
    _windowed: bool

    def __init__(
        self,
        values: ArrayLike,
        offsets: ArrayLike,
        *,
        feature_names: Iterable[str] | None = None,
        times: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        entities: Mapping[str, ArrayLike] | None = None,
        ids: ArrayLike | None = None,
    ) -> None:
        given = as_array(values, "values")
        matrix = as_float32(given, "values")
        if matrix.ndim != 2:
            raise ValueError(
                "values: expected two dimensions [steps, features], got shape "
                f"{matrix.shape}{'; use values.reshape(-1, 1)' if matrix.ndim == 1 else ''}"
            )
        steps = len(matrix)
        if steps == 0:
            raise ValueError("values: expected at least one row, got zero rows")
        names = _feature_names(feature_names, matrix.shape[1], "values")
        checked_offsets = as_offsets(offsets, steps)
        check_finite(matrix, "values", names, source=_reader(given))

        seconds = None if times is None else as_seconds(times, "times", steps)
        if seconds is not None:
            _refuse_decreasing(seconds, checked_offsets)
        step_labels = None if labels is None else as_labels(labels, "labels", steps)
        by_entity = {
            name: as_entity_ids(column, f"entities[{name!r}]", steps)
            for name, column in (entities or {}).items()
        }
        n = len(checked_offsets) - 1
        self._set(
            matrix,
            checked_offsets[:-1],
            checked_offsets[1:],
            names,
            times=seconds,
            step_labels=step_labels,
            entities=by_entity,
            categories={},
            ids=np.arange(n) if ids is None else as_column(ids, "ids", n, "sequence"),
            row_order=np.arange(steps, dtype=np.int64),
            offsets=checked_offsets,
            windowed=False,
        )

    @classmethod
    def from_list(
        cls, sequences: Iterable[ArrayLike], *, feature_names: Iterable[str] | None = None
    ) -> Sequences:
        """Join arrays [t, d], one per sequence; the values are copied.

        Parameters
        ----------
        sequences : list of arrays [t, d]
            ``t >= 1`` may differ from item to item, ``d`` may not.
        feature_names : list of str, optional

        Raises
        ------
        ValueError, TypeError
            Naming the first item that is empty, not [t, d], not numeric or not finite.

        Examples
        --------
        >>> Sequences.from_list([[[1.0], [2.0]], [[3.0]]])
        Sequences(2 sequences, 3 events, 1 feature)
        """
        given = [as_array(item, f"sequences[{i}]") for i, item in enumerate(sequences)]
        if not given:
            raise ValueError("sequences: expected at least one sequence, got an empty list")
        for i, item in enumerate(given):
            if item.ndim != 2:
                raise ValueError(
                    f"sequences[{i}]: expected two dimensions [t, d], got shape {item.shape}"
                )
            if len(item) == 0:
                raise ValueError(
                    f"sequences[{i}]: is empty; every sequence needs at least one event"
                )
            if item.shape[1] != given[0].shape[1]:
                raise ValueError(
                    f"sequences[{i}]: expected {given[0].shape[1]} features as in sequences[0], "
                    f"got {item.shape[1]}"
                )
        items = [as_float32(item, f"sequences[{i}]") for i, item in enumerate(given)]
        names = _feature_names(feature_names, items[0].shape[1], "sequences")
        for i, item in enumerate(items):
            check_finite(item, f"sequences[{i}]", names, source=_reader(given[i]))
        offsets = np.cumsum([0] + [len(item) for item in items], dtype=np.int64)
        return cls._contiguous(np.concatenate(items), offsets, names)

    @classmethod
    def from_padded(
        cls, x: ArrayLike, lengths: ArrayLike, *, feature_names: Iterable[str] | None = None
    ) -> Sequences:
        """Take the first ``lengths[i]`` events of each ``x[i]``; the values are copied.

        What stands after them is never read, so it may be anything, NaN included.

        Parameters
        ----------
        x : array [n, t, d]
        lengths : int array [n]
            Each from 1 to ``t``.
        feature_names : list of str, optional

        Raises
        ------
        ValueError, TypeError
            For another number of dimensions, a length out of range, or values that are not finite.

        Examples
        --------
        >>> Sequences.from_padded([[[1.0], [2.0]], [[3.0], [0.0]]], [2, 1]).lengths.tolist()
        [2, 1]
        """
        given = as_array(x, "x")
        if given.ndim != 3:
            raise ValueError(f"x: expected three dimensions [n, t, d], got shape {given.shape}")
        if given.dtype.kind not in "biuf":
            raise TypeError(f"x: expected numbers, got dtype {given.dtype}")
        n, t, d = given.shape
        if n == 0:
            raise ValueError("x: expected at least one sequence, got zero rows")
        counts = as_column(lengths, "lengths", n, "sequence")
        if counts.dtype.kind not in "iu":
            raise TypeError(f"lengths: expected integers, got dtype {counts.dtype}")
        outside = (counts < 1) | (counts > t)
        if outside.any():
            i = int(np.argmax(outside))
            raise ValueError(f"lengths: row {i}: expected 1 to {t}, got {counts[i]}")
        names = _feature_names(feature_names, d, "x")
        kept = np.arange(t) < counts[:, None]
        rows = given[kept]
        matrix = as_float32(rows, "x")
        offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])

        def describe(row: int) -> str:
            i = int(np.searchsorted(offsets, row, side="right")) - 1
            return f"row {i}, step {row - int(offsets[i])}"

        check_finite(matrix, "x", names, _reader(rows), describe)
        return cls._contiguous(matrix, offsets, names)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        by: str,
        time: str | None = None,
        features: Iterable[str],
        label: str | None = None,
        static: Iterable[str] = (),
        entities: Iterable[str] = (),
    ) -> Sequences:
        """Group the rows of an event table into one sequence per value of ``by``; copies.

        The sequences are sorted by ``by`` and their events by ``time``. The sort is stable: events
        of the same sequence and the same time keep the order that they have in the table.
        `row_order` says which row of the table each event was.

        Parameters
        ----------
        frame : pandas.DataFrame, pyarrow.Table or an object with ``__arrow_c_stream__``
            One row per event, in any order.
        by : str
            The column that says whose event it is. Its values become `ids`.
        time : str, optional
            A datetime column (a time zone is converted to UTC) or a numeric one in seconds. Without
            it, events keep the order of the table and the batch carries no times.
        features : list of str
            Numeric or boolean columns, which become float32; columns of text or categories, which
            become numbers 0, 1, ... that `categories` explains.
        label : str, optional
            The label of each event.
        static : list of str
            Numeric columns that are constant within a sequence, such as an age. They simply become
            further features, present at every step.
        entities : list of str
            Columns that name shared entities (terminal, merchant, device, ...); a missing value is
            an event without one.

        Raises
        ------
        ValueError
            For a missing column (the columns are listed), a missing or infinite value (row of the
            table and column are named), a static column that varies, or a table without rows.
        TypeError
            For a feature of dates, times that are text, or a static column that is not numeric.

        Examples
        --------
        >>> import pandas as pd
        >>> table = pd.DataFrame({"card": ["b", "a", "b"], "ts": [5, 1, 2], "paid": [3, 4, 9]})
        >>> batch = Sequences.from_frame(table, by="card", time="ts", features=["paid"])
        >>> batch.ids.tolist(), batch[1].ravel().tolist(), batch.row_order.tolist()
        (['a', 'b'], [9.0, 3.0], [1, 2, 0])
        """
        events = group_events(
            frame,
            by=by,
            time=time,
            features=features,
            label=label,
            static=static,
            entities=entities,
        )
        return cls._contiguous(
            events.values,
            events.offsets,
            events.feature_names,
            times=events.times,
            step_labels=events.labels,
            entities=events.entities,
            categories=events.categories,
            ids=events.ids,
            row_order=events.row_order,
        )

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self.starts)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """The sequences one by one, each a read-only array [t, features]."""
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> NDArray[np.float32]: ...

    @overload
    def __getitem__(
        self, index: slice | Sequence[int] | Sequence[bool] | NDArray[Any]
    ) -> Sequences: ...

    def __getitem__(
        self, index: int | np.integer[Any] | slice | Sequence[int] | Sequence[bool] | NDArray[Any]
    ) -> NDArray[np.float32] | Sequences:
        """One sequence by integer, a sub-batch by slice, integer array or boolean mask.

        An integer gives a read-only view [t, features] of `values` (copy it to change it). A
        sub-batch shares `values`; it must hold at least one sequence.
        """
        n = len(self)
        if isinstance(index, slice):
            return self._select(np.arange(n)[index])
        if _is_integer(index):
            position = operator.index(cast(int, index))
            if not -n <= position < n:
                raise IndexError(f"sequence {position} is out of range: there are {n} sequences")
            return self.values[self.starts[position] : self.stops[position]]
        chosen = as_array(cast(ArrayLike, index), "index")
        if chosen.ndim != 1:
            raise IndexError(f"index: expected one dimension, got shape {chosen.shape}")
        if chosen.dtype.kind == "b":
            if len(chosen) != n:
                raise IndexError(f"index: expected a mask of {n} entries, got {len(chosen)}")
            return self._select(np.flatnonzero(chosen))
        if chosen.size and chosen.dtype.kind not in "iu":
            raise IndexError(f"index: expected integers or a mask, got dtype {chosen.dtype}")
        outside = (chosen < -n) | (chosen >= n)
        if outside.any():
            position = chosen[int(np.argmax(outside))]
            raise IndexError(f"sequence {position} is out of range: there are {n} sequences")
        return self._select(chosen.astype(np.int64))

    def __repr__(self) -> str:
        steps = int(self.lengths.sum())
        parts = [
            f"{len(self)} sequence{'s' if len(self) != 1 else ''}",
            f"{steps} event{'s' if steps != 1 else ''}",
            f"{self.n_features} feature{'s' if self.n_features != 1 else ''}",
        ]
        parts += ["times"] if self.times is not None else []
        parts += ["labels"] if self.step_labels is not None else []
        parts += [f"entities {', '.join(self.entities)}"] if self.entities else []
        return f"Sequences({', '.join(parts)})"

    @property
    def n_features(self) -> int:
        """Number of columns of `values`."""
        return int(self.values.shape[1])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of events of each sequence: int64 [n]."""
        return self.stops - self.starts

    @property
    def offsets(self) -> NDArray[np.int64]:
        """int64 [n + 1]: sequence ``i`` is ``values[offsets[i]:offsets[i + 1]]``.

        Raises ``ValueError`` for windows and sub-batches that do not cover `values` in order; take
        those of `compact` instead.
        """
        if self._offsets is None:
            raise ValueError(
                "offsets: these sequences overlap or leave out rows of values; "
                "call .compact() to copy them one after the other, or use .starts and .stops"
            )
        return self._offsets

    @property
    def labels(self) -> NDArray[Any] | None:
        """Label of the last event of each sequence [n]; None when the batch carries no labels."""
        return None if self.step_labels is None else self.step_labels[self.stops - 1]

    @property
    def end_times(self) -> NDArray[np.float64] | None:
        """Time of the last event of each sequence in seconds [n]; None without times."""
        return None if self.times is None else self.times[self.stops - 1]

    @property
    def end_entities(self) -> dict[str, NDArray[Any]]:
        """Entities of the last event of each sequence: name to array [n]."""
        return {name: column[self.stops - 1] for name, column in self.entities.items()}

    def steps(self) -> NDArray[np.int64]:
        """Rows of ``values`` that are the events of the sequences, sequence after sequence."""
        return ranges(self.starts, self.lengths)

    @property
    def end_rows(self) -> NDArray[np.int64]:
        """Row of the original table of the last event of each sequence: int64 [n]."""
        return self.row_order[self.stops - 1]

    def windows(self, length: int) -> Sequences:
        """One sequence per event: its owner's last ``length`` events up to and including it.

        The values are shared, not copied. The windows follow each other as the events do, so that
        the i-th window of a whole batch ends at row i of `values`; each keeps the id of its owner.

        Raises
        ------
        ValueError
            When ``length < 1``, or when these sequences are windows already.

        Examples
        --------
        >>> batch = Sequences([[1.0], [2.0], [3.0], [4.0]], [0, 3, 4])
        >>> [window.ravel().tolist() for window in batch.windows(2)]
        [[1.0], [1.0, 2.0], [2.0, 3.0], [4.0]]
        """
        if isinstance(length, bool) or not isinstance(length, (int, np.integer)):
            raise TypeError(f"length: expected an integer, got {length!r}")
        if length < 1:
            raise ValueError(f"length: expected at least 1, got {length}")
        if self._windowed:
            raise ValueError(
                "windows: these sequences are windows already; call .windows() on the batch that "
                "they were taken from"
            )
        lengths = self.lengths
        first = np.repeat(self.starts, lengths)
        last = ranges(self.starts, lengths)
        return self._derive(
            np.maximum(first, last - (int(length) - 1)),
            last + 1,
            np.repeat(self.ids, lengths),
            windowed=True,
        )

    def compact(self) -> Sequences:
        """The same sequences one after the other, so that `offsets` exists.

        Copies the values, unless the sequences already stand one after the other.
        """
        if self._offsets is not None:
            return self
        offsets = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64, copy=False)
        rows: slice | NDArray[np.int64]
        if (self.stops[:-1] == self.starts[1:]).all():
            rows = slice(int(self.starts[0]), int(self.stops[-1]))
        else:
            rows = ranges(self.starts, self.lengths)
        result = self._contiguous(
            self.values[rows],
            offsets,
            self.feature_names,
            times=None if self.times is None else self.times[rows],
            step_labels=None if self.step_labels is None else self.step_labels[rows],
            entities={name: column[rows] for name, column in self.entities.items()},
            categories=self.categories,
            ids=self.ids,
            row_order=self.row_order[rows],
        )
        result._windowed = self._windowed
        return result

    def split_by_time(
        self, time: float | str | datetime.date | np.datetime64
    ) -> tuple[Sequences, Sequences]:
        """The sequences that end before ``time``, and those that end at it or later.

        Parameters
        ----------
        time : seconds, or a date (ISO text, datetime or datetime64; UTC unless it says otherwise)

        Raises
        ------
        ValueError
            When the batch carries no times, or when one of the two parts would be empty.
        """
        moment = as_moment(time, "time")
        ends = self.end_times
        if ends is None:
            raise ValueError("split_by_time: these sequences carry no times")
        before = ends < moment
        if before.all() or not before.any():
            side = "from" if before.all() else "before"
            raise ValueError(
                f"time: no sequence ends {side} {moment} s; "
                f"they end between {ends.min()} s and {ends.max()} s"
            )
        return self[before], self[~before]

    def recoded(self, categories: Mapping[str, NDArray[Any]]) -> Sequences:
        """The same sequences with features numbered as in ``categories``; -1 for what it does not
        hold. Shares everything where the numbers are the same already, else copies the values.
        """
        values = self.values
        for name, known in categories.items():
            if name not in self.categories:
                raise ValueError(
                    f"feature {name!r} holds categories such as {known[0]!r} in the fit; here it "
                    "is numeric"
                )
            ours = self.categories[name]
            if np.array_equal(ours, known):
                continue
            numbers = {category: number for number, category in enumerate(known.tolist())}
            # The last entry is for -1: what was unknown stays so.
            new = np.array([*(numbers.get(c, -1) for c in ours.tolist()), -1], dtype=np.float32)
            if values is self.values:
                values = self.values.copy()
            column = self.feature_names.index(name)
            values[:, column] = new[values[:, column].astype(np.int64)]
        if values is self.values:
            return self
        result = self._derive(self.starts, self.stops, self.ids, windowed=self._windowed)
        values.flags.writeable = False
        result.values = values
        result.categories = dict(categories)
        return result

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.values.flags.writeable = False

    @classmethod
    def _contiguous(
        cls,
        values: NDArray[np.float32],
        offsets: NDArray[np.int64],
        names: list[str],
        *,
        times: NDArray[np.float64] | None = None,
        step_labels: NDArray[Any] | None = None,
        entities: dict[str, NDArray[Any]] | None = None,
        categories: dict[str, NDArray[Any]] | None = None,
        ids: NDArray[Any] | None = None,
        row_order: NDArray[np.int64] | None = None,
    ) -> Sequences:
        result = cls.__new__(cls)
        result._set(
            values,
            offsets[:-1],
            offsets[1:],
            names,
            times=times,
            step_labels=step_labels,
            entities=entities or {},
            categories=categories or {},
            ids=np.arange(len(offsets) - 1) if ids is None else ids,
            row_order=np.arange(len(values), dtype=np.int64) if row_order is None else row_order,
            offsets=offsets,
            windowed=False,
        )
        return result

    def _set(
        self,
        values: NDArray[np.float32],
        starts: NDArray[np.int64],
        stops: NDArray[np.int64],
        names: list[str],
        *,
        times: NDArray[np.float64] | None,
        step_labels: NDArray[Any] | None,
        entities: dict[str, NDArray[Any]],
        categories: dict[str, NDArray[Any]],
        ids: NDArray[Any],
        row_order: NDArray[np.int64],
        offsets: NDArray[np.int64] | None,
        windowed: bool,
    ) -> None:
        # A view of its own, so that the caller's array keeps its flags.
        self.values = values.view()
        self.values.flags.writeable = False
        self.starts = starts
        self.stops = stops
        self.feature_names = names
        self.times = times
        self.step_labels = step_labels
        self.entities = entities
        self.categories = categories
        self.ids = ids
        self.row_order = row_order
        self._offsets = offsets
        self._windowed = windowed

    def _derive(
        self,
        starts: NDArray[np.int64],
        stops: NDArray[np.int64],
        ids: NDArray[Any],
        *,
        windowed: bool,
    ) -> Sequences:
        covering = (
            starts[0] == 0 and stops[-1] == len(self.values) and (stops[:-1] == starts[1:]).all()
        )
        result = type(self).__new__(type(self))
        result._set(
            self.values,
            starts,
            stops,
            self.feature_names,
            times=self.times,
            step_labels=self.step_labels,
            entities=self.entities,
            categories=self.categories,
            ids=ids,
            row_order=self.row_order,
            offsets=np.append(starts, stops[-1]) if covering else None,
            windowed=windowed,
        )
        return result

    def _select(self, chosen: NDArray[np.int64]) -> Sequences:
        if len(chosen) == 0:
            raise ValueError("index: the selection holds no sequence")
        return self._derive(
            self.starts[chosen], self.stops[chosen], self.ids[chosen], windowed=self._windowed
        )


def _is_integer(index: object) -> bool:
    """Whether ``index`` is one integer (of Python, NumPy or a 0-d array), and no truth value."""
    return (
        hasattr(index, "__index__")
        and not isinstance(index, (bool, np.bool_))
        and not (isinstance(index, np.ndarray) and (index.ndim > 0 or index.dtype.kind == "b"))
    )


def _reader(array: NDArray[Any]) -> Callable[[int, int], Any]:
    return lambda row, column: array[row, column]


def _feature_names(names: Iterable[str] | None, width: int, argument: str) -> list[str]:
    if width == 0:
        raise ValueError(f"{argument}: expected at least one feature, got zero columns")
    if names is None:
        return [f"x{j}" for j in range(width)]
    result = as_names(names, "feature_names")
    if len(result) != width:
        raise ValueError(f"feature_names: expected {width}, one per column, got {len(result)}")
    return result


def _refuse_decreasing(seconds: NDArray[np.float64], offsets: NDArray[np.int64]) -> None:
    decreases = np.diff(seconds) < 0
    decreases[offsets[1:-1] - 1] = False
    if decreases.any():
        row = int(np.argmax(decreases)) + 1
        raise ValueError(
            f"times: row {row} ({seconds[row]} s) is earlier than the event before it "
            f"({seconds[row - 1]} s) in the same sequence; sort the events by time "
            "(Sequences.from_frame does)"
        )


def ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """``arange(start, start + length)`` of each pair, one after the other."""
    ends = np.cumsum(lengths)
    rows: NDArray[np.int64] = np.arange(ends[-1], dtype=np.int64)
    rows += np.repeat(starts - (ends - lengths), lengths)
    return rows
