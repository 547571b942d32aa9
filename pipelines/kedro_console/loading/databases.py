"""SQLite files and PostgreSQL, as the loading of tables needs them: one transaction each, one writer of an id."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

from kedro_console.loading.columns import LoadError, to_json

PATIENCE_SECONDS = 600
Values = Sequence[Any]
POSTGRES = ("postgres", "postgresql")


def quoted(name: str) -> str:
    """A name as SQL has to write it; a dot separates the schema from the table."""
    if not name or "\0" in name:
        raise LoadError(f"{name!r} cannot be the name of a table or a column.")
    return '"' + name.replace('"', '""') + '"'


class Table:
    """A table that is open for one transaction; leaving it without an error commits."""

    types: ClassVar[dict[type, str]]
    kinds: ClassVar[dict[str, str]]
    mark: ClassVar[str]

    def __init__(self, connection: Any, name: str) -> None:
        self.connection, self.name = connection, name
        self.sql_name = ".".join(quoted(part) for part in name.split(".", 1))

    def column_names(self) -> list[str]:
        """In the table's order; [] when there is no such table."""
        raise NotImplementedError

    def has_unique(self, columns: Sequence[str]) -> bool:
        """Whether the database itself refuses a second row with the same values there."""
        raise NotImplementedError

    def insert(self, columns: Sequence[str], rows: Iterable[Values], key: Sequence[str]) -> int:
        """How many rows were written; one with a known key takes that row's place."""
        raise NotImplementedError

    def stored(self, value: Any) -> Any:
        """The value as this database takes it."""
        raise NotImplementedError

    def lock(self, owner: str) -> None:
        """Until the end of the transaction nobody else has this owner's turn at this table."""

    def create(self, columns: Sequence[tuple[str, str]], indexed: str, key: Sequence[str]) -> None:
        """A new table with these (name, type), found fast by `indexed`, unique by the key."""
        described = ", ".join(f"{quoted(name)} {kind}" for name, kind in columns)
        self.connection.execute(f"CREATE TABLE {self.sql_name} ({described})")
        self.index([indexed])
        if key:
            self.index(key, "UNIQUE ")

    def index(self, columns: Sequence[str], unique: str = "") -> None:
        mark = hashlib.sha256("\0".join((self.name, *columns)).encode()).hexdigest()[:12]
        names = ", ".join(map(quoted, columns))
        self.connection.execute(self.index_sql(f"loaded_{mark}", names, unique))

    def index_sql(self, name: str, columns: str, unique: str) -> str:
        return f"CREATE {unique}INDEX {quoted(name)} ON {self.sql_name} ({columns})"

    def delete(self, column: str, value: str) -> int:
        """How many rows carried this value."""
        statement = f"DELETE FROM {self.sql_name} WHERE {quoted(column)} = {self.mark}"  # noqa: S608 - quoted above
        return int(self.connection.execute(statement, (value,)).rowcount)

    def rows(self, column: str, value: str) -> Iterator[dict[str, Any]]:
        """Those that carry this value."""
        statement = f"SELECT * FROM {self.sql_name} WHERE {quoted(column)} = {self.mark}"  # noqa: S608 - quoted above
        found = self.connection.execute(statement, (value,))
        names = [each[0] for each in found.description]
        return (dict(zip(names, row)) for row in found)

    def _on_conflict(self, columns: Sequence[str], key: Sequence[str]) -> str:
        if not key:
            return ""
        sets = ", ".join(f"{quoted(each)} = excluded.{quoted(each)}" for each in columns)
        return f" ON CONFLICT ({', '.join(map(quoted, key))}) DO UPDATE SET {sets}"


class SqliteTable(Table):
    types = {bool: "BOOLEAN", int: "INTEGER", float: "REAL", bytes: "BLOB", datetime: "TIMESTAMP", date: "DATE"}
    kinds = {"int": "INTEGER", "float": "REAL", "bool": "BOOLEAN", "date": "DATE", "datetime": "TIMESTAMP"}
    mark = "?"

    def column_names(self) -> list[str]:
        schema, table = self.name.split(".", 1) if "." in self.name else ("main", self.name)
        found = self.connection.execute("SELECT name FROM pragma_table_info(?, ?)", (table, schema))
        return [name for (name,) in found]

    def has_unique(self, columns: Sequence[str]) -> bool:
        schema, table = self.name.split(".", 1) if "." in self.name else ("main", self.name)
        keys = "SELECT name FROM pragma_table_info(?, ?) WHERE pk > 0"
        found = [{name for (name,) in self.connection.execute(keys, (table, schema))}]
        indexes = 'SELECT name FROM pragma_index_list(?, ?) WHERE "unique" AND NOT partial'
        for (index,) in self.connection.execute(indexes, (table, schema)).fetchall():
            names = self.connection.execute("SELECT name FROM pragma_index_info(?, ?)", (index, schema))
            found.append({name for (name,) in names})
        return set(columns) in found

    def index_sql(self, name: str, columns: str, unique: str) -> str:
        if "." not in self.name:
            return super().index_sql(name, columns, unique)
        schema, table = map(quoted, self.name.split(".", 1))
        return f"CREATE {unique}INDEX {schema}.{quoted(name)} ON {table} ({columns})"

    def insert(self, columns: Sequence[str], rows: Iterable[Values], key: Sequence[str]) -> int:
        names, marks = ", ".join(map(quoted, columns)), ", ".join("?" * len(columns))
        into = f"INSERT INTO {self.sql_name} ({names}) VALUES ({marks})"  # noqa: S608 - quoted above
        return int(self.connection.executemany(into + self._on_conflict(columns, key), rows).rowcount)

    def stored(self, value: Any) -> Any:
        if isinstance(value, datetime):
            value = value.astimezone(timezone.utc) if value.tzinfo else value
            return value.isoformat(" ")
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, Decimal):
            return str(value)
        return to_json(value) if isinstance(value, (dict, list, tuple)) else value


class PostgresTable(Table):
    types = {
        bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE PRECISION", bytes: "BYTEA", datetime: "TIMESTAMPTZ",
        date: "DATE", Decimal: "NUMERIC", dict: "JSONB", list: "JSONB", tuple: "JSONB",
    }  # fmt: skip
    kinds = {
        "int": "BIGINT", "float": "DOUBLE PRECISION", "bool": "BOOLEAN", "date": "DATE", "datetime": "TIMESTAMPTZ",
        "json": "JSONB",
    }  # fmt: skip
    mark = "%s"
    _has_copy = False

    def lock(self, owner: str) -> None:
        """Until the end of the transaction nobody else has this owner's turn at this table."""
        turn = f"{self.name} {owner}"
        self.connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (turn,))

    def column_names(self) -> list[str]:
        found = self.connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped "
            "ORDER BY attnum",
            (self.sql_name,),
        )
        return [name for (name,) in found]

    def has_unique(self, columns: Sequence[str]) -> bool:
        found = self.connection.execute(
            "SELECT array_agg(attname::text) FROM pg_index JOIN pg_attribute "
            "ON attrelid = indrelid AND attnum = ANY(indkey) WHERE indrelid = to_regclass(%s) AND indisunique "
            "AND indpred IS NULL GROUP BY indexrelid",
            (self.sql_name,),
        )
        return any(set(names) == set(columns) for (names,) in found)

    def insert(self, columns: Sequence[str], rows: Iterable[Values], key: Sequence[str]) -> int:
        """By COPY; with a key through a table of this transaction, in the key's order: two do not lock in turn."""
        names = ", ".join(map(quoted, columns))
        if not key:
            return self._copy(self.sql_name, names, rows)
        copied = f"CREATE TEMPORARY TABLE loaded_rows ON COMMIT DROP AS SELECT {names} FROM {self.sql_name} LIMIT 0"  # noqa: S608
        self.connection.execute("TRUNCATE pg_temp.loaded_rows" if self._has_copy else copied)
        self._has_copy = True
        self._copy("pg_temp.loaded_rows", names, rows)
        keys = ", ".join(map(quoted, key))
        newest = f"SELECT DISTINCT ON ({keys}) {names} FROM pg_temp.loaded_rows ORDER BY {keys}, ctid DESC"  # noqa: S608
        insert = f"INSERT INTO {self.sql_name} ({names}) {newest}"
        return int(self.connection.execute(insert + self._on_conflict(columns, key)).rowcount)

    def _copy(self, table: str, names: str, rows: Iterable[Values]) -> int:
        with self.connection.cursor() as cursor:
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            return int(cursor.rowcount)

    def stored(self, value: Any) -> Any:
        return to_json(value) if isinstance(value, (dict, list, tuple)) else value


@contextmanager
def opened(address: str, table: str, *, owner: str) -> Iterator[Table]:
    """The table in a transaction that nobody else has for this table and owner; committed when all went well."""
    text, has_scheme, rest = address.partition("://")
    scheme = text.split("+", 1)[0].lower() if has_scheme else ""
    if scheme in POSTGRES:
        with _postgres(f"postgresql://{rest}", table, owner) as found:
            yield found
    elif scheme in ("", "sqlite"):
        with _sqlite(rest[1:] if scheme else address, table) as found:
            yield found
    else:
        raise LoadError(f"{scheme}:// is not known: write sqlite:///file, or postgresql://user@host/database.")


@contextmanager
def _sqlite(path: str, table: str) -> Iterator[Table]:
    if not path:
        raise LoadError("The address names no file: write sqlite:///data/file.db.")
    try:
        Path(unquote(path)).parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(unquote(path), timeout=PATIENCE_SECONDS, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield SqliteTable(connection, table)
            connection.execute("COMMIT")
    except (sqlite3.Error, OSError, OverflowError, UnicodeEncodeError) as error:
        raise LoadError(f"{path}, table {table}: {error}.") from error


@contextmanager
def _postgres(address: str, table: str, owner: str) -> Iterator[Table]:
    try:
        import psycopg
    except ImportError as error:
        raise LoadError("Loading into PostgreSQL needs psycopg: run `pip install 'psycopg[binary]'`.") from error
    try:
        with psycopg.connect(address) as connection:
            connection.execute("SET LOCAL TIME ZONE 'UTC'")  # a time without a zone is one of UTC
            found = PostgresTable(connection, table)
            found.lock(owner)
            yield found
    except (psycopg.Error, UnicodeEncodeError) as error:
        raise LoadError(f"PostgreSQL, table {table}: {without_password(str(error), address)}") from None


def without_password(text: str, address: str) -> str:
    """The driver's sentence without the password of the address, which it quotes when it cannot read it."""
    found = re.search(r"://[^:/@]*:(.*)@", address)
    secrets = {found[1], unquote(found[1])} if found and found[1] else set()
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
