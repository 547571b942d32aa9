"""A run goes on with the code that it began with: what its host was loaded from is kept as text.

A child imports sources that it has not imported yet from that text, also when the file was changed or deleted since.
When its host is known to be older than what is there, the child refuses what came later, reads the configuration that
was there when the host was loaded, and shows the lines of the code that it runs.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from kedro_console.project import record

MOST_BYTES = 32 * 1024 * 1024
LARGEST_FILE = 1024 * 1024
MODULES = tuple(importlib.machinery.all_suffixes())


class CodeChanged(ImportError):
    """What would be imported is younger than the run."""


class Kept:
    """The texts of one host, taken when it was loaded; its children share them."""

    def __init__(self, sources: Iterable[str], configuration: str) -> None:
        self.since = time.time()
        sources = [path for path in sources if path.endswith(".py")]
        self._signatures = {path: record.signature(path) for path in sources}
        self.texts = dict(_texts(sources))
        self._names = {_module_name(path) for path in self.texts}
        self._configuration, self._conf = configuration, dict(_texts(_below(configuration)))
        self._folders = [place for place, _, _ in os.walk(configuration)]
        self.conf_folder = ""
        """Where the kept configuration lies, once it is no longer the project's."""
        self.is_old = False

    def retire(self, folder: Path) -> None:
        """From now on the files are not what they were; the configuration is laid out below `folder`, for us alone."""
        self.is_old = True
        _clear(folder)
        place = folder / f"kept-{os.getpid()}"
        for path in self._folders:
            (place / os.path.relpath(path, self._configuration)).mkdir(parents=True, exist_ok=True, mode=0o700)
        for path, text in self._conf.items():
            target = place / os.path.relpath(path, self._configuration)
            target.touch(mode=0o600)
            target.write_bytes(text)
        self.conf_folder = str(place) if self._folders else ""

    def clean(self) -> None:
        if self.conf_folder:
            _remove(Path(self.conf_folder))

    def serve(self) -> None:
        """In a child: from now on imports come from here."""
        sys.meta_path.insert(0, _Finder(self))
        if self.is_old:
            for path, text in self.texts.items():
                lines = text.decode("utf-8", "replace").splitlines(keepends=True)
                linecache.cache[path] = (len(text), None, lines, path)
            self._use_conf()

    def may_have(self, name: str) -> bool:
        """Whether a module of this name, without its packages', could be among the texts; asked at every import."""
        return self.is_old or name in self._names

    def is_as_read(self, path: str) -> bool:
        return record.signature(path) == self._signatures[path]

    def _use_conf(self) -> None:
        if self.conf_folder:
            from kedro.framework.project import settings

            settings.set("CONF_SOURCE", self.conf_folder)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        """Own modules from the kept text; None leaves the module to Python. CodeChanged for what came later."""
        last = name.rpartition(".")[2]
        if not self._kept.may_have(last):
            return None
        for folder in path if path is not None else sys.path:
            base = os.path.join(os.path.abspath(folder or os.curdir), last)
            if record.is_own(base):
                file, places = self._kept_at(base)
                if file:
                    return self._spec(name, file, places)
                self._refuse_newer(base)
            elif path is None and _is_there(base):
                break  # an installed module of that name comes first
        return self._installed(name, path) if self._kept.is_old and name not in sys.builtin_module_names else None

    def _kept_at(self, base: str) -> tuple[str, list[str] | None]:
        """(the file of the module as it was kept, where its submodules are); ("", None) for none."""
        for file, places in ((os.path.join(base, "__init__.py"), [base]), (f"{base}.py", None)):
            for known in (file, os.path.realpath(file)) if self._kept.is_old else (file,):
                if known in self._kept.texts:
                    return known, places
        return "", None

    def _spec(self, name: str, file: str, places: list[str] | None) -> Any:
        """None while the file is as it was: what Python has compiled of it is quicker."""
        if self._kept.is_as_read(file):
            return None
        loader = _Loader(name, file, self._kept.texts[file])
        return importlib.util.spec_from_file_location(name, file, loader=loader, submodule_search_locations=places)

    def _refuse_newer(self, base: str) -> None:
        if not self._kept.is_old:
            return
        for file in (os.path.join(base, "__init__.py"), *(base + suffix for suffix in MODULES)):
            if os.path.isfile(file):
                raise CodeChanged(f"{file} came after this run began; run again.")

    def _installed(self, name: str, path: Sequence[str] | None) -> Any:
        found = importlib.machinery.PathFinder.find_spec(name, path)
        if found is None or not found.has_location or not record.is_installed(str(found.origin)):
            return None
        if os.stat(str(found.origin)).st_ctime > self._kept.since:
            raise CodeChanged(f"{found.origin} changed after this run began; run again.")
        return found


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles the kept text; nothing compiled is read or written."""

    def __init__(self, name: str, path: str, text: bytes) -> None:
        super().__init__(name, path)
        self._text = text

    def get_data(self, path: Any) -> bytes:
        return self._text if str(path) == self.path else super().get_data(path)

    def path_stats(self, path: Any) -> Any:
        raise OSError(f"{path} is a text in memory.")


def _module_name(path: str) -> str:
    folder, file = os.path.split(path)
    return os.path.basename(folder) if file == "__init__.py" else os.path.splitext(file)[0]


def _texts(paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    left = MOST_BYTES
    for path in paths:
        try:
            if os.path.getsize(path) > min(LARGEST_FILE, left):
                continue
            with open(path, "rb") as file:
                text = file.read()
        except OSError:
            continue
        left -= len(text)
        yield path, text


def _below(folder: str) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        yield from (os.path.join(place, name) for name in names)


def _is_there(base: str) -> bool:
    return any(os.path.exists(file) for file in (base, *(base + suffix for suffix in MODULES)))


def _clear(folder: Path) -> None:
    """Removes what a host that was killed left there."""
    for place in folder.glob("kept-*"):
        if not Path("/proc", place.name.partition("-")[2]).exists():
            _remove(place)


def _remove(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
