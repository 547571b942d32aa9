"""Files that are open already, as the engine may read and write them: by name, and no others."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from fsspec import AbstractFileSystem

SMALL: Final = 32 * 1024
LARGE: Final = 4 * 1024 * 1024
OLD: Final = datetime(2020, 1, 1)

ReadAt = Callable[[int, int], bytes]


class Ahead:
    """Reads from afar: little at first, more at once where one goes straight on."""

    def __init__(self, read_at: ReadAt, size: int) -> None:
        self._read_at, self._size = read_at, size
        self._lock = threading.Lock()
        self._start, self._data, self._step = 0, b"", SMALL

    def __call__(self, first: int, size: int) -> bytes:
        with self._lock:
            inside = first - self._start
            if inside >= 0 and inside + size <= len(self._data):
                return self._data[inside : inside + size]
            is_straight = 0 <= inside <= len(self._data)
            self._step = min(self._step * 2, LARGE) if is_straight else SMALL
            wanted = min(max(size, self._step), self._size - first)
            self._start, self._data = first, self._read_at(first, max(wanted, 0))
            return self._data[:size]


def of_descriptor(number: int) -> ReadAt:
    """The bytes of a file of this machine."""

    def read_at(first: int, size: int) -> bytes:
        parts = []
        while size and (part := os.pread(number, size, first)):
            parts.append(part)
            first, size = first + len(part), size - len(part)
        return b"".join(parts)

    return read_at


class Handle:
    """One of them as a file; each thread of the engine has its own place in it."""

    def __init__(self, read_at: ReadAt, size: int, descriptor: int = -1) -> None:
        self._read_at, self._size, self._descriptor = read_at, size, descriptor
        self._places: dict[int, int] = {}

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        me = threading.get_ident()
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._places.get(me, 0), os.SEEK_END: self._size}[whence]
        self._places[me] = start + offset
        return start + offset

    def tell(self) -> int:
        return self._places.get(threading.get_ident(), 0)

    def read(self, size: int = -1) -> bytes:
        place = self.tell()
        left = max(self._size - place, 0)
        data = self._read_at(place, left if size < 0 else min(size, left))
        self._places[threading.get_ident()] = place + len(data)
        return data

    def write(self, data: bytes) -> int:
        return os.write(self._descriptor, data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """It stays open for whoever asks next."""


class Reading(io.RawIOBase):
    """The same for who reads it in Python."""

    def __init__(self, read_at: ReadAt, size: int) -> None:
        self._handle = Handle(read_at, size)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._handle.seek(offset, whence)

    def tell(self) -> int:
        return self._handle.tell()

    def readinto(self, buffer: Any) -> int:
        data = self._handle.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class Pieces(AbstractFileSystem):
    """`pieces://given` is the file that is looked at; of others, which it may write, the descriptors are given."""

    protocol = "pieces"
    cachable = False

    def __init__(self, given: ReadAt, size: int, others: dict[str, int] | None = None) -> None:
        super().__init__()
        self._given, self._size, self.others = given, size, others or {}

    def _other(self, path: str) -> int:
        return self.others.get(path.rpartition("/")[2], -1)

    def _size_of(self, path: str) -> int:
        number = self._other(path)
        return self._size if number < 0 else os.fstat(number).st_size

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": self._size_of(path), "type": "file"}

    def modified(self, path: str) -> datetime:
        return OLD

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        number = self._other(path)
        if number < 0:
            return Handle(self._given, self._size)
        if "w" in mode:
            os.ftruncate(number, 0)
            os.lseek(number, 0, os.SEEK_SET)
        return Handle(of_descriptor(number), self._size_of(path), number)
