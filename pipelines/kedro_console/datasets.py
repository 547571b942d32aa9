"""The catalog as the pipelines use it: every dataset's resolved entry, and what it lacks. Nothing is instantiated."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator
from typing import Any

from kedro_console import wire
from kedro_console.configuration import Configuration
from kedro_console.dependencies import missing_for_dataset, missing_for_path
from kedro_console.problems import Problems, install, missing_module, missing_package

IN_MEMORY = "MemoryDataset"
PATHS = ("filepath", "path", "url")
_USER = re.compile(r"(?<=://)(?:[^/?#]*@|[^/?#@:]*:(?!\d+(?:[/?#]|$))[^@]*@)")
_PLACEHOLDER = re.compile(r"\{.*?\}")

Entry = dict[str, Any]


def read(configuration: Configuration, used: Iterable[str], is_lazy: bool, problems: Problems) -> list[wire.SnapshotDataset]:
    """Every dataset of the catalog and of the pipelines; `is_lazy`: Kedro makes only those that a run uses."""
    entries = resolve(configuration.catalog or {}, used, problems)
    names = set(used)
    classes = _Classes(problems)
    found = []
    for name, entry in sorted(entries.items()):
        classes.check(name, entry, must_import=name in names or not is_lazy)
        _check_credentials(name, entry, configuration, problems)
        found.append(_picture(name, entry, classes.of(entry)))
    absent = [wire.SnapshotDataset(name, IN_MEMORY) for name in names - set(entries)]
    return sorted((*found, *absent), key=lambda dataset: dataset.name)


# ---- resolving -----------------------------------------------------------------------------------


def resolve(catalog: dict[str, Any], used: Iterable[str], problems: Problems) -> dict[str, Entry]:
    """The catalog's own entries, and one made from a factory pattern for every used dataset that matches."""
    entries = {name: entry for name, entry in catalog.items() if not _is_pattern(name)}
    patterns = _sorted_patterns(name for name in catalog if _is_pattern(name))
    for name in used:
        pattern = next((each for each in patterns if _match(each, name) is not None), None)
        if name not in entries and pattern is not None:
            with problems.caught(f"dataset:{name}", f"The catalog pattern '{pattern}' does not fit '{name}'"):
                entries[name] = _filled(copy.deepcopy(catalog[pattern]), _match(pattern, name) or {})
    return {name: entry for name, entry in entries.items() if _is_entry(name, entry, problems)}


def _is_pattern(name: str) -> bool:
    return "{" in name


def _sorted_patterns(patterns: Iterable[str]) -> list[str]:
    """The most specific first, as Kedro tries them."""
    return sorted(patterns, key=lambda each: (-len(_PLACEHOLDER.sub("", each)), -each.count("{"), each))


def _match(pattern: str, name: str) -> dict[str, Any] | None:
    from parse import parse

    found = parse(pattern, name)
    return None if found is None else dict(found.named)


def _filled(value: Any, names: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(part, names) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, names) for part in value]
    return value.format_map(names) if isinstance(value, str) and "}" in value else value


def _is_entry(name: str, entry: Any, problems: Problems) -> bool:
    if isinstance(entry, dict) and entry.get("type"):
        return True
    problems.error(f"dataset:{name}", f"The catalog entry '{name}' has no type: add one, like type: pandas.CSVDataset.")
    return False


# ---- classes -------------------------------------------------------------------------------------


class _Classes:
    """Dataset classes by the type's text, each imported once."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._known: dict[str, tuple[Any, Exception | None]] = {}

    def of(self, entry: Entry) -> Any:
        """The class; None when it cannot be imported."""
        return self._load(entry["type"])[0]

    def check(self, name: str, entry: Entry, must_import: bool) -> None:
        """Names what the dataset's types and path need and do not find."""
        say = self._problems.error if must_import else self._problems.warning
        for kind in _types(entry):
            cls, error = self._load(kind)
            if error is not None:
                say(*_unusable(name, kind, error))
            elif must_import:
                for package in missing_for_dataset(cls):
                    self._problems.warning(f"dependency:{package}", _needs(name, kind, package, "usually needs"))
        for package in missing_for_path(_path(entry)):
            say(f"dependency:{package}", _needs(name, _path(entry), package, "needs"))

    def _load(self, kind: Any) -> tuple[Any, Exception | None]:
        from kedro.io.core import parse_dataset_definition

        if str(kind) not in self._known:
            try:
                self._known[str(kind)] = parse_dataset_definition({"type": kind})[0], None
            except Exception as error:  # noqa: BLE001  (modules of datasets may raise anything)
                self._known[str(kind)] = None, error
        return self._known[str(kind)]


def _types(entry: Entry) -> Iterator[Any]:
    """The dataset's type and those of datasets inside it (partitions, caches)."""
    yield entry["type"]
    inside = entry.get("dataset")
    if isinstance(inside, str):
        yield inside
    elif isinstance(inside, dict) and inside.get("type"):
        yield from _types(inside)


def _unusable(name: str, kind: Any, error: Exception) -> tuple[str, str]:
    """(subject, sentence) for a type that cannot be imported."""
    missing = missing_for_dataset(kind) or [each for each in [missing_module(error)] if each and each not in str(kind)]
    if missing:
        return f"dependency:{missing[0]}", _needs(name, kind, " ".join(missing), "needs")
    return f"dataset:{name}", _unknown(name, kind, error)
