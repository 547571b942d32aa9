"""Which packages a dataset needs and the interpreter lacks, found without making the dataset."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from collections.abc import Iterator
from typing import Any

from kedro_console.problems import missing_module, package_of

PREFIXES = ("kedro.io.", "kedro_datasets.", "kedro.extras.datasets.", "")
"""Where Kedro looks for a type like `pandas.CSVDataset`, in this order."""

BY_PATH_ONLY = frozenset({"s3fs", "hdfs", "gcsfs", "adlfs", "pyodbc"})
"""Listed for some datasets, and needed for some of their paths or databases only."""

_REQUIREMENT = re.compile(r"^\s*([\w.-]+)\s*(?:\[([\w.,\s-]+)\])?[^;]*;\s*extra\s*==\s*[\"']([\w.-]+)[\"']\s*$")


class Unusable(Exception):
    """A dataset's type cannot be imported. `packages` names what is missing, when that is the reason."""

    def __init__(self, packages: list[str], reason: str = "") -> None:
        super().__init__(reason)
        self.packages = packages


def dataset_class(kind: Any) -> Any:
    """The class that Kedro makes of a catalog entry's type; raises Unusable with the reason."""
    if not isinstance(kind, str):
        return kind
    for prefix in PREFIXES:
        cls = _class_at(prefix + kind)
        if cls is not None:
            return cls
    if kind.count(".") == 1 and not _is_distributed("kedro-datasets"):
        raise Unusable([f"kedro-datasets[{kind.replace('.', '-').lower()}]"])
    raise Unusable([], "no such class is found")


def _class_at(path: str) -> Any:
    """The class at exactly this path, None when there is no such module or name; Unusable when it cannot be loaded."""
    name, _, cls = path.rpartition(".")
    try:
        return getattr(importlib.import_module(name), cls, None) if name else None
    except (Exception, SystemExit) as error:
        module = missing_module(error)
        if module and f"{name}.".startswith(f"{module}."):
            return None
        if module:
            raise Unusable([package_of(module)]) from error
        raise Unusable([], f"importing it raises {type(error).__name__}: {error}") from error


def missing_extras(cls: Any) -> list[str]:
    """Packages that kedro-datasets lists for this class and that are not installed."""
    family, _, rest = cls.__module__.partition(".")
    if family != "kedro_datasets":
        return []
    extra = f"{rest.split('.')[0]}-{cls.__name__.lower()}"
    needed = set(_needed(extra, _requirements(), set()))
    return sorted(name for name in needed - BY_PATH_ONLY if not _is_distributed(name))


def _needed(extra: str, requirements: list[tuple[str, str, str]], seen: set[str]) -> Iterator[str]:
    if extra in seen:
        return
    seen.add(extra)
    for name, extras, condition in requirements:
        if condition == extra and name == "kedro-datasets":
            for inner in extras.split(","):
                yield from _needed(inner.strip(), requirements, seen)
        elif condition == extra:
            yield name


def _requirements() -> list[tuple[str, str, str]]:
    """(package, its extras, the extra of kedro-datasets that asks for it), those with other conditions left out."""
    lines = importlib.metadata.requires("kedro-datasets") or [] if _is_distributed("kedro-datasets") else []
    found = (_REQUIREMENT.match(line) for line in lines)
    return [(each.group(1), each.group(2) or "", each.group(3)) for each in found if each]


def _is_distributed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def missing_for_path(path: str) -> str:
    """The package that reads this kind of path ("s3://…" → "s3fs") when it is not installed; else ""."""
    protocol, mark, _ = path.partition("://")
    if not mark:
        return ""
    import fsspec

    try:
        fsspec.get_filesystem_class(protocol.split("::")[-1])
    except ValueError:  # not a protocol of fsspec's: the dataset knows what to do with it
        return ""
    except ImportError as error:
        return package_of(missing_module(error) or protocol)
    return ""
