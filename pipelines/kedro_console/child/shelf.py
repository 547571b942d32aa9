"""Where a run's store lies: a folder, or an address that the project's own fsspec opens.

As a command (`python -m kedro_console.child.shelf list|copy|drop …`) it answers the console, which knows no fsspec
and has none of the project's credentials.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from kedro_console.project import warm

WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "memory"})
"""Stores in which an object appears whole or not at all; elsewhere a file is given its name when it is complete."""


class Shelf(Protocol):
    """Keeps files by name; what is put there appears in one moment."""

    address: str

    def open(self) -> None: ...

    def mark(self, name: str) -> Any:
        """What tells this file from a later one of its name; None when that cannot be told cheaply."""

    def has(self, name: str) -> bool: ...

    @contextmanager
    def new(self, name: str) -> Iterator[Path]:
        """A local file to write; it is on the shelf when the block ends well."""

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """The file, to be read; FileNotFoundError when it is not there."""


def shelf(place: str) -> Shelf:
    return Remote(place) if "://" in place else Folder(Path(place))


class Folder:
    """Files of a folder that all workers of the run see."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.address = str(folder)

    def open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)

    def mark(self, name: str) -> Any:
        try:
            found = (self._folder / name).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def has(self, name: str) -> bool:
        return (self._folder / name).exists()

    @contextmanager
    def new(self, name: str) -> Iterator[Path]:
        part = self._folder / f".{uuid.uuid4().hex}.part"
        try:
            yield part
            part.replace(self._folder / name)
            sync(self._folder)
        finally:
            part.unlink(missing_ok=True)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        yield self._folder / name


class Remote:
    """Objects below an address, opened when first used: a process must not inherit what another has opened."""

    def __init__(self, url: str) -> None:
        self._url = self.address = url.rstrip("/")
        self._known: Any = None

    @property
    def _opened(self) -> tuple[Any, str]:
        if self._known is None:
            from fsspec.core import url_to_fs

            self._known = url_to_fs(self._url)
        return self._known  # type: ignore[no-any-return]

    def open(self) -> None:
        fs, root = self._opened
        if not _is_whole(fs):
            fs.makedirs(root, exist_ok=True)

    def mark(self, name: str) -> Any:
        return None

    def has(self, name: str) -> bool:
        fs, root = self._opened
        fs.invalidate_cache()
        return bool(fs.exists(f"{root}/{name}"))

    @contextmanager
    def new(self, name: str) -> Iterator[Path]:
        fs, root = self._opened
        with tempfile.TemporaryDirectory(prefix="kedro_console") as folder:
            path = Path(folder) / name
            yield path
            target = f"{root}/{name}" if _is_whole(fs) else f"{root}/.{uuid.uuid4().hex}.part"
            fs.put_file(str(path), target)
            if not _is_whole(fs):
                fs.mv(target, f"{root}/{name}")

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        fs, root = self._opened
        with tempfile.TemporaryDirectory(prefix="kedro_console") as folder:
            path = Path(folder) / name
            fs.get_file(f"{root}/{name}", str(path))
            yield path

    # ---- for the console

    def names(self) -> list[str]:
        fs, root = self._opened
        fs.invalidate_cache()
        found = fs.ls(root, detail=False) if fs.exists(root) else []
        names = (str(path).rstrip("/").rpartition("/")[2] for path in found)
        return sorted(name for name in names if name and not name.startswith("."))

    def copy(self, names: list[str], target: str) -> None:
        fs, root = self._opened
        other = Remote(target)
        other.open()
        for name in names:
            fs.cp_file(f"{root}/{name}", f"{other._opened[1]}/{name}")

    def drop(self) -> None:
        fs, root = self._opened
        fs.invalidate_cache()
        if fs.exists(root):
            fs.rm(root, recursive=True)


def _is_whole(fs: Any) -> bool:
    protocol = fs.protocol if isinstance(fs.protocol, (tuple, list)) else (fs.protocol,)
    return bool(WHOLE & set(protocol))


def sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def main(arguments: list[str]) -> None:
    """`list URL` prints the names as JSON; `copy URL TARGET NAME…`; `drop URL…`."""
    what, url, *more = arguments
    if what == "list":
        sys.stdout.write(json.dumps(Remote(url).names()))
    elif what == "copy":
        Remote(url).copy(more[1:], more[0])
    elif what == "drop":
        for each in [url, *more]:
            Remote(each).drop()
    else:
        raise SystemExit(f"{what}: write list, copy or drop.")


if __name__ == "__main__":
    warm.drop_working_folder()
    main(sys.argv[1:])
