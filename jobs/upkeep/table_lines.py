"""The rows of a table as lines of JSON that any of our databases can read again, secrets still encrypted."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from graphlib import TopologicalSorter
from typing import Final, TypeAlias

from django.apps.registry import Apps
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import ExpressionWrapper, F
from django.utils.duration import duration_iso_string

from jobs.encryption import EncryptedJSONField

PART_BYTES: Final = 4 * 1024 * 1024
"""How much text is in memory at once while it is written or read."""
CHUNK: Final = 1_000
LEFT_OUT: Final = frozenset({"sessions.session"})
"""Who is logged in logs in again."""

Model = type[models.Model]
Field: TypeAlias = "models.Field[object, object]"
Fields: TypeAlias = "Sequence[Field]"
Value = str | int | float | bool | list["Value"] | dict[str, "Value"] | None
"""What a line holds."""
Given = str | int | None
"""What a driver takes."""


def tables(apps: Apps) -> list[Model]:
    """Every table of ours, each after those that its rows point at."""
    known = {model._meta.label_lower: model for model in apps.get_models(include_auto_created=True)}
    wanted = {name: model for name, model in known.items() if name not in LEFT_OUT and _has_table(model)}
    return [wanted[name] for name in TopologicalSorter({n: _needs(m) for n, m in wanted.items()}).static_order()]


def _has_table(model: Model) -> bool:
    return model._meta.managed and not model._meta.proxy


def _needs(model: Model) -> set[str]:
    related = {field.related_model for field in fields(model)}
    return {each._meta.label_lower for each in related if isinstance(each, type)} - {model._meta.label_lower}


def points_at_itself(model: Model) -> bool:
    return any(field.is_relation and field.related_model is model for field in fields(model))


def fields(model: Model) -> Fields:
    return model._meta.concrete_fields


def plain(field: Field) -> Field:
    """The field as the database has it: without what ours do to a value on its way."""
    if isinstance(field, EncryptedJSONField):
        return models.TextField()
    return models.JSONField() if isinstance(field, models.JSONField) else field


# ---- out


def lines(model: Model, alias: str) -> Iterator[bytes]:
    """Each row as a line, in the order of its key, read as it is asked for."""
    asked = [
        ExpressionWrapper(F(field.attname), output_field=plain(field))
        if plain(field) is not field
        else F(field.attname)
        for field in fields(model)
    ]
    rows = model._base_manager.using(alias).order_by("pk").values_list(*asked)
    for row in rows.iterator(chunk_size=CHUNK):
        yield json.dumps(row, default=_as_text, separators=(",", ":")).encode() + b"\n"


def _as_text(value: object) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return duration_iso_string(value)
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode()
    return str(value)


def parts(all_lines: Iterator[bytes]) -> Iterator[tuple[bytes, int]]:
    """The lines in compressed pieces, each with the number of its rows."""
    held: list[bytes] = []
    size = 0
    for line in all_lines:
        held.append(line)
        size += len(line)
        if size >= PART_BYTES:
            yield gzip.compress(b"".join(held), 5), len(held)
            held, size = [], 0
    if held:
        yield gzip.compress(b"".join(held), 5), len(held)


# ---- in


def insert(model: Model, columns: Sequence[str], part: bytes, alias: str) -> int:
    """Write the rows of one piece as they were, keys included, their values in the order of `columns`; how many."""
    rows = [json.loads(line) for line in gzip.decompress(part).splitlines()]
    connection = connections[alias]
    quote = connection.ops.quote_name
    by_name = {field.attname: field for field in fields(model)}
    kinds = [plain(by_name[name]) for name in columns]
    names = ", ".join(quote(str(by_name[name].column)) for name in columns)
    marks = ", ".join(["%s"] * len(kinds))
    into = f"INSERT INTO {quote(model._meta.db_table)} ({names}) VALUES ({marks})"  # noqa: S608 - our own names
    with connection.cursor() as cursor:
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            cursor.executemany(into, [_row(kinds, row, connection) for row in chunk])
    return len(rows)


def _row(kinds: Fields, row: list[Value], connection: BaseDatabaseWrapper) -> list[Given]:
    return [_given(kind, value, connection) for kind, value in zip(kinds, row, strict=True)]


def _given(kind: Field, value: Value, connection: BaseDatabaseWrapper) -> Given:
    read: object = value
    if isinstance(kind, models.BinaryField):
        read = base64.b64decode(str(value)) if value is not None else None
    elif not isinstance(kind, models.JSONField):
        read = kind.to_python(value)
    given: Given = kind.get_db_prep_save(read, connection)
    return given


def check_late(model: Model, alias: str) -> None:
    """Rows of a table that points at itself may come in any order; all others are checked at once, which needs less."""
    if connections[alias].vendor == "postgresql":
        with connections[alias].cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            if points_at_itself(model):
                cursor.execute("SET CONSTRAINTS ALL DEFERRED")
