"""Score event files that need not fit into memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pa_compute
from numpy.typing import NDArray

from ecseq import ECSeqRegressor, Sequences
from ecseq.cli.event_files import PIECE_ROWS, arrow_types, read_pieces, table_writer
from ecseq.cli.layout import EventLayout


class RecentEvents:
    """The last ``kept`` events of every user seen so far, as an Arrow table.

    Memory grows with the number of users, not with the number of events.
    """

    def __init__(self, layout: EventLayout, kept: int) -> None:
        self._layout = layout
        self._kept = kept
        self._table: Any = None

    @property
    def table(self) -> Any:
        return self._table

    def join(self, piece: Any) -> tuple[Any, int]:
        """The kept events of the piece's users followed by the piece, and how many were kept.

        Takes those users' events out; `keep` puts them back.
        """
        if self._table is None or self._table.num_rows == 0:
            return piece, 0
        by = self._layout.by
        users = pa_compute.unique(piece.column(by))
        active = pa_compute.is_in(self._table.column(by), value_set=users)
        before = self._table.filter(active)
        self._table = self._table.filter(pa_compute.invert(active))
        return pa.concat_tables([before, piece.cast(before.schema)]), before.num_rows

    def keep(self, table: Any, sequences: Sequences) -> None:
        """Remember the last events of each user of ``table``."""
        offsets = sequences.offsets
        stop = np.repeat(offsets[1:], np.diff(offsets))
        is_recent = np.arange(len(stop)) >= stop - self._kept
        recent = table.take(pa.array(sequences.row_order[is_recent]))
        kept = recent if self._table is None else pa.concat_tables([self._table, recent])
        self._table = kept.combine_chunks()


def _require_order(sequences: Sequences, n_before: int, layout: EventLayout) -> None:
    """Refuse a piece that holds an event earlier than one of a previous piece."""
    if n_before == 0:
        return
    is_new = sequences.row_order >= n_before
    late = is_new[:-1] & ~is_new[1:]
    late[sequences.offsets[1:-1] - 1] = False  # the next row is another user's
    if late.any():
        step = int(np.argmax(late))
        user = sequences.ids[int(np.searchsorted(sequences.offsets, step, side="right")) - 1]
        raise ValueError(
            f"{layout.by} {user!r} has an event that is earlier than one of a previous group of "
            f"rows; sort the file by {layout.time!r}"
        )


def prediction_columns(model: Any, part: Sequences) -> dict[str, NDArray[Any]]:
    """What is written for each sequence: the columns' names and values [n]."""
    if isinstance(model, ECSeqRegressor):
        return {"score": np.asarray(model.predict(part), dtype=np.float64)}
    probability = np.asarray(model.predict_proba(part), dtype=np.float64)
    if probability.shape[1] == 2:
        return {"score": probability[:, 1]}
    columns: dict[str, NDArray[Any]] = {
        f"score_{name}": probability[:, position] for position, name in enumerate(model.classes_)
    }
    columns["prediction"] = model.classes_[probability.argmax(axis=1)]
    return columns


def _result(table: Any, layout: EventLayout, columns: dict[str, NDArray[Any]]) -> Any:
    result = table.select([name for name in (layout.by, layout.time) if name])
    for name, values in columns.items():
        result = result.append_column(name, pa.array(values))
    return result


def score_file(
    model: Any,
    layout: EventLayout,
    events: Path,
    out: Path,
    *,
    piece_rows: int = PIECE_ROWS,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> int:
    """Write a score for each event (or user) of ``events`` to ``out``; returns their number.

    The file is read in pieces; between them only each user's last ``window`` events are kept.  The
    events of one user must therefore be in time order from piece to piece; within a piece they are
    sorted.  The rows of the result are in the order of the file, or of the users' ids.
    """
    per_event = layout.per == "event"
    recent = RecentEvents(layout, layout.window - 1 if per_event else layout.window)
    n_rows = n_scores = 0
    with table_writer(out) as append:
        for piece in read_pieces(events, layout.columns(), arrow_types(layout), piece_rows):
            try:
                table, n_before = recent.join(piece)
                sequences = layout.sequences(table)
                _require_order(sequences, n_before, layout)
            except (ValueError, TypeError) as error:
                last = n_rows + piece.num_rows - 1
                raise ValueError(f"{events}, rows {n_rows} to {last}: {error}") from error
            if per_event:
                windows = sequences.windows(layout.window)
                part = windows[windows.end_rows >= n_before]
                order = np.argsort(part.end_rows, kind="stable")
                columns = prediction_columns(model, part[order])
                append(_result(piece, layout, columns))
                n_scores += piece.num_rows
            recent.keep(table, sequences)
            n_rows += piece.num_rows
            on_rows(n_rows)
        if not per_event and recent.table is not None:
            n_scores = _score_users(model, layout, recent.table, append, piece_rows)
    return n_scores


def last_windows(sequences: Sequences, length: int) -> Sequences:
    """One sequence per user: its last ``length`` events."""
    return sequences.windows(length)[sequences.offsets[1:] - 1]


def _score_users(
    model: Any,
    layout: EventLayout,
    table: Any,
    append: Callable[[Any], None],
    piece_rows: int,
) -> int:
    users = last_windows(layout.sequences(table), layout.window)
    for start in range(0, len(users), piece_rows):
        part = users[start : start + piece_rows]
        ends = table.take(pa.array(part.end_rows))
        append(_result(ends, layout, prediction_columns(model, part)))
    return len(users)
