"""Which state of a project's files this is, from the file system alone: cheap enough to look every few seconds."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Final

from jobs.models import Project
from kedro_console.wire import NEVER_SOURCES, TEMPLATES, WATCHED

MOST_FILES: Final = 20_000
_SOURCES: Final = re.compile(r"""^\s*source_dir\s*=\s*["']([^"']+)["']""", re.MULTILINE)
_CONFIGURATION: Final = re.compile(r"""^CONF_SOURCE\b.*?=\s*["']([^"']+)["']""", re.MULTILINE)


def fingerprint(project: Project) -> str:
    """Another one when a source, a configuration file, the interpreter or its installed packages changed, or are gone.

    Of this machine: another one sees the same files with other numbers.
    """
    facts = [project.path, project.interpreter, project.kedro_env, *_interpreter(Path(project.interpreter))]
    facts += sorted(islice(_project(project.folder), MOST_FILES))
    return hashlib.sha256("\n".join(facts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _interpreter(python: Path) -> Iterator[str]:
    yield _fact(python)
    for packages in sorted(python.parent.parent.glob("lib/python3*/*-packages")):
        yield _fact(packages)


def _project(folder: Path) -> Iterator[str]:
    yield str(folder.resolve())
    yield from _files(folder, None)
    seen: set[str] = set()
    for name in _folders(folder):
        yield from _files(folder / name, seen)


def _folders(folder: Path) -> Iterable[str]:
    """Where sources and configuration lie: the usual places, and what the project names instead."""
    sources = ["src", *_SOURCES.findall(_text(folder / "pyproject.toml"))]
    settings = chain.from_iterable((folder / name).glob("*/settings.py") for name in sources)
    named = chain.from_iterable(_CONFIGURATION.findall(_text(file)) for file in settings)
    return dict.fromkeys((*sources, "conf", *named))


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""


def _files(folder: Path, seen: set[str] | None) -> Iterator[str]:
    """The watched files here, and below unless `seen` is None: the folders that were looked at, links resolved."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            real = os.path.realpath(entry.path)
            if seen is not None and entry.name not in NEVER_SOURCES and real not in seen:
                seen.add(real)
                yield from _files(Path(entry.path), seen)
        elif entry.name.endswith((*WATCHED, *TEMPLATES)):
            yield _fact(Path(entry.path))


def _fact(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        return f"{path}: gone"
    return f"{path}:{stat.st_mtime_ns}:{stat.st_size}:{stat.st_ino}"
