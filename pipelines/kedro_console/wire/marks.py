"""Parameters that the project's own types mark as secrets: by `writeOnly` or the format `password` of a JSON schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kedro_console.wire.kinds import Group, Value, secret

Schema = Mapping[str, Any]
Places = Mapping[str, list[list[str]]]
"""Parameter name → the keys below it that lead to secrets; [] for all of it."""
DEPTH = 12
VARIANTS = ("anyOf", "oneOf", "allOf")


def is_secret_schema(schema: Schema) -> bool:
    """Whether this schema, or one of those that it may be, says that its value is a secret."""
    own = schema.get("writeOnly") is True or schema.get("format") == "password"
    parts = (part for name in VARIANTS for part in schema.get(name, ()) if isinstance(part, Mapping))
    return own or any(is_secret_schema(part) for part in parts)


def secret_places(schemas: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Which parameters, or parts of them, the schemas mark."""
    found = {name: list(_below(schema, schema, DEPTH)) for name, schema in schemas.items()}
    return {name: places for name, places in found.items() if places}


def _below(schema: Any, root: Any, depth: int) -> Iterator[list[str]]:
    schema = _resolved(schema, root)
    if not isinstance(schema, Mapping) or depth == 0:
        return
    if is_secret_schema(schema):
        yield []
        return
    for part in (schema.get("items"), schema.get("additionalProperties"), *schema.get("prefixItems", ())):
        if any(True for _ in _below(part, root, depth - 1)):  # which of them is not known: all are
            yield []
            return
    for part in (each for name in VARIANTS for each in schema.get(name, ())):
        yield from _below(part, root, depth - 1)
    for key, part in (schema.get("properties") or {}).items():
        yield from ([key, *place] for place in _below(part, root, depth - 1))


def _resolved(schema: Any, root: Any) -> Any:
    if not isinstance(schema, Mapping) or not str(schema.get("$ref", "")).startswith("#/"):
        return schema
    found = root
    for key in str(schema["$ref"])[2:].split("/"):
        found = found.get(key, {}) if isinstance(found, Mapping) else {}
    return {**found, **{key: part for key, part in schema.items() if key != "$ref"}}


def marked(values: Group, places: Places) -> dict[Any, Value]:
    """The parameters with a mark on each value at one of the places."""
    known: dict[Any, Value] = dict(values)
    for name, inner in places.items():
        for place in inner:
            known = _at_name(known, name, place)
    return known


def _at_name(values: Any, name: str, place: list[str]) -> Any:
    """`name` as Kedro writes it: a key may itself have dots."""
    if not isinstance(values, dict):
        return values
    changed = dict(values)
    for key, part in values.items():
        if str(key) == name:
            changed[key] = _at_place(part, place)
        elif name.startswith(f"{key}."):
            changed[key] = _at_name(part, name[len(str(key)) + 1 :], place)
    return changed


def _at_place(value: Any, place: list[str]) -> Any:
    if not place:
        return _all(value)
    if not isinstance(value, dict):
        return value
    first = place[0]
    return {key: _at_place(part, place[1:]) if str(key) == first else part for key, part in value.items()}


def _all(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _all(part) for key, part in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_all(part) for part in value)
    return secret(value)
