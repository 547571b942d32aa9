"""One table as DuckDB reads it: windows of its rows, in an order, of those that are meant; and what its columns hold.

What is asked comes as names and values. A name is looked up among the columns and quoted, a value is bound: nobody
writes SQL here. The engine opens nothing: it reads files that were open before it began (`pieces`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, cast

import duckdb

from console.files.tables import texts_to_rows
from console.files.tables.columns import (
    CELL,
    Column,
    asked_of_all,
    asked_of_sample,
    described,
    native,
    of_text,
    told_by_all,
    told_by_sample,
)  # fmt: skip
from console.files.tables.pieces import Pieces, ReadAt, Reading
from console.files.tables.wishes import COMPARISONS, SCROLLED, Condition, TableError, Wish

MEMORY: Final = "700MB"
SHOWN: Final = 60
GROUP_BYTES: Final = 16_000_000
"""Of a larger group of rows only the pages are fetched that are needed."""
GIVEN, MADE, TEXT, OTHER = "pieces://given", "pieces://made", "pieces://text", "pieces://other"
SAMPLE: Final = 4_000
"""Rows that are looked at before all of them."""
SEVERAL: Final = 20
"""Columns that are looked through at once."""


class Table:
    """An open table; its methods raise TableError with a sentence."""

    def __init__(self, given: ReadAt, size: int, scratch: dict[str, IO[bytes]]) -> None:
        self._given, self._size, self._scratch = given, size, scratch
        self._engine = duckdb.connect(config={"memory_limit": MEMORY, "threads": 1, "temp_directory": ""})
        self._files = Pieces(given, size, {name: file.fileno() for name, file in scratch.items()})
        self._columns: list[Column] = []
        self._facts: list[dict[str, Any]] = []
        self._source, self._count = "", 0
        self._written = texts_to_rows.Written([])
        self._set_aside: tuple[Any, int] | None = None

    def open(self, suffix: str, sheet: int, *, threads: int) -> None:
        """Read what its columns are; a text or a workbook is first made a file that windows can be read of."""
        with _sentences():
            self._engine.execute(f"SET threads = {int(threads)}")
            self._close_off()
            if suffix == ".parquet":
                self._source = f"read_parquet('{GIVEN}')"
                self._choose_pages()
                found = self._rows(f"DESCRIBE SELECT * FROM {self._source}")
                self._columns = [native(name, type_) for name, type_, *_ in found]
            else:
                self._make(suffix, sheet)
            self._engine.execute("SET lock_configuration = true")
            self._count = self._one(f"SELECT count(*) FROM {self._source}") if self._source else 0

    # ---- what is read

    def _close_off(self) -> None:
        """From now on the engine opens nothing but what it is given here."""
        self._engine.register_filesystem(self._files)
        names = ", ".join(f"'{name}'" for name in (GIVEN, MADE, TEXT, OTHER))
        for setting in (
            f"allowed_paths = [{names}]",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            f"late_materialization_max_rows = {SCROLLED}",
            "enable_external_access = false",
        ):
            self._engine.execute(f"SET {setting}")

    def _choose_pages(self) -> None:
        groups = f"SELECT sum(total_compressed_size) AS bytes FROM parquet_metadata('{GIVEN}') GROUP BY row_group_id"
        if (self._one(f"SELECT max(bytes) FROM ({groups})") or 0) > GROUP_BYTES:
            self._engine.execute("SET disable_parquet_prefetching = true")

    def _make(self, suffix: str, sheet: int) -> None:
        source = cast(IO[bytes], Reading(self._given, self._size))
        if suffix in (".xlsx", ".xlsm"):
            self._written = texts_to_rows.of_workbook(source, self._size, self._scratch["text"], sheet=sheet)
        else:
            is_tabbed = suffix == ".tsv"
            self._written = texts_to_rows.of_text(source, self._size, self._scratch["text"], is_tabbed=is_tabbed)
        if not self._written.names:
            return
        self._copy()
        self._source = f"read_parquet('{MADE}')"
        plain = [of_text(name, f'"c{place}"') for place, name in enumerate(self._written.names)]
        sample = f"(SELECT * FROM {self._source} LIMIT {SAMPLE})"
        guessed = [told_by_sample(each, counts) for each, counts in self._by_column(plain, asked_of_sample, sample)]
        self._columns = [told_by_all(each, counts) for each, counts in self._by_column(guessed, asked_of_all)]

    def _copy(self) -> None:
        """As it stands where it is quite regular; what is not is written once more, each row with all its cells."""
        written = self._written
        if written.is_regular:
            self._to_made(TEXT, ",")
        elif len(written.names) == 1 or written.skipped or not self._is_made(written.delimiter):
            texts_to_rows.again(self._scratch["text"], self._scratch["other"], written)
            self._to_made(OTHER, ",")

    def _is_made(self, delimiter: str) -> bool:
        """False when its rows have other lengths, or quotes are where none belong."""
        try:
            self._to_made(TEXT, delimiter)
        except duckdb.Error:
            return False
        return True

    def _to_made(self, path: str, delimiter: str) -> None:
        columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(self._written.names)))
        options = (
            f"delim = '{delimiter}', quote = '\"', escape = '\"', header = true, auto_detect = false, "
            "strict_mode = true, parallel = false, buffer_size = 8000000, max_line_size = 2000000"
        )
        self._engine.execute(
            f"COPY (SELECT * FROM read_csv('{path}', {options}, columns = {{{columns}}})) "
            f"TO '{MADE}' (FORMAT parquet, COMPRESSION snappy, USE_TMP_FILE false, ROW_GROUP_SIZE 20480)"
        )

    # ---- what is asked

    def answer(self, wish: Wish) -> dict[str, Any]:
        """The window, or with `is_described` what the columns hold; `readers` documents the shapes."""
        with _sentences():
            if wish.is_described:
                return {**self._head(self._count), "columns": self._described()}
            if not self._source:
                return {**self._head(0), "rows": []}
            is_whole = not (wish.sort or wish.find or wish.where)
            rows, found = self._from_file(wish) if is_whole else self._from_set_aside(wish)
            return {**self._head(found), "rows": [list(map(_cut, row)) for row in rows]}

    def _head(self, found: int) -> dict[str, Any]:
        columns = [{"name": each.name, "kind": each.kind} for each in self._columns[:SHOWN]]
        told = {"note": self._written.note, "sheets": list(self._written.sheets), "shown": self._written.shown}
        left_out = max(len(self._columns) - SHOWN, 0)
        return {"columns": columns, "left_out": left_out, "total": self._count, "found": found, **told}

    def _described(self) -> list[dict[str, Any]]:
        if not self._facts and self._source:
            found = self._by_column(self._columns[:SHOWN], lambda column: column.facts)
            self._facts = [described(column, self._count, facts) for column, facts in found]
        return self._facts

    def _from_file(self, wish: Wish) -> tuple[list[Any], int]:
        sql = f"SELECT {self._cells()} FROM {self._source} LIMIT {int(wish.limit)} OFFSET {int(wish.first)}"
        return self._rows(sql), self._count

    def _from_set_aside(self, wish: Wish) -> tuple[list[Any], int]:
        """The rows that are meant, in their order, are set aside once: further windows are read of these."""
        key = (wish.sort, wish.find, wish.where)
        if self._set_aside is None or self._set_aside[0] != key:
            self._set_aside = None
            where, values = self._where(wish)
            is_narrowed = bool(wish.find or wish.where)
            counted = f"SELECT count(*) FROM {self._source} WHERE {where}"
            found = self._one(counted, values) if is_narrowed else self._count
            self._engine.execute("DROP TABLE IF EXISTS set_aside")
            self._engine.execute(
                f"CREATE TEMP TABLE set_aside AS SELECT {self._cells()} FROM "
                f"(SELECT * FROM {self._source} WHERE {where} {self._order(wish)} LIMIT {SCROLLED})",
                values,
            )
            self._set_aside = key, found
        sql = f"SELECT * FROM set_aside LIMIT {int(wish.limit)} OFFSET {int(wish.first)}"
        return self._rows(sql), self._set_aside[1]

    def _cells(self) -> str:
        return ", ".join(f"{each.shown} AS r{place}" for place, each in enumerate(self._columns[:SHOWN]))

    def _order(self, wish: Wish) -> str:
        if not wish.sort:
            return ""
        found = next((each for each in self._columns if each.name == wish.sort), None)
        column = found or self._column(wish.sort.removeprefix("-"))
        key = f"lower({column.value})" if column.kind == "text" else column.value
        return f"ORDER BY {key} {'ASC' if found or wish.sort[0] != '-' else 'DESC'} NULLS LAST"

    def _where(self, wish: Wish) -> tuple[str, list[Any]]:
        clauses, values = ["true"], []
        if wish.find:
            texts = ", ".join(each.words for each in self._columns)
            clauses.append(f"contains(lower(concat_ws(chr(31), {texts})), lower(?))")
            values.append(wish.find)
        for each in wish.where:
            clause, given = self._clause(each)
            clauses.append(clause)
            values += given
        return " AND ".join(clauses), values

    def _clause(self, wanted: Condition) -> tuple[str, list[Any]]:
        column = self._column(wanted.column)
        if wanted.operator == "empty":
            return f"NOT coalesce({column.is_filled}, false)", []
        if wanted.operator == "filled":
            return column.is_filled, []
        if wanted.operator == "contains":
            return f"contains(lower({column.words}), lower(?))", [wanted.value]
        comparison, kind, value = COMPARISONS[wanted.operator], column.comparable, wanted.value.strip()
        if not kind:
            return f"{column.words} {comparison} ?", [wanted.value]
        if self._one(f"SELECT TRY_CAST(? AS {kind})", [value]) is None:
            raise TableError(f"“{wanted.value}” is no {column.kind}, and {column.name} is compared with one.")
        return f"{column.value} {comparison} CAST(? AS {kind})", [value]

    def _column(self, name: str) -> Column:
        for each in self._columns:
            if each.name == name:
                return each
        raise TableError(f"There is no column {name}.")

    # ---- the engine

    def _by_column(
        self, columns: list[Column], asked: Callable[[Column], str], source: str = ""
    ) -> Iterator[tuple[Column, list[Any]]]:
        """The answers to a few questions on each column, some columns at a time."""
        for start in range(0, len(columns), SEVERAL):
            some = columns[start : start + SEVERAL]
            questions = ", ".join(map(asked, some))
            row = list(self._rows(f"SELECT {questions} FROM {source or self._source}")[0])
            width = len(row) // len(some)
            for place, each in enumerate(some):
                yield each, row[place * width : (place + 1) * width]

    def _rows(self, sql: str, values: list[Any] | None = None) -> list[Any]:
        rows: list[Any] = self._engine.execute(sql, values or []).fetchall()
        return rows

    def _one(self, sql: str, values: list[Any] | None = None) -> Any:
        return self._rows(sql, values)[0][0]


def _cut(cell: str | None) -> str | None:
    return cell if cell is None or len(cell) <= CELL else f"{cell[:CELL]}…"


@contextmanager
def _sentences() -> Iterator[None]:
    """The engine's errors as sentences for who looks at the file."""
    try:
        yield
    except (duckdb.OutOfMemoryException, MemoryError) as error:
        raise TableError("It needs more memory than a preview may have. Download the file.") from error
    except duckdb.Error as error:
        first = str(error).strip().partition("\n")[0][:200].rstrip(".")
        raise TableError(f"This file cannot be read as a table ({first}). Download it to see it.") from error
