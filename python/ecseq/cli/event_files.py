"""Event tables in CSV and Parquet files: whole, or piece by piece."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from ecseq.cli.layout import EventLayout

PIECE_ROWS = 262_144
_CSV_BLOCK_BYTES = 8 << 20


def _is_parquet(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".pq"):
        return True
    if suffix in (".csv", ".txt"):
        return False
    raise ValueError(f"{path}: expected a file name that ends in .csv or .parquet")


def column_types(path: Path) -> dict[str, Any]:
    """Names and Arrow types of the columns; for CSV as the first block shows them."""
    as_parquet = _is_parquet(path)
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty")
    with _named(path):
        if as_parquet:
            schema = pa_parquet.read_schema(path)
        else:
            with pa_csv.open_csv(path) as reader:
                schema = reader.schema
    return dict(zip(schema.names, schema.types, strict=True))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put the file's name into Arrow's messages about its content."""
    try:
        yield
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path}: {error}") from error


def require_columns(path: Path, wanted: list[str], present: Mapping[str, Any]) -> None:
    missing = [name for name in wanted if name not in present]
    if missing:
        raise ValueError(
            f"{path}: no column {', '.join(map(repr, missing))}; "
            f"the columns are {', '.join(map(repr, present))}"
        )


def read_pieces(
    path: Path,
    columns: list[str],
    types: Mapping[str, Any] | None = None,
    piece_rows: int = PIECE_ROWS,
) -> Iterator[Any]:
    """Arrow tables of at most about ``piece_rows`` rows, in the order of the file.

    ``types`` says how to read some of the columns; the rest is inferred.
    """
    require_columns(path, columns, column_types(path))
    batches = _parquet_batches(path, columns, piece_rows)
    if not _is_parquet(path):
        batches = _csv_batches(path, columns, types or {})
    waiting: list[Any] = []
    n_waiting = 0
    for batch in batches:
        waiting.append(batch)
        n_waiting += batch.num_rows
        if n_waiting >= piece_rows:
            yield _typed(pa.Table.from_batches(waiting), types or {}, path)
            waiting, n_waiting = [], 0
    if n_waiting:
        yield _typed(pa.Table.from_batches(waiting), types or {}, path)


def _parquet_batches(path: Path, columns: list[str], piece_rows: int) -> Iterator[Any]:
    with _named(path), pa_parquet.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=piece_rows, columns=columns)


def _csv_batches(path: Path, columns: list[str], types: Mapping[str, Any]) -> Iterator[Any]:
    with (
        _named(path),
        pa_csv.open_csv(
            path,
            read_options=pa_csv.ReadOptions(block_size=_CSV_BLOCK_BYTES),
            convert_options=pa_csv.ConvertOptions(
                include_columns=columns, column_types=dict(types)
            ),
        ) as reader,
    ):
        yield from reader


def _typed(table: Any, types: Mapping[str, Any], path: Path) -> Any:
    for name, wanted in types.items():
        position = table.schema.get_field_index(name)
        if position >= 0 and table.schema.field(position).type != wanted:
            try:
                column = table.column(position).cast(wanted)
            except pa.ArrowInvalid as error:
                raise ValueError(f"{path}: column {name!r}: {error}") from error
            table = table.set_column(position, name, column)
    return table


def read_table(path: Path, columns: list[str], types: Mapping[str, Any] | None = None) -> Any:
    """The whole file as one Arrow table."""
    pieces = list(read_pieces(path, columns, types))
    if not pieces:
        raise ValueError(f"{path}: holds no events, only the names of columns")
    return pa.concat_tables(pieces)


def id_types(table: Any, layout: EventLayout) -> dict[str, str]:
    """The Arrow types of the identifying columns, by name, as a model file keeps them."""
    found = {}
    for name in layout.ids:
        kind = table.schema.field(name).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        found[name] = "int64" if pa.types.is_integer(kind) else "string"
    return found


def arrow_types(layout: EventLayout) -> dict[str, Any]:
    """What `read_pieces` needs to read identifiers as the model knows them."""
    return {name: pa.type_for_alias(kind) for name, kind in layout.id_types.items()}


@contextmanager
def table_writer(path: Path) -> Iterator[Any]:
    """A function that appends Arrow tables to ``path``.

    The file appears under its name when all is written; after a failure there is none.
    """
    as_parquet = _is_parquet(path)
    part = path.with_name(path.name + ".part")
    writer: Any = None

    def append(table: Any) -> None:
        nonlocal writer
        if writer is None:
            kind = pa_parquet.ParquetWriter if as_parquet else pa_csv.CSVWriter
            writer = kind(part, table.schema)
        writer.write_table(table)

    try:
        yield append
        if writer is None:
            raise ValueError(f"{path}: there is nothing to write")
        writer.close()
        writer = None
        os.replace(part, path)
    finally:
        if writer is not None:
            writer.close()
        part.unlink(missing_ok=True)
