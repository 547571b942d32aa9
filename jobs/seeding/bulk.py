"""Rows by the thousand: as `COPY` takes them on PostgreSQL, as one statement with many values on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

from django.core.management.color import no_style
from django.db import connection, models

Cell = str | int | float | bool | None
"""What a driver takes as it is."""
HURRIED: Final = {"synchronous": 0, "cache_size": -400_000, "wal_autocheckpoint": 20_000}


class Table:
    """Rows of one model that wait to be written: the named columns differ, all others have their default value."""

    def __init__(self, model: type[models.Model], *columns: str, number: bool = True) -> None:
        fields = {field.attname: field for field in model._meta.concrete_fields}
        differing = [fields.pop(name) for name in columns]
        fixed = [field for field in fields.values() if not field.primary_key]
        self.model = model
        self._names = [str(field.column) for field in [*differing, *fixed]]
        self._fixed = tuple(map(_cell, fixed))
        self._rows: list[tuple[Cell, ...]] = []
        self._free = first_free(model) if number else 0

    def number(self) -> int:
        """The key of a next row, told beforehand as other rows name it."""
        self._free += 1
        return self._free - 1

    def add(self, *values: Cell) -> None:
        self._rows.append(values)

    def write(self) -> int:
        """Write what waits; how many rows."""
        rows, self._rows = self._rows, []
        table = connection.ops.quote_name(self.model._meta.db_table)
        names = ", ".join(map(connection.ops.quote_name, self._names))
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row((*row, *self._fixed))
            elif rows:
                marks = ", ".join(["%s"] * len(self._names))
                insert = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - the names of our own columns
                cursor.executemany(insert, [(*row, *self._fixed) for row in rows])
        return len(rows)


def _cell(field: models.Field[object, object]) -> Cell:
    """The default value of a column; JSON as its text, which `COPY` takes too."""
    value = field.get_db_prep_save(field.get_default(), connection)
    text: Cell = value.dumps(value.obj) if hasattr(value, "dumps") and hasattr(value, "obj") else value
    return text


def first_free(model: type[models.Model]) -> int:
    """The number after the newest row's."""
    newest = model._default_manager.order_by("-pk").values_list("pk", flat=True).first()
    return int(newest or 0) + 1


def moment(value: datetime) -> str:
    """A time in UTC as the column of either database reads it."""
    text = value.replace(tzinfo=None).isoformat(" ")
    return f"{text}+00" if connection.vendor == "postgresql" else text


def key(value: UUID) -> str:
    return str(value) if connection.vendor == "postgresql" else value.hex


def flag(value: bool) -> Cell:
    return value if connection.vendor == "postgresql" else int(value)


@contextmanager
def in_a_hurry() -> Iterator[None]:
    """For the moment SQLite need not survive a power cut: what would be lost can be seeded again."""
    usual = _set(HURRIED) if connection.vendor == "sqlite" and not connection.in_atomic_block else {}
    try:
        yield
    finally:
        _set(usual)


def _set(pragmas: Mapping[str, int]) -> dict[str, int]:
    """What they were before."""
    found = {}
    with connection.cursor() as cursor:
        for name, value in pragmas.items():
            cursor.execute(f"PRAGMA {name}")
            found[name] = int(cursor.fetchone()[0])
            cursor.execute(f"PRAGMA {name}={value}")
    return found


def go_on_after(tables: Iterable[Table]) -> None:
    """The keys that the database gives out follow those written here."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [table.model for table in tables]):
            cursor.execute(statement)
