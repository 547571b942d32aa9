"""The values of parameters: as JSON shows them, with the kind that the project gives them, without their secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from decimal import Decimal
from itertools import zip_longest
from typing import Final, overload

from jobs.structure.paths import Path, leaves, text_of
from kedro_console.wire import (
    HIDDEN,
    Group,
    Json,
    Key,
    Other,
    Value,
    hidden,
    is_secret_schema,
    kind_of,
    packed,
    read_kind,
    secrets_in,
    text_of_kind,
    with_secrets,
)

VALUES_OF_SCHEMAS: Final = frozenset({"default", "examples", "const"})
GROUPS: Final = (tuple, set, frozenset)
SUCH_AS: Final = {
    "number": "a number",
    "date": "a date such as 2026-03-01",
    "datetime": "a date and time such as 2026-03-01T06:30:00",
    "time": "a time such as 06:30:00",
    "duration": "a duration such as 2 days, 6:30:00",
    "decimal": "a number",
    "bytes": "bytes in base64",
    **dict.fromkeys(("tuple", "set", "frozenset"), "a list"),
}


@overload
def plain(value: Group, *, has_endless: bool = ...) -> dict[str, Json]: ...
@overload
def plain(value: Value, *, has_endless: bool = ...) -> Json: ...
def plain(value: Value, *, has_endless: bool = False) -> Json:
    """As JSON for people: what JSON cannot hold as text; numbers without an end too, unless they may stay."""
    if isinstance(value, dict):
        return {text_of(key): plain(part, has_endless=has_endless) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part, has_endless=has_endless) for part in value]
    if isinstance(value, set | frozenset):
        return [plain(part, has_endless=has_endless) for part in sorted(value, key=repr)]
    if isinstance(value, str):
        return _readable(value)
    if value is None or (isinstance(value, int | float) and (has_endless or not kind_of(value))):
        return value
    return text_of_kind(value)


def _readable(text: str) -> str:
    """Half of a surrogate pair cannot be sent, and a NUL not be stored."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


@overload
def shown(value: Group) -> dict[str, Json]: ...
@overload
def shown(value: Value) -> Json: ...
def shown(value: Value) -> Json:
    """As JSON for everybody who may look: `***` instead of secrets."""
    return plain(masked(value))


@overload
def masked(value: Group) -> dict[Key, Value]: ...
@overload
def masked(value: Value) -> Value: ...
def masked(value: Value) -> Value:
    """`***` instead of each secret, an address without its password."""
    return with_secrets(value, hidden)


def without_literals(mapping: Mapping[str, str], places: Mapping[str, list[list[str]]]) -> dict[str, str]:
    """Expressions for parameters: of one that makes a secret (`places`: by its type), and holds a literal, nothing."""
    marked = {".".join([name, *place]) for name, inner in places.items() for place in inner}
    return {
        name: _without_literal(name, text, is_marked=any(f"{name}.".startswith(f"{each}.") for each in marked))
        for name, text in mapping.items()
    }


def _without_literal(name: str, text: str, *, is_marked: bool) -> str:
    if not re.search("['`\"]", text):
        return text
    return HIDDEN if is_marked else str(masked({name: text})[name])


@overload
def without_defaults(schema: Mapping[str, Json], name: str = ...) -> dict[str, Json]: ...
@overload
def without_defaults(schema: Json, name: str = ...) -> Json: ...
def without_defaults(schema: Json, name: str = "") -> Json:
    """Schemas without the values that they give to secrets, whether by their name or because they say so."""
    if isinstance(schema, list):
        return [without_defaults(part, name) for part in schema]
    if not isinstance(schema, dict):
        return schema
    is_open = not (is_secret((name,), "text") or is_secret_schema(schema))
    return {
        key: without_defaults(part, str(key)) for key, part in schema.items() if is_open or key not in VALUES_OF_SCHEMAS
    }


@overload
def restored(given: Group, old: Value) -> dict[Key, Value]: ...
@overload
def restored(given: Value, old: Value) -> Value: ...
def restored(given: Value, old: Value) -> Value:
    """What came back of values that were shown: what nobody changed is what it was, with its kind and its secrets."""
    return _restored(given, shown(old), old)


def _restored(given: Value, seen: Json, old: Value) -> Value:
    if isinstance(given, dict) and isinstance(seen, dict) and isinstance(old, dict):
        keys = {text_of(key): key for key in old}
        return {
            keys.get(key, key): _restored(part, seen[key], old[keys[key]]) if key in keys else part
            for key, part in given.items()
        }
    if isinstance(given, list) and isinstance(seen, list) and isinstance(old, list | tuple) and len(given) == len(old):
        parts = [_restored(*three) for three in zip(given, seen, old, strict=True)]
        return tuple(parts) if isinstance(old, tuple) else parts
    return old if same(given, seen) else given


def is_secret(path: Path, value: Value) -> bool:
    """Whether what is at this path is, or holds, a secret."""
    for key in reversed(path):
        value = {key: value}
    return next(secrets_in(value), None) is not None


def kinds(values: Group) -> dict[Path, str]:
    """The kinds of those values that JSON cannot hold."""
    found = {path: kind_of(value) for path, value in leaves(dict(values))}
    return {path: kind for path, kind in found.items() if kind}


def same(one: Value, other: Value) -> bool:
    """Whether both are one value of one kind; what is not a number is the same as itself."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(packed(one) == packed(other))


# ---- the kind that the project gives


def fitted(value: Value, default: Value) -> Value:
    """What was given, with the kind of the project's value; ValueError with a sentence when that cannot be."""
    if isinstance(value, dict) and isinstance(default, dict):
        return {key: fitted(part, default[key]) if key in default else part for key, part in value.items()}
    if isinstance(value, list) and isinstance(default, list | tuple | set | frozenset):
        return _fitted_list(value, default)
    if isinstance(default, float | int) and not isinstance(default, bool) and isinstance(value, str):
        return _endless(value)
    kind = "" if isinstance(default, Other) else kind_of(default)
    if kind in ("", "number") or value is None or kind_of(value) == kind:
        return value
    try:
        return _READ.get(kind, _as_text)(value, kind)
    except ValueError as error:
        raise ValueError(
            f"Has to be {SUCH_AS[kind]}, as in the project's parameters (there: {plain(default)})."
        ) from error


def _fitted_list(value: list[Value], default: Collection[Value]) -> Value:
    samples = list(default)
    is_one_kind = len({(type(part), kind_of(part)) for part in samples}) == 1
    beside = (
        samples[:1] * len(value) if is_one_kind else [part if isinstance(part, float) else None for part in samples]
    )
    parts = [fitted(*pair) for pair in zip_longest(value, beside[: len(value)])]
    wanted = next((group for group in GROUPS if isinstance(default, group)), list)
    try:
        return wanted(parts)
    except TypeError as error:
        raise ValueError("Has to be a list of texts or numbers: the project makes a set of it.") from error


def _endless(text: str) -> Value:
    """A number that JSON has no word for, by YAML's."""
    found = text.strip().lower()
    if found.lstrip("+-") in (".inf", "inf", "infinity", ".nan", "nan"):
        return float(found.replace(".", ""))
    return text


def _as_text(value: Value, kind: str) -> Value:
    if not isinstance(value, str):
        raise ValueError(value)
    return read_kind(kind, value)


def _as_date(value: Value, kind: str) -> Value:
    if isinstance(value, datetime):
        return value if kind == "datetime" else value.date()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    return _as_text(value, kind)


def _as_decimal(value: Value, kind: str) -> Value:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(value)
    return read_kind(kind, str(value))


_READ: Final[dict[str, Callable[[Value, str], Value]]] = {
    "date": _as_date,
    "datetime": _as_date,
    "decimal": _as_decimal,
}
