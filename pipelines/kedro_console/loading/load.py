"""Rows into a table: those of this run are deleted and the new ones inserted, in one transaction."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from kedro_console.line import here
from kedro_console.loading import columns as described
from kedro_console.loading.columns import Column, Columns, LoadError, Row
from kedro_console.loading.databases import Table, opened

CHUNK_ROWS = 10_000
RUN_COLUMN = "run_id"


class Loaded(NamedTuple):
    """What a load did."""

    rows: int
    replaced: int
    """Rows that an earlier try of the same run had left."""


def load(
    rows: Any,
    table: str,
    *,
    connection: str,
    run_id: str = "",
    part: str = "",
    columns: Columns | None = None,
    key: str | Sequence[str] = (),
    run_column: str = RUN_COLUMN,
) -> Loaded:
    """Delete this run's rows from the table and insert these, in one transaction; LoadError leaves it as it was.

    `rows`: mappings in any iterable, read as it is written, or a DataFrame. `connection`: sqlite:///file or
    postgresql://…. `run_id`: the console's run when not given. `part` keeps apart what one run loads into one table in
    several places. `columns`: {name in the table: None, the name in the rows, or a mapping with from, constant,
    computed (package.module:function of the row), text (upper, lower, strip), cast (int, float, text, bool, date,
    datetime, json)}; all of the rows when not given. `key`: columns by which a row replaces that of another run, for
    items that come again when their run failed. A table that is not there is made.
    """
    tag = "/".join(filter(None, (run_id or current_run(), part)))
    keys = [key] if isinstance(key, str) else list(key)
    records, first = _peek(_records(rows))
    made = described.read(columns, first)
    described.check(made, first)
    _check_names(made, keys, run_column)
    with opened(connection, table, owner=tag) as found:
        if not _prepare(found, made, first, keys, run_column):
            return Loaded(0, 0)
        replaced = found.delete(run_column, tag)
        names = [*(column.name for column in made), run_column]
        values = _values(found, described.tuples(records, made, first=1, is_whole=columns is None), made, keys, tag)
        return Loaded(sum(found.insert(names, chunk, keys) for chunk in _chunks(values)), replaced)


def current_run() -> str:
    """The console's run; under plain `kedro run` an id of this process, named as Kedro names its sessions."""
    return here.run_id() or _alone(os.getpid())


_ids: dict[int, str] = {}


def _alone(pid: int) -> str:
    if pid not in _ids:
        _ids[pid] = f"{time.strftime('%Y-%m-%dT%H.%M.%SZ', time.gmtime())}-{pid}"
    return _ids[pid]


# ---- rows -----------------------------------------------------------------------------------------


def _records(rows: Any) -> Iterator[Row]:
    if hasattr(rows, "itertuples"):
        return _of_frame(rows)
    if isinstance(rows, (str, bytes, dict)) or not isinstance(rows, Iterable):
        raise LoadError(f"A table is loaded from rows or a DataFrame, not from {type(rows).__name__}.")
    return iter(rows)


def _of_frame(frame: Any) -> Iterator[Row]:
    names = [str(name) for name in frame.columns]
    for values in frame.itertuples(index=False, name=None):
        yield dict(zip(names, values))


def _peek(rows: Iterator[Row]) -> tuple[Iterator[Row], list[Row]]:
    """All rows, and the first of them, by which columns and types are known."""
    first = list(itertools.islice(rows, CHUNK_ROWS))
    if wrong := next((each for each in first if not hasattr(each, "keys")), None):
        raise LoadError(f"A row is a mapping of columns to values, not {type(wrong).__name__}.")
    return itertools.chain(first, rows), first


def _chunks(values: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    while chunk := list(itertools.islice(values, CHUNK_ROWS)):
        yield chunk


def _values(
    table: Table, made: Iterator[tuple[Any, ...]], columns: Sequence[Column], keys: Sequence[str], tag: str
) -> Iterator[tuple[Any, ...]]:
    places = [place for place, column in enumerate(columns) if column.name in keys]
    stored = table.stored
    for number, values in enumerate(made, 1):
        if any(values[place] is None for place in places):
            raise LoadError(f"Row {number} has no {' and '.join(keys)}: the key of a row is never empty.")
        yield (*map(stored, values), tag)


# ---- the table ------------------------------------------------------------------------------------


def _check_names(columns: Sequence[Column], keys: Sequence[str], run_column: str) -> None:
    names = {column.name for column in columns}
    if run_column in names:
        raise LoadError(f"The rows have a column {run_column}, where the run's id belongs: choose another run_column.")
    if columns and (absent := sorted(set(keys) - names)):
        raise LoadError(f"The key {', '.join(absent)} is no column of the rows: {', '.join(sorted(names))}.")


def _prepare(table: Table, columns: list[Column], first: list[Row], keys: list[str], run_column: str) -> bool:
    """Whether there is a table to load into; LoadError when it does not fit."""
    names = table.column_names()
    if not names and columns:
        table.lock("")
        names = table.column_names()  # another load may have made it meanwhile
    if not names:
        if columns:
            types = [(column.name, _type(table, column, first)) for column in columns]
            table.create([*types, (run_column, "TEXT NOT NULL")], run_column, keys)
        return bool(columns)
    if absent := [name for name in (*(column.name for column in columns), run_column) if name not in names]:
        raise LoadError(f"The table {table.name} has no column {', '.join(absent)}; it has {', '.join(names)}.")
    if keys and not table.has_unique(keys):
        over = ", ".join(keys)
        raise LoadError(f"The table {table.name} has no unique index over {over}: make one, or load without a key.")
    return True


def _type(table: Table, column: Column, first: list[Row]) -> str:
    """The column's type in a table that is made for these rows; a mixture is text, numbers of both kinds are floats."""
    if column.kind:
        return table.kinds.get(column.kind, "TEXT")
    values = (described.made(column, row, number) for number, row in enumerate(first, 1))
    found = {table.types.get(type(value), "TEXT") for value in values if value is not None}
    if found == {table.types[int], table.types[float]}:
        return table.types[float]
    return found.pop() if len(found) == 1 else "TEXT"
