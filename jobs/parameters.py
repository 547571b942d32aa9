"""Check the runtime parameters of a run before anything starts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from copy import deepcopy
from difflib import get_close_matches
from typing import Any

from jsonschema import Draft202012Validator

from jobs.errors import BadParameters
from kedro_console.wire import ProjectSnapshot, SnapshotPipeline

LONGEST = 200_000  # characters of JSON
DEEPEST = 20


def nest(flat: dict[str, Any]) -> dict[str, Any]:
    """Dotted names as nested objects: `{"a.b": 1}` → `{"a": {"b": 1}}`."""
    nested: dict[str, Any] = {}
    for name, value in deepcopy(flat).items():  # groups are filled below, and must not be the caller's
        place = nested
        *path, last = name.split(".")
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise BadParameters({name: f"“{part}” is given both as a value and as a group."})
        place[last] = merge(place[last], value) if _both_groups(place.get(last), value) else value
    return nested


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, group by group."""
    merged = dict(base)
    for name, value in over.items():
        merged[name] = merge(merged[name], value) if _both_groups(merged.get(name), value) else value
    return merged


def _both_groups(one: object, other: object) -> bool:
    return isinstance(one, dict) and isinstance(other, dict)


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is not a group, by its dotted name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def check(
    given: dict[str, Any], *, picture: ProjectSnapshot | None, pipeline: SnapshotPipeline | None
) -> dict[str, Any]:
    """The given parameters, nested; BadParameters with one sentence a field."""
    _refuse_monsters(given)
    nested = nest(given)
    _refuse_monsters(nested)  # dotted names dig too
    problems = dict(_unsafe(nested))
    if picture is not None and pipeline is not None:
        problems = {**dict(unknown(nested, picture, pipeline)), **dict(_mistyped(nested, picture)), **problems}
    if problems:
        raise BadParameters(problems)
    return nested


def _refuse_monsters(given: dict[str, Any]) -> None:
    if _depth(given) > DEEPEST:
        raise BadParameters({"parameters": f"Nested deeper than {DEEPEST} groups."})
    if len(json.dumps(given, default=str)) > LONGEST:
        raise BadParameters({"parameters": f"Longer than {LONGEST:,} characters of JSON: pass the name of a file."})


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level and depth <= DEEPEST:
        depth += 1
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return depth


def _unsafe(nested: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in leaves(nested):
        for text in (name, *_texts(value)):
            if "${" in text:
                yield name, "“${…}” is configuration, not a value: give the value itself."
            if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
                yield name, "Holds a character that is not text."
        if _holds_endless(value):
            yield name, "Has to be a finite number."


def _holds_endless(value: Any) -> bool:
    if isinstance(value, list | dict):
        return any(_holds_endless(inner) for inner in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) and not math.isfinite(value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _texts(inner)


def unknown(nested: dict[str, Any], picture: ProjectSnapshot, pipeline: SnapshotPipeline) -> Iterator[tuple[str, str]]:
    """A sentence for each name that the project has no parameter of."""
    read = {name.split(".")[0] for name in pipeline.parameters}
    known = set(picture.parameters) | set(picture.runtime_parameters) | (read - {"*"})
    for name in nested:
        if name not in known and "*" not in read:
            nearest = get_close_matches(name, known, 2)
            hint = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
            yield name, f"The project has no parameter of this name.{hint}"


def _mistyped(nested: dict[str, Any], picture: ProjectSnapshot) -> Iterator[tuple[str, str]]:
    typed = set()
    for name, schema in picture.schemas.items():
        found, given = _at(nested, name)
        if found:
            typed.add(name)
            _, default = _at(picture.parameters, name)
            whole = merge(default, given) if _both_groups(default, given) else given
            yield from _against_schema(name, whole, schema)
    for name, value in (*_misplaced_groups(nested, picture.parameters), *leaves(nested)):
        found, default = _at(picture.parameters, name)
        if found and not any(name == known or name.startswith(f"{known}.") for known in typed):
            yield from _against_default(name, value, default)


def _misplaced_groups(nested: dict[str, Any], defaults: dict[str, Any], name: str = "") -> Iterator[tuple[str, Any]]:
    """Groups that stand where the project's parameters have a value that is none."""
    for key, value in nested.items():
        default = defaults.get(key)
        if isinstance(value, dict) and isinstance(default, dict):
            yield from _misplaced_groups(value, default, f"{name}{key}.")
        elif isinstance(value, dict) and default is not None:
            yield f"{name}{key}", value


def _at(nested: dict[str, Any], name: str) -> tuple[bool, Any]:
    place: Any = nested
    for part in name.split("."):
        if not isinstance(place, dict) or part not in place:
            return False, None
        place = place[part]
    return True, place


def _against_schema(name: str, value: Any, schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for error in Draft202012Validator(schema).iter_errors(value):
        yield ".".join([name, *map(str, error.absolute_path)]), f"{error.message[:300]}."


_KINDS: list[tuple[type | tuple[type, ...], str]] = [
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number"),
    (str, "text"),
    (list, "a list"),
    (dict, "a group of values"),
]


def _against_default(name: str, value: Any, default: Any) -> Iterator[tuple[str, str]]:
    """An untyped parameter keeps the kind of value that parameters.yml gives it (None allows anything)."""
    if default is None or value is None:
        return
    for kind, words in _KINDS:
        if isinstance(default, kind):
            fits = isinstance(value, kind) or (kind in (float, int) and isinstance(value, int | float))
            if not fits or (isinstance(value, bool) and kind is not bool):
                yield name, f"Has to be {words}, as in the project's parameters (there: {json.dumps(default)[:80]})."
            return
