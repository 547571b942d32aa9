"""Read what a person typed: parameters as YAML, names in lists."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

from console.forms import yaml_values
from jobs.errors import BadParameters
from jobs.structure.parameters import as_given, settled
from jobs.structure.paths import Path, merge, named, nested, split


def parameters(pairs: list[str], file: str, known: dict[Any, Any]) -> dict[Any, Any]:
    """The parameters of `--params-file`, over them those of each `--param name=value`; `known` are the project's."""
    try:
        whole = settled(_of_file(pathlib.Path(file)), known) if file else {}
        for pair in pairs:
            path, value = _of_pair(pair, known)
            whole = merge(whole, nested([(path, value)]))
        return as_given(whole)
    except RecursionError as error:
        raise BadParameters({"parameters": "Nested too deeply."}) from error


def _of_pair(pair: str, known: dict[Any, Any]) -> tuple[Path, Any]:
    found = split(pair, known)
    if found is None or pair.startswith("="):
        raise BadParameters({pair: "Write --param name=value."})
    path, text = found
    return path, _value(named(path, known), text) if text else ""


def _value(name: str, text: str) -> Any:
    try:
        return _plain(name, yaml_values.read(text))
    except ValueError as error:
        sentence = f"“{text[:80]}” is not YAML ({error}): put text with odd characters in quotes."
        raise BadParameters({name: sentence}) from error


def _of_file(file: pathlib.Path) -> dict[Any, Any]:
    try:
        content = yaml_values.read(file.read_text("utf-8"))  # JSON is YAML
    except OSError as error:
        raise BadParameters({"--params-file": f"{file} could not be read: {error.strerror}."}) from error
    except ValueError as error:  # also what is no UTF-8
        raise BadParameters({"--params-file": f"{file} is neither YAML nor JSON: {error}."}) from error
    if not isinstance(content, dict):
        raise BadParameters({"--params-file": f"{file} has to hold names with values, as parameters.yml does."})
    plain: dict[Any, Any] = _plain("--params-file", content)
    return plain


def _plain(name: str, value: Any) -> Any:
    """What a parameter can be; the tags of YAML that make other things are refused."""
    if isinstance(value, dict):
        return {key: _plain(name, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(name, inner) for inner in value]
    if value is None or isinstance(value, str | int | float | bytes):
        return value
    raise BadParameters({name: f"A {type(value).__name__} is no parameter: write text, numbers, lists or groups."})


def names(given: list[str]) -> list[str]:
    """`["a,b", "c"]` → `["a", "b", "c"]`; a comma inside the brackets of a node's name does not separate."""
    parts = (part.strip() for text in given for part in _parts(text))
    return [part for part in parts if part]


def _parts(text: str) -> Iterator[str]:
    start = depth = 0
    for place, character in enumerate(text):
        depth = max(0, depth + (character in "([") - (character in ")]"))
        if character == "," and not depth:
            yield text[start:place]
            start = place + 1
    yield text[start:]


def versions(given: list[str]) -> dict[str, str]:
    """`["a:1,b:2"]` → `{"a": "1", "b": "2"}`."""
    found = {}
    for pair in names(given):
        dataset, sign, version = pair.partition(":")
        if not (dataset and sign and version):
            raise BadParameters({"--load-versions": f"Write --load-versions DATASET:VERSION, not “{pair[:80]}”."})
        found[dataset.strip()] = version.strip()
    return found
