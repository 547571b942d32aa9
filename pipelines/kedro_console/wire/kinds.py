"""Values that JSON cannot hold, as JSON that can be turned back: what YAML and resolvers make of parameters."""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Union, overload

from kedro_console.wire.values import Json

KIND = "$kind"
MARKED = "secret"
ODD_TEXT = re.compile("[\x00\ud800-\udfff]")
"""What a database does not take."""
DEPTH = 30
ITEMS = 100_000
LONGEST_TEXT = 2_000
LONGEST_INTEGER = 12_000  # bits: Python writes no longer ones as text
_DURATION = re.compile(r"(?:(-?\d+) days?,? *)?(?:(\d+):(\d\d):(\d\d(?:\.\d{1,6})?))?")


@dataclass(frozen=True)
class Other:
    """A value of a class that only the project knows, or one that cannot be read here: its kind, and its text."""

    kind: str
    text: str


class Secret:
    """A value that is marked: wherever it goes it is shown to nobody, and is otherwise what it was."""


class SecretText(Secret, str):
    """A text."""


class SecretInteger(Secret, int):
    """A whole number."""


class SecretNumber(Secret, float):
    """Another number."""


def secret(value: Any) -> Any:
    """The same value with the mark; what is none of these kinds stays as it is."""
    if isinstance(value, (bool, Secret)):
        return value
    kinds: tuple[tuple[Any, Any], ...] = ((str, SecretText), (int, SecretInteger), (float, SecretNumber))
    return next((mark(value) for kind, mark in kinds if isinstance(value, kind)), value)


def unmarked(value: Any) -> Any:
    """The same without marks: what a node gets is of the class that Python has for it."""
    if isinstance(value, dict):
        return {key: unmarked(part) for key, part in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(unmarked(part) for part in value)
    if not isinstance(value, Secret):
        return value
    kinds: tuple[Any, ...] = (str, int, float)
    return next(kind(value) for kind in kinds if isinstance(value, kind))


Key = Hashable
"""What names a parameter in its group: nearly always text, in YAML also a number or a date."""
Value = Union[
    None,
    bool,
    int,
    float,
    str,
    bytes,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
    Other,
    Sequence["Value"],
    AbstractSet["Value"],
    Mapping[Any, "Value"],
]
"""A parameter as YAML and resolvers make it, or JSON: in memory lists, tuples, sets and dicts."""
Group = Mapping[Any, Value]
"""Parameters by their keys. Python's types do not let a mapping's keys vary: text alone would not be a `Key`."""


def duration(text: str) -> datetime.timedelta:
    """As Python writes it: `1 day, 2:00:00`; ValueError for anything else."""
    found = _DURATION.fullmatch(text.strip())
    if not text.strip() or found is None:
        raise ValueError(text)
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return datetime.timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


_TEXTS: dict[str, tuple[Any, Callable[[Any], str], Callable[[str], Any]]] = {
    "datetime": (datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    "date": (datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "time": (datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
    "duration": (datetime.timedelta, str, duration),
    "decimal": (decimal.Decimal, str, decimal.Decimal),
    "bytes": (
        bytes,
        lambda value: base64.b64encode(value).decode(),
        lambda text: base64.b64decode(text, validate=True),
    ),
}
"""In the order in which they are looked for: a datetime is also a date."""
_GROUPS: dict[str, Any] = {"tuple": tuple, "set": set, "frozenset": frozenset}


def kind_of(value: object) -> str:
    """The kind of a value that JSON cannot hold; "" for one that it can."""
    if isinstance(value, Other):
        return value.kind
    if isinstance(value, float):
        return "" if math.isfinite(value) else "number"
    named = ((kind, cls) for kind, (cls, _, _) in _TEXTS.items())
    return next((kind for kind, cls in (*named, *_GROUPS.items()) if isinstance(value, cls)), "")


def text_of_kind(value: object) -> str:
    """A value of one of these kinds (none that holds others) as text, as YAML writes numbers that have no end."""
    if isinstance(value, float):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if isinstance(value, Other):
        return value.text
    write: Callable[[object], str] = _TEXTS[kind_of(value)][1]
    return write(value)


def read_number(text: str) -> float:
    """The number that YAML writes like this, also one without an end; ValueError when it is none."""
    return float(text.strip().lower().replace(".inf", "inf").replace(".nan", "nan"))


def read_kind(kind: str, text: str) -> Value:
    """The value of this kind that the text writes; ValueError when it does not."""
    if kind == "number":
        return read_number(text)
    try:
        read: Callable[[str], Value] = _TEXTS[kind][2]
        return read(text.strip())
    except (ArithmeticError, KeyError) as error:
        raise ValueError(text) from error


@overload
def packed(value: dict[Any, Any], *, depth: int = ..., items: int = ...) -> dict[str, Json]: ...
@overload
def packed(value: object, *, depth: int = ..., items: int = ...) -> Json: ...
def packed(value: object, *, depth: int = DEPTH, items: int = ITEMS) -> Json:
    """`value` as plain JSON, from which `unpacked` makes the same again; what is too deep or too long is cut."""
    if isinstance(value, Secret):
        return _tagged(MARKED, text=json.dumps(unmarked(value)))
    if isinstance(value, str):
        return _tagged("text", text=json.dumps(value)) if ODD_TEXT.search(value) else value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        fits = value.bit_length() <= LONGEST_INTEGER
        return value if fits else _tagged("int", text=f"a number of {value.bit_length():,} bits")
    if isinstance(value, float) and math.isfinite(value):
        return value
    if depth == 0:
        return "…"
    if isinstance(value, dict):
        return _packed_group(value, depth - 1, items)
    if isinstance(value, list):
        return [packed(part, depth=depth - 1, items=items) for part in value[:items]]
    kind = kind_of(value)
    if isinstance(value, (tuple, set, frozenset)):
        parts = list(value) if isinstance(value, tuple) else sorted(value, key=repr)
        return _tagged(kind, items=[packed(part, depth=depth - 1, items=items) for part in parts[:items]])
    return _tagged(kind, text=text_of_kind(value)) if kind else _tagged(type(value).__qualname__, text=_said(value))


def _said(value: object) -> str:
    try:
        return str(value)[:LONGEST_TEXT]
    except Exception as error:  # noqa: BLE001  (a class of the project's own may raise anything)
        return f"no text: {type(error).__name__}"


def _packed_group(value: dict[Key, object], depth: int, items: int) -> dict[str, Json]:
    pairs = list(value.items())[:items]
    names = [key for key, _ in pairs if isinstance(key, str) and not ODD_TEXT.search(key)]
    if len(names) == len(pairs) and KIND not in value:
        return {name: packed(value[name], depth=depth, items=items) for name in names}
    return _tagged("group", items=[[packed(key), packed(part, depth=depth, items=items)] for key, part in pairs])


def _tagged(kind: str, **holds: Json) -> dict[str, Json]:
    return {KIND: kind, **holds}


@overload
def unpacked(value: Mapping[str, Json]) -> dict[Any, Value]: ...
@overload
def unpacked(value: Json) -> Value: ...
def unpacked(value: Json) -> Value:
    """The value that was packed; foreign ones as `Other`."""
    if isinstance(value, list):
        return [unpacked(part) for part in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(KIND)
    if not isinstance(kind, str):
        return {key: unpacked(part) for key, part in value.items()}
    items = value.get("items")
    if isinstance(items, list):
        return _unpacked_group(kind, items)
    text = str(value.get("text", ""))
    try:
        if kind == MARKED:
            marked: Value = secret(json.loads(text))
            return marked
        return str(json.loads(text)) if kind == "text" else read_kind(kind, text)
    except ValueError:
        return Other(kind, text)


def _unpacked_group(kind: str, items: list[Any]) -> Value:
    if kind == "group":
        return {_as_key(pair[0]): unpacked(pair[1]) for pair in items}
    parts = [unpacked(part) for part in items]
    try:
        return _GROUPS[kind](parts) if kind in _GROUPS else parts
    except TypeError:  # a set of what cannot be in one here
        return parts


def _as_key(packed_key: Json) -> Key:
    key = unpacked(packed_key)
    return tuple(key) if isinstance(key, list) else key
