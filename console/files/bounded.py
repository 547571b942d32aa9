"""Read files that were made to hurt: no more of them than a budget says."""

from __future__ import annotations

import zipfile
from typing import IO, Final

DIRECTORY_BYTES: Final = 8_000_000


class TooMuch(Exception):
    """More was read than may be."""


class Bounded:
    """A seekable file that refuses to be read for more than its budget of bytes."""

    def __init__(self, file: IO[bytes], budget: int) -> None:
        self._file, self._left = file, budget

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise TooMuch
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


def listed(file: IO[bytes]) -> list[zipfile.ZipInfo]:
    """The entries of an archive as it claims them; TooMuch when its list is too long, BadZipFile when it is none."""
    return zipfile.ZipFile(Bounded(file, DIRECTORY_BYTES)).infolist()
