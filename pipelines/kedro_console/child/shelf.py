"""Where a run's store lies: a folder, or an address that the project's own fsspec opens.

As a command (`python -m kedro_console.child.shelf drop URL…`) it deletes for the console, which knows no fsspec and has
none of the project's credentials.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Protocol, TypeVar

from kedro_console.project import warm

WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "memory"})
"""Stores in which an object appears whole or not at all; elsewhere a file is given its name when it is complete."""


PATIENCE_SECONDS = 600.0
"""How long a store that is away is awaited: what the node has computed would be lost otherwise."""
PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 15.0
AWAY = frozenset({"HTTPClientError", "ClientConnectionError", "ClientPayloadError", "ServerTimeoutError", "HttpError",
                  "ServiceRequestError", "ServiceResponseError", "FSTimeoutError", "RetryError"})  # fmt: skip
"""Classes with which libraries of stores say so that are no OSError; they are named, as none of them may be there."""
FOR_GOOD = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENAMETOOLONG, errno.EINVAL})

T = TypeVar("T")
logger = logging.getLogger("kedro_console")


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
            patiently(lambda: fs.makedirs(root, exist_ok=True), self.address)

    def mark(self, name: str) -> Any:
        return None

    def has(self, name: str) -> bool:
        def look() -> bool:
            fs, root = self._opened
            fs.invalidate_cache()
            return bool(fs.exists(f"{root}/{name}"))

        return patiently(look, self.address)

    @contextmanager
    def new(self, name: str) -> Iterator[Path]:
        fs, root = self._opened
        with tempfile.TemporaryDirectory(prefix="kedro_console") as folder:
            path = Path(folder) / name
            yield path
            patiently(lambda: _put(fs, path, f"{root}/{name}"), self.address)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        fs, root = self._opened
        with tempfile.TemporaryDirectory(prefix="kedro_console") as folder:
            path = Path(folder) / name
            patiently(lambda: fs.get_file(f"{root}/{name}", str(path)), self.address)
            yield path

    # ---- for the console

    def drop(self) -> None:
        fs, root = self._opened
        fs.invalidate_cache()
        if fs.exists(root):
            fs.rm(root, recursive=True)


def _put(fs: Any, path: Path, target: str) -> None:
    part = target if _is_whole(fs) else f"{target.rpartition('/')[0]}/.{uuid.uuid4().hex}.part"
    fs.put_file(str(path), part)
    if part != target:
        fs.mv(part, target)


def patiently(ask: Callable[[], T], address: str) -> T:
    """The answer, asked for again while the store is away; its error when that is so for too long."""
    deadline, pause = time.monotonic() + PATIENCE_SECONDS, PAUSE_SECONDS
    while True:
        try:
            return ask()
        except Exception as error:
            if not _is_away(error) or time.monotonic() + pause > deadline:
                raise
            said = " ".join(str(error).split()) or type(error).__name__
            logger.warning("The store of this run, %s, does not answer (%s): it is asked again.", address, said[:300])
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _is_away(error: Exception) -> bool:
    if isinstance(error, OSError):
        return not isinstance(error, FOR_GOOD) and error.errno not in FULL
    return bool(AWAY & {each.__name__ for each in type(error).__mro__})


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
    """`drop URL…`."""
    what, *urls = arguments
    if what != "drop":
        raise SystemExit(f"{what}: write drop.")
    for url in urls:
        Remote(url).drop()


if __name__ == "__main__":
    warm.drop_working_folder()
    main(sys.argv[1:])
