"""Explain the score of one event, or of one user's last event."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pa_compute

from ecseq.cli.event_files import arrow_types, read_pieces
from ecseq.cli.layout import EventLayout

_SHOWN_EVENTS = 8


def explain_event(
    model: Any, layout: EventLayout, events: Path, *, row: int = -1, user: str = "", top: int = 5
) -> tuple[Any, Any]:
    """(explanation, Arrow table of the sequence's last events) of row ``row`` of the file, from 0,
    or of the last event of ``user``.

    The file is read in pieces; only that user's events are kept.
    """
    types, columns = arrow_types(layout), layout.columns()
    user_id = _user_of_row(layout, events, row) if row >= 0 else _as_id(user, layout)
    found, position, n_seen = [], -1, 0
    n_found = 0
    for piece in read_pieces(events, columns, types):
        mine = pa_compute.equal(piece.column(layout.by), user_id)
        if n_seen <= row < n_seen + piece.num_rows:
            flags = np.asarray(mine.to_numpy())[: row - n_seen]
            position = n_found + int(np.count_nonzero(flags))
        part = piece.filter(mine)
        n_found += part.num_rows
        n_seen += piece.num_rows
        if part.num_rows:
            found.append(part)
    if not found:
        raise ValueError(f"{events}: no event of {layout.by} {user!r}")
    table = pa.concat_tables(found).combine_chunks()
    sequences = layout.sequences(table)
    windows = sequences.windows(layout.window)
    chosen = len(windows) - 1 if row < 0 else int(np.flatnonzero(windows.end_rows == position)[0])
    if row >= 0 and layout.per == "user":
        chosen = len(windows) - 1  # such a model judges the whole user
    explanation = model.explain(windows[[chosen]], top=top)[0]
    first = max(int(windows.starts[chosen]), int(windows.stops[chosen]) - _SHOWN_EVENTS)
    rows = windows.row_order[first : int(windows.stops[chosen])]
    return explanation, table.take(pa.array(rows))


def _as_id(user: str, layout: EventLayout) -> Any:
    kind = arrow_types(layout)[layout.by]
    try:
        return pa.scalar(user).cast(kind)
    except pa.ArrowInvalid as error:
        raise ValueError(f"user: {layout.by} is {kind} in this model, got {user!r}") from error


def _user_of_row(layout: EventLayout, events: Path, row: int) -> Any:
    n_seen = 0
    for piece in read_pieces(events, [layout.by], {layout.by: arrow_types(layout)[layout.by]}):
        if row < n_seen + piece.num_rows:
            return piece.column(layout.by)[row - n_seen]
        n_seen += piece.num_rows
    raise ValueError(f"row: expected 0 to {n_seen - 1}, the rows of {events}, got {row}")
