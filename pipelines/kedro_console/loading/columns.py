"""How the columns of a table are made from the rows of a node: renamed, cast, trimmed, computed."""

from __future__ import annotations

import importlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timezone
from decimal import Decimal, InvalidOperation
from typing import Any, Union

Row = Mapping[str, Any]
Columns = Union[Mapping[str, Any], Sequence[str]]
Convert = Callable[[Any], Any]

FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
PLAIN = frozenset({str, int, bool, bytes, datetime, date, Decimal})
OPTIONS = ("from", "constant", "computed", "text", "cast", "json")
TEXTS: dict[str, Callable[[str], str]] = {"upper": str.upper, "lower": str.lower, "strip": str.strip}


class LoadError(ValueError):
    """Rows cannot be loaded as asked; the message says which, and why."""


@dataclass(frozen=True)
class Column:
    """One column of the table: where its value comes from and what is done to it on the way."""

    name: str
    take: Callable[[Row], Any]
    source: str = ""
    """The name it has in the rows; "" for what is constant or computed."""
    steps: tuple[Convert, ...] = ()
    kind: str = ""
    """What a cast makes of it, so that a new table has the right type even when all values are missing."""

    def value(self, row: Row) -> Any:
        value = plain(self.take(row))
        for step in self.steps:
            if value is None:
                return None
            value = step(value)
        return value


def read(columns: Columns | None, rows: Iterable[Row]) -> list[Column]:
    """The columns as described; without a description those of all these rows, as they are."""
    if columns is None:
        names = list(dict.fromkeys(key for row in rows for key in row))
        return [_column(name, None) for name in names]
    if isinstance(columns, Mapping):
        return [_column(name, described) for name, described in columns.items()]
    return [_column(name, None) for name in columns]


def check(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """LoadError when a column is twice, or comes from what none of these rows has: a name that is wrong."""
    names = [column.name for column in columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise LoadError(f"Each column is written once; {', '.join(twice)} is there twice.")
    known = {key for row in rows for key in row}
    absent = sorted({column.source for column in columns if column.source} - known)
    if rows and absent:
        raise LoadError(f"No row has {', '.join(absent)}; they have {', '.join(sorted(map(str, known)))}.")


def tuples(rows: Iterable[Row], columns: Sequence[Column], *, first: int, is_whole: bool) -> Iterator[tuple[Any, ...]]:
    """Each row as the values of the columns; LoadError names the row and the column that stand in the way.

    `is_whole`: the rows' own keys are the columns, so a key that is none would be lost.
    """
    names = {column.name for column in columns}
    for number, row in enumerate(rows, first):
        if is_whole and not names.issuperset(row):
            extra = ", ".join(sorted(set(row) - names))
            raise LoadError(f"Row {number} has what earlier rows have not: {extra}. Name all columns with columns=….")
        yield tuple([made(column, row, number) for column in columns])


def made(column: Column, row: Row, number: int) -> Any:
    """The column's value for this row; LoadError says which row it is."""
    try:
        return column.value(row)
    except KeyError as error:
        have = ", ".join(map(str, row))
        raise LoadError(f"Row {number}, column {column.name}: there is no {error} in the row, it has {have}.") from None
    except (ValueError, TypeError, OverflowError, InvalidOperation) as error:
        raise LoadError(f"Row {number}, column {column.name}: {error}") from error


# ---- a column as it is described ------------------------------------------------------------------


def _column(name: Any, described: Any) -> Column:
    if not isinstance(name, str) or not name or "\0" in name:
        raise LoadError(f"{name!r} cannot be the name of a column.")
    if isinstance(described, str):
        return _named(name, described)
    if described is None:
        return _named(name, name)
    if not isinstance(described, Mapping):
        raise LoadError(f"Column {name}: write the name it has in the rows, or a mapping of {', '.join(OPTIONS)}.")
    unknown = sorted(set(described) - set(OPTIONS))
    if unknown:
        raise LoadError(f"Column {name}: {', '.join(unknown)} is not known; there are {', '.join(OPTIONS)}.")
    if sum(option in described for option in ("from", "constant", "computed")) > 1:
        raise LoadError(f"Column {name}: it is taken from a column, constant or computed, only one of them.")
    kind = "json" if described.get("json") else str(described.get("cast") or "")
    steps = tuple(_steps(name, described, kind))
    if "constant" in described:
        constant = described["constant"]
        return Column(name, lambda row: constant, steps=steps, kind=kind)
    if "computed" in described:
        return Column(name, _function(name, described["computed"]), steps=steps, kind=kind)
    return _named(name, str(described.get("from", name)), steps, kind)


def _named(name: str, source: str, steps: tuple[Convert, ...] = (), kind: str = "") -> Column:
    return Column(name, lambda row: row.get(source), source, steps, kind)


def _function(name: str, named: Any) -> Callable[[Row], Any]:
    if callable(named):
        return named  # type: ignore[no-any-return]
    if not FUNCTION.fullmatch(str(named)):
        raise LoadError(f"Column {name}: computed is {named!r}; write package.module:function.")
    module, _, function = str(named).partition(":")
    try:
        return getattr(importlib.import_module(module), function)  # type: ignore[no-any-return]
    except (ImportError, AttributeError) as error:
        raise LoadError(f"Column {name}: {named} cannot be found: {error}.") from error


def _steps(name: str, described: Mapping[str, Any], kind: str) -> Iterator[Convert]:
    texts = described.get("text", ())
    for text in [texts] if isinstance(texts, str) else texts:
        if text not in TEXTS:
            raise LoadError(f"Column {name}: text is {text!r}; there are {', '.join(TEXTS)}.")
        yield _on_text(TEXTS[text])
    if kind:
        if kind not in CASTS:
            raise LoadError(f"Column {name}: cast is {kind!r}; there are {', '.join(CASTS)}.")
        yield CASTS[kind]


def _on_text(change: Callable[[str], str]) -> Convert:
    return lambda value: change(value if isinstance(value, str) else str(value))


# ---- values ---------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """What a database can hold: NaN and what pandas calls missing are None, a number of numpy is Python's."""
    if type(value) in PLAIN or value is None:
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    if hasattr(value, "to_pydatetime"):  # pandas' Timestamp; its missing one is not equal to itself
        return value.to_pydatetime() if value == value else None
    if type(value).__name__ == "NAType":
        return None
    if isinstance(value, (dict, list, tuple)):
        return value
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        return plain(value.tolist())
    return _other(value)


def _other(value: Any) -> Any:
    for kind in (str, bytes, int, datetime, date, Decimal):  # a subclass: an Enum of text, for example
        if isinstance(value, kind):
            return value
    if isinstance(value, time) or type(value).__name__ == "UUID":
        return str(value)
    raise TypeError(f"{type(value).__name__} is nothing that a table holds; cast it, or compute something of it.")


def _whole(value: Any) -> int | None:
    if value == "":
        return None
    number = Decimal(str(value).strip()) if isinstance(value, (str, float)) else value
    whole = int(number)
    if whole != number:
        raise ValueError(f"{value!r} is no whole number.")
    return whole


def _float(value: Any) -> float | None:
    number = float(value) if value != "" else math.nan
    return None if math.isnan(number) else number


def _bool(value: Any) -> bool | None:
    text = str(value).strip().lower()
    if text == "":
        return None
    if text not in ("true", "false", "1", "0", "yes", "no"):
        raise ValueError(f"{value!r} is neither true nor false.")
    return text in ("true", "1", "yes")


def _text(value: Any) -> str:
    return to_json(value) if isinstance(value, (dict, list, tuple)) else str(value)


def _date(value: Any) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(value.strip()[:10]) if value != "" else None


def _datetime(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, timezone.utc)
    return datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", value.strip())) if value != "" else None


def to_json(value: Any) -> str:
    """JSON of the value; what is not a number in it is null."""
    return json.dumps(_without_nan(value), ensure_ascii=False, allow_nan=False, default=str)


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _without_nan(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


CASTS: dict[str, Convert] = {
    "int": _whole,
    "float": _float,
    "text": _text,
    "bool": _bool,
    "date": _date,
    "datetime": _datetime,
    "json": to_json,
}
