"""Check the runtime parameters of a run before anything starts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from jsonschema import Draft202012Validator

from jobs.errors import BadParameters, did_you_mean, nearest_of
from jobs.structure.paths import Path, at, leaves, merge, named, nested, parsed, places, text_of, written
from jobs.structure.values import fitted, is_secret, plain
from kedro_console.wire import (
    HIDDEN,
    Group,
    Json,
    Key,
    ProjectSnapshot,
    SnapshotPipeline,
    Value,
    hidden,
    kind_of,
    marked,
    secret_places,
)

LONGEST = 200_000  # characters of JSON
DEEPEST = 20

Problem = tuple[Path, str]
"""What is wrong with the parameter at this path, as a sentence."""


def settled(given: Group, known: Group) -> dict[Key, Value]:
    """What a person gave, as nested groups with the project's own keys.

    Names at the top may lead further down, as text does; below them keys are keys.
    """
    return nested(
        (path, _with_keys_of(value, at(known, path)[1]))
        for name, value in given.items()
        for path in [parsed(name, known) if isinstance(name, str) else (name,)]
    )


def _with_keys_of(value: Value, known: Value) -> Value:
    """JSON's keys are text; the project's may be numbers."""
    if not isinstance(value, dict) or not isinstance(known, dict):
        return value
    other = {text_of(key): key for key in known if not isinstance(key, str) and text_of(key) not in known}
    keys = {key: other.get(key, key) for key in value}
    return {keys[key]: _with_keys_of(inner, known.get(keys[key])) for key, inner in value.items()}


def as_given(settled: Group) -> dict[Key, Value]:
    """Nested groups so that `settled` makes the same of them whatever the project is like by then."""
    return {written((key,)) if isinstance(key, str) else key: value for key, value in settled.items()}


def check(
    given: Group,
    *,
    picture: ProjectSnapshot | None,
    pipeline: SnapshotPipeline | None,
    defaults: Group | None = None,
) -> dict[Key, Value]:
    """The given parameters laid on the pipeline's own, nested; BadParameters with one sentence a field."""
    known = picture.parameters if picture is not None else {}
    _refuse_monsters(given)
    asked = settled(given, known)
    whole = merge(settled(defaults or {}, known), asked)
    _refuse_monsters(whole)  # dotted names dig too
    whole, misfits = _fitted(whole, known)
    whole = marked(whole, secret_places(picture.schemas)) if picture is not None else whole
    problems = {**misfits, **dict(_unsafe(asked))}
    if picture is not None and pipeline is not None:
        problems = {**dict(unknown(whole, picture, pipeline)), **dict(_mistyped(whole, picture)), **problems}
    if problems:
        raise BadParameters({named(path, known): sentence for path, sentence in problems.items()})
    return whole


def _fitted(whole: dict[Key, Value], known: Group) -> tuple[dict[Key, Value], dict[Path, str]]:
    """The same with the kinds of the project's values, and what cannot be of that kind."""
    fits: list[tuple[Path, Value]] = []
    misfits: dict[Path, str] = {}
    for path, value in leaves(whole, with_empty=True):
        found, default = at(known, path)
        try:
            fits.append((path, fitted(value, default) if found else value))
        except ValueError as error:
            misfits[path] = str(error)
    return nested(fits), misfits


def _refuse_monsters(given: Group) -> None:
    if _depth(given) > DEEPEST:
        raise BadParameters({"parameters": f"Nested deeper than {DEEPEST} groups."})
    if len(json.dumps(given, default=str, skipkeys=True)) > LONGEST:
        raise BadParameters({"parameters": f"Longer than {LONGEST:,} characters of JSON: pass the name of a file."})


def _depth(value: Value) -> int:
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


def _unsafe(whole: dict[Key, Value]) -> Iterator[tuple[Path, str]]:
    for path, value in leaves(whole):
        for text in (*map(text_of, path), *_texts(value)):
            if "${" in text:
                yield path, "“${…}” is configuration, not a value: give the value itself."
            if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
                yield path, "Contains a character that is not valid text."
        if isinstance(value, str) and HIDDEN in value and hidden(value) == value and is_secret(path, value):
            yield path, f"“{HIDDEN}” only stands for the secret: give the value itself, or leave it out."


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _texts(inner)


def unknown(whole: Group, picture: ProjectSnapshot, pipeline: SnapshotPipeline) -> Iterator[Problem]:
    """A sentence for each name that the project has no parameter of."""
    read = {first for name in pipeline.parameters for first in (name, name.split(".")[0])}
    known = {*map(text_of, picture.parameters), *(name.split(".")[0] for name in picture.runtime_parameters)}
    for key in map(text_of, whole):
        if key not in known | read and "*" not in read:
            hint = did_you_mean(nearest_of(key, known | read, 2, 0.6))
            yield (key,), f"The project has no parameter of this name.{hint}"


def _mistyped(whole: dict[Key, Value], picture: ProjectSnapshot) -> Iterator[Problem]:
    typed: set[Path] = set()
    for name, schema in picture.schemas.items():
        for path in places(whole, name):
            typed.add(path)
            _, default = at(picture.parameters, path)
            _, given = at(whole, path)
            yield from _against_schema(path, _laid_on(default, given), schema)
    for path, value in (*_misplaced_groups(whole, picture.parameters), *leaves(whole)):
        found, default = at(picture.parameters, path)
        if found and not any(path[: len(above)] == above for above in typed):
            yield from _against_default(path, value, default)


def _laid_on(default: Value, given: Value) -> Value:
    return merge(default, given) if isinstance(default, dict) and isinstance(given, dict) else given


def _misplaced_groups(
    whole: dict[Key, Value], defaults: dict[Key, Value], above: Path = ()
) -> Iterator[tuple[Path, Group]]:
    """Groups that stand where the project's parameters have a value that is none."""
    for key, value in whole.items():
        default = defaults.get(key)
        if isinstance(value, dict) and isinstance(default, dict):
            yield from _misplaced_groups(value, default, (*above, key))
        elif isinstance(value, dict) and default is not None:
            yield (*above, key), value


def _against_schema(path: Path, value: Value, schema: dict[str, Json]) -> Iterator[Problem]:
    for error in Draft202012Validator(schema).iter_errors(plain(value, has_endless=True)):
        place = (*path, *error.absolute_path)
        if is_secret(place, _there(value, tuple(error.absolute_path))):
            yield place, f"Does not match its type ({error.validator})."
        else:
            yield place, f"{error.message[:300]}."
    for inner, number in leaves(value):
        if isinstance(number, float) and not math.isfinite(number):
            yield (*path, *inner), "Has to be a finite number."


def _there(value: Value, path: Path) -> Value:
    """What is at this path, or the list that has it, with the marks that a schema does not see."""
    for key in path:
        if not isinstance(value, dict):
            break
        value = value.get(key)
    return value


_KINDS: list[tuple[type | tuple[type, ...], str]] = [
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number"),
    (str, "text"),
    (list, "a list"),
    (dict, "a group of values"),
]


def _against_default(path: Path, value: Value, default: Value) -> Iterator[Problem]:
    """An untyped parameter keeps the kind of value that parameters.yml gives it (None allows anything)."""
    if default is None or value is None or kind_of(default) not in ("", "number"):
        return
    for kind, words in _KINDS:
        if isinstance(default, kind):
            fits = isinstance(value, kind) or (kind in (float, int) and isinstance(value, int | float))
            if not fits or (isinstance(value, bool) and kind is not bool):
                there = "" if is_secret(path, default) else f" (there: {json.dumps(plain(default))[:80]})"
                yield path, f"Has to be {words}, as in the project's parameters{there}."
            return
