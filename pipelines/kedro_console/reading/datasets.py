"""The catalog as the pipelines use it: every dataset's resolved entry, and what it lacks. Nothing is instantiated."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from kedro_console import wire
from kedro_console.reading.configuration import Configuration
from kedro_console.reading.dependencies import Unusable, dataset_class, missing_engines, missing_for_path
from kedro_console.reading.file_databases import database_of
from kedro_console.words.problems import Problems, mend

IN_MEMORY = "MemoryDataset"
PATHS = ("filepath", "path", "url")
_USER = re.compile(r"(?<=://)(?:[^/?#]*@|[^/?#@:]*:(?!\d+(?:[/?#]|$)).*@)")
_PLACEHOLDER = re.compile(r"\{.*?\}")

Entry = dict[str, Any]


def read(
    configuration: Configuration, used: Iterable[str], is_lazy: bool, problems: Problems
) -> list[wire.SnapshotDataset]:
    """Every dataset of the catalog and of the pipelines; `is_lazy`: Kedro makes only those that a run uses."""
    entries = resolve(configuration.catalog or {}, used, problems)
    names = set(used)
    classes = _Classes(problems)
    found = []
    for name, entry in sorted(entries.items()):
        classes.check(name, entry, must_import=name in names or not is_lazy)
        _check_credentials(name, entry, configuration, problems)
        found.append(_picture(name, entry, classes.of(entry), configuration))
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
    from parse import parse  # type: ignore[import-untyped]

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


# ---- what a dataset needs --------------------------------------------------------------------------


class _Classes:
    """Dataset classes by the type's text, each imported once."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._known: dict[str, Any] = {}

    def of(self, entry: Entry) -> Any:
        """The class; None when it cannot be imported."""
        found = self._load(entry["type"])
        return None if isinstance(found, Unusable) else found

    def check(self, name: str, entry: Entry, must_import: bool) -> None:
        """Names what the dataset's types and path need and do not find."""
        say = self._problems.error if must_import else self._problems.warning
        for kind, inner in _types(entry):
            found = self._load(kind)
            if isinstance(found, Unusable):
                say(*_unusable(name, kind, found, self._problems))
            elif must_import:
                for package in missing_engines(found, inner):
                    verb, tell = ("needs", say) if "backend" in inner else ("usually needs", self._problems.warning)
                    tell(f"dependency:{package}", _needs(name, kind, verb, package))
        package = missing_for_path(str(entry.get("filepath") or entry.get("path") or ""))
        if package:
            say(f"dependency:{package}", _needs(name, path_of(entry), "needs", package))

    def _load(self, kind: Any) -> Any:
        key = str(kind)
        if key not in self._known:
            try:
                self._known[key] = dataset_class(kind)
            except Unusable as error:
                self._known[key] = error
        return self._known[key]


def _types(entry: Entry) -> Iterator[tuple[Any, Entry]]:
    """The dataset's type and those of datasets inside it (partitions, caches), each with its entry."""
    yield entry["type"], entry
    inside = entry.get("dataset")
    if isinstance(inside, str):
        yield inside, {}
    elif isinstance(inside, dict) and inside.get("type"):
        yield from _types(inside)


def _unusable(name: str, kind: Any, error: Unusable, problems: Problems) -> tuple[str, str]:
    """(subject, sentence) for a type that cannot be imported."""
    if error.packages:
        return f"dependency:{error.packages[0]}", _needs(name, kind, "needs", *error.packages)
    why = str(error)
    if problems.owns(str(kind)) and why.startswith("no such"):
        why = f"the project has no module '{str(kind).rpartition('.')[0]}'"
    remedy = "install it, or correct the type" if why.endswith("not installed") else "correct the type"
    return (
        f"dataset:{name}",
        f"The dataset '{name}' has the type '{kind}', but {why}: {remedy} in the catalog, or that module.",
    )


def _needs(name: str, what: Any, verb: str, *packages: str) -> str:
    listed = ", ".join(f"'{package}'" for package in packages)
    return f"The dataset '{name}' ({what}) {verb} the package {listed}, which is missing: {mend(*packages)}."


def _check_credentials(name: str, entry: Entry, configuration: Configuration, problems: Problems) -> None:
    if configuration.credentials is None:
        return
    say = problems.warning if configuration.may_change else problems.error
    unless = ", unless a hook of the project provides it" if configuration.may_change else ""
    for key in sorted(set(_credentials(entry)) - set(configuration.credentials)):
        say(
            f"credentials:{key}",
            f"The dataset '{name}' asks for the credentials '{key}', which are not defined: "
            f"add '{key}' to {configuration.local}/credentials.yml{unless}.",
        )


def _credentials(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            if key == "credentials" and isinstance(part, str):
                yield part
            yield from _credentials(part)


# ---- pictures ------------------------------------------------------------------------------------


def _picture(name: str, entry: Entry, cls: Any, configuration: Configuration) -> wire.SnapshotDataset:
    return wire.SnapshotDataset(
        name=name,
        type=str(entry["type"]),
        path=path_of(entry),
        is_persisted=not _is_in_memory(entry, cls),
        is_versioned=bool(entry.get("versioned") or getattr(cls, "versioned", False)),
        database=database_of(entry, configuration.credentials),
        entry=_digest(entry),
    )


def _digest(entry: Entry) -> str:
    """Changes with the entry, which names its credentials and does not hold them."""
    named = {key: value for key, value in entry.items() if key != "credentials" or isinstance(value, str)}
    plain = json.dumps(named, sort_keys=True, default=repr)
    return wire.UNKNOWN if " at 0x" in plain else hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()[:32]


def path_of(entry: Entry) -> str:
    """Where the dataset lies, without user, password or query of a URL; "" when the entry names no path."""
    path = next((str(entry[key]) for key in PATHS if entry.get(key)), "")
    if "://" not in path:
        return path
    return _USER.sub("", path).partition("?")[0]


def _is_in_memory(entry: Entry, cls: Any) -> bool:
    inside = entry.get("dataset")
    if _last(entry["type"]).startswith("CachedData") and inside:
        return _is_in_memory(inside if isinstance(inside, dict) else {"type": inside}, None)
    return bool(getattr(cls, "_EPHEMERAL", False)) or _last(entry["type"]).lower() == "memorydataset"


def _last(kind: Any) -> str:
    return str(kind).rpartition(".")[2]
