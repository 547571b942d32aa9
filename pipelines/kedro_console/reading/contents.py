"""What a node's outputs follow from besides its inputs: the project's files behind its function, and what it carries.

Libraries count by their version; data that a function reads by itself is not seen.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from kedro_console import wire
from kedro_console.project import revision
from kedro_console.words.failures import LIBRARIES, OURS


class Sources:
    """The files of a project behind its functions; each module is read once."""

    def __init__(self, project_path: Path) -> None:
        self._root = project_path.resolve()
        self._imports: dict[str, set[str]] = {}

    def of(self, function: Any) -> list[str] | None:
        """The file of the function's module, those it imports and so on, relative to the project, with what lies
        beside them; [] for a library's function, None when some of it is neither the project's nor a library's."""
        named = function if hasattr(function, "__module__") else type(function)
        waiting, seen = [str(named.__module__)], set()
        found: set[Path] = set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            path = self._file(name)
            if path is None or _is_library(path):
                continue
            if self._root not in path.parents:
                return None
            found |= {path, *_beside(path)}
            waiting.extend(self._imported(name, path))
        return sorted(path.relative_to(self._root).as_posix() for path in found)

    def _file(self, module: str) -> Path | None:
        """Where this module's text lies; also of one that is imported only when it is needed."""
        known = sys.modules.get(module)
        if known is not None:
            file = getattr(known, "__file__", None)
            return Path(file).resolve() if file else None
        parent, _, last = module.rpartition(".")
        package = self._file(parent) if parent else None
        if package is None or package.name != "__init__.py" or _is_library(package):
            return None
        places = (package.parent / f"{last}.py", package.parent / last / "__init__.py")
        return next((path for path in places if path.is_file()), None)

    def _imported(self, module: str, path: Path) -> set[str]:
        if module not in self._imports:
            try:
                tree = ast.parse(path.read_bytes())
            except (OSError, SyntaxError, ValueError):
                tree = ast.Module([], [])
            package = module if path.name == "__init__.py" else module.rpartition(".")[0]
            names = {name for node in ast.walk(tree) for name in _names(node, package)}
            self._imports[module] = {part for name in [*names, module] for part in _with_parents(name)}
        return self._imports[module]


def _names(node: ast.AST, package: str) -> Iterator[str]:
    """The modules that this statement may import."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")
        base = ".".join(above[: len(above) - node.level + 1]) if node.level else ""
        base = ".".join(filter(None, [base, node.module or ""]))
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


def _with_parents(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]


def _is_library(path: Path) -> bool:
    text = str(path)
    return text.startswith((*LIBRARIES, OURS)) or "/site-packages/" in text or not text.endswith(".py")


def _beside(path: Path) -> Iterator[Path]:
    """Queries, templates and settings in a module's own folder."""
    for other in path.parent.iterdir():
        if other.suffix in revision.SUFFIXES and other.suffix != ".py" and other.is_file():
            yield other


# ---- what a function carries with it -----------------------------------------------------------------


def bound(function: Any) -> str:
    """A digest of the function's defaults, closure and fixed arguments; wire.UNKNOWN for what has no lasting text."""
    text = "\n".join(_parts(function))
    return wire.UNKNOWN if " at 0x" in text else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _parts(function: Any) -> Iterator[str]:
    if isinstance(function, functools.partial):
        yield _text((function.args, function.keywords))
        yield from _parts(function.func)
    elif hasattr(function, "__wrapped__"):
        yield from _carried(function)
        yield from _parts(function.__wrapped__)
    else:
        yield from _carried(function)


def _carried(function: Any) -> Iterator[str]:
    """Of a function what it has, of a method or an object with __call__ that object."""
    owner = getattr(function, "__self__", None)
    if owner is not None and not isinstance(owner, (type, ModuleType)):
        yield _text(owner)
    inner = getattr(function, "__func__", function)
    if not hasattr(inner, "__code__"):
        yield _text(inner)
        return
    yield _text((inner.__defaults__, inner.__kwdefaults__))
    for cell in inner.__closure__ or ():
        try:
            yield _text(cell.cell_contents)
        except ValueError:  # not filled yet
            yield "empty"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return _text([(key, value[key]) for key in value])
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_text, value))}]"
    if inspect.isroutine(value) or inspect.isclass(value):
        return f"{getattr(value, '__module__', '')}.{value.__qualname__}"
    return f"module {value.__name__}" if inspect.ismodule(value) else repr(value)


# ---- digests -----------------------------------------------------------------------------------------


def digests(project_path: Path, conf: Path) -> tuple[dict[str, str], list[str]]:
    """(file, relative to the project → SHA-256: the sources and the configuration; the folders of these files).

    Empty when the configuration is outside of the project: its changes would go unnoticed.
    """
    if project_path not in conf.parents:
        return {}, []
    folders = list(dict.fromkeys((revision.source_folder(project_path), conf.relative_to(project_path).as_posix())))
    found = {file: wire.sha256_of(project_path / file) for file in wire.watched_files(project_path, folders)}
    return found, folders
