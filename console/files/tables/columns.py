"""The columns of a table, as people call them and as DuckDB compares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

CELL: Final = 300  # characters
NUMBERS: Final = ("whole number", "number")
RANGED: Final = (*NUMBERS, "true or false", "date", "time", "text")
NOTHING: Final = "('', 'nan', 'null', 'none')"
WHOLE: Final = frozenset(
    f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")
) | {"INTEGER", "UINTEGER"}  # fmt: skip
OF_TEXTS: Final = (
    ("whole number", "HUGEINT", "regexp_full_match({0}, '[+-]?[0-9]{{1,38}}')"),
    ("number", "DOUBLE", "NOT contains({0}, '_') AND TRY_CAST({0} AS DOUBLE) IS NOT NULL"),
    ("true or false", "BOOLEAN", "lower({0}) IN ('true', 'false')"),
    (
        "date",
        "DATE",
        "regexp_full_match({0}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') AND TRY_CAST({0} AS DATE) IS NOT NULL",
    ),
    ("time", "TIMESTAMP", "regexp_matches({0}, '^[0-9]{{4}}-[0-9]{{2}}') AND TRY_CAST({0} AS TIMESTAMP) IS NOT NULL"),
)
"""A column of texts is the first of these that all of its filled cells are."""


@dataclass
class Column:
    """`sql` gives its cells, `value` what they are ordered and compared by."""

    name: str
    kind: str
    sql: str
    value: str
    type: str
    is_text: bool = False
    """Of a file of texts: an empty cell is no NULL there."""

    @property
    def is_filled(self) -> str:
        return f"lower(trim({self.sql})) NOT IN {NOTHING}" if self.is_text else f"{self.sql} IS NOT NULL"

    @property
    def words(self) -> str:
        return f"CAST({self.sql} AS VARCHAR)"

    @property
    def shown(self) -> str:
        return f"left({self.words}, {CELL + 1})"

    @property
    def comparable(self) -> str:
        """The type that a value to compare with is read as; "" compares texts."""
        if self.kind in NUMBERS:
            return "DOUBLE"
        return self.type if self.kind in RANGED and self.kind != "text" else ""

    @property
    def facts(self) -> str:
        """Filled cells, the least and the largest value as texts."""
        ends = [f"left(CAST({end}({self.value}) AS VARCHAR), {CELL})" for end in ("min", "max")]
        filled = f"count(*) FILTER (WHERE {self.is_filled})" if self.is_text else f"count({self.sql})"
        return ", ".join([filled, *(ends if self.kind in RANGED else ["NULL", "NULL"])])


def quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def native(name: str, type_: str) -> Column:
    """A column of a file that knows its types."""
    plain = type_.split("(")[0].upper()
    kinds = {"FLOAT": "number", "DOUBLE": "number", "DECIMAL": "number", "BOOLEAN": "true or false", "DATE": "date",
             "VARCHAR": "text", "BLOB": "bytes"}  # fmt: skip
    kind = kinds.get(plain, "whole number" if plain in WHOLE else "time" if plain.startswith("TIME") else "")
    kind = kind or ("list" if type_.endswith("]") else plain.lower())
    return Column(name, kind, quoted(name), quoted(name), plain if plain != "DECIMAL" else "DOUBLE")


def of_text(name: str, sql: str) -> Column:
    return Column(name, "text", sql, f"nullif({sql}, '')", "VARCHAR", is_text=True)


def asked_of_sample(column: Column) -> str:
    """How many cells are filled, and how many of these could be each of OF_TEXTS."""
    fits = (test.format(f"trim({column.sql})") for _, _, test in OF_TEXTS)
    return ", ".join(f"count(*) FILTER (WHERE {column.is_filled} AND {test})" for test in ("true", *fits))


def told_by_sample(column: Column, counts: Sequence[int]) -> Column:
    """Of the first kind that all of the filled cells fit; of no kind when no cell is filled."""
    filled, *fits = counts
    if not filled:
        return _of_kind(column, "empty")
    known = zip(OF_TEXTS, fits, strict=True)
    return _of_kind(column, next((kind for (kind, *_), count in known if count == filled), "text"))


def asked_of_all(column: Column) -> str:
    """How many cells are filled, how many fit the kind of the sample, and how many are numbers."""
    tests = {kind: test.format(f"trim({column.sql})") for kind, _, test in OF_TEXTS}
    if column.kind not in tests:
        return f"count(*) FILTER (WHERE {column.is_filled}), 0, 0"
    filled = f"WHERE {column.is_filled}"
    number = tests["number"] if column.kind == "whole number" else "false"
    fits = (f"count(*) FILTER ({filled} AND {test})" for test in (tests[column.kind], number))
    return ", ".join([f"count(*) FILTER ({filled})", *fits])


def told_by_all(column: Column, counts: Sequence[int]) -> Column:
    """What the sample told, where it holds for all rows; a whole number may turn out to be a number."""
    filled, fits, numbers = counts
    if column.kind == "empty":
        return _of_kind(column, "text" if filled else "empty")
    if column.kind == "text" or fits == filled:
        return column
    return _of_kind(column, "number" if numbers == filled else "text")


def _of_kind(column: Column, kind: str) -> Column:
    type_ = next((each for name, each, _ in OF_TEXTS if name == kind), "")
    value = f"TRY_CAST(trim({column.sql}) AS {type_})" if type_ else f"nullif({column.sql}, '')"
    return Column(column.name, kind, column.sql, value, type_ or "VARCHAR", is_text=True)


def described(column: Column, count: int, facts: Sequence[Any]) -> dict[str, Any]:
    filled, least, most = facts
    share = 1 - filled / count if count else 0.0
    return {"name": column.name, "kind": column.kind, "empty_share": round(share, 6), "least": least, "most": most}
