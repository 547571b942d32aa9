"""Whole copies: of a file, or of a folder as a zip that is the same whenever the folder is; bounded, and hashed."""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

BLOCK = 1024 * 1024
MAX_FILES = 10_000
LOOKED_AT = 2_000
STORED = frozenset({".zip", ".pptx", ".xlsx", ".docx", ".parquet", ".png", ".jpg", ".jpeg", ".gif", ".gz", ".bz2",
                    ".xz", ".zst", ".7z", ".mp4", ".pdf"})  # fmt: skip
"""Suffixes of what is packed already."""


class PackError(Exception):
    """Why there is no copy, as the second half of a sentence."""


class _Hashing:
    """The file that is written to, once and from its beginning to its end."""

    def __init__(self, file: Any, limit_bytes: int) -> None:
        self._file, self._limit = file, limit_bytes
        self.digest, self.size = hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self.size += len(data)
        if self.size > self._limit:
            raise too_large(self.size, self._limit)
        self.digest.update(data)
        self._file.write(data)
        return len(data)

    def flush(self) -> None:
        """Once, at the end."""


def too_large(size: int, limit_bytes: int) -> PackError:
    return PackError(
        f"{size:,} bytes are more than the limit of {limit_bytes:,}; make it smaller, or raise "
        "CONSOLE_ARTIFACT_LIMIT_MB."
    )


def copy(source: Path, target: Path, limit_bytes: int) -> tuple[int, str]:
    """(size, SHA-256) of the copy; PackError when it is too large or changes meanwhile."""
    return _written(target, limit_bytes, lambda outgoing: _read(source, outgoing, limit_bytes))


def zip_folder(source: Path, target: Path, limit_bytes: int, left_out: list[str]) -> tuple[int, str]:
    """(size, SHA-256) of a zip of all regular files below; what is none, or leads out, is named in `left_out`."""
    files = _files(source, left_out)
    if not files:
        raise PackError("the folder has no files.")
    total = sum(path.stat().st_size for _, path in files)
    if total > limit_bytes:
        raise too_large(total, limit_bytes)

    def write(outgoing: _Hashing) -> None:
        with zipfile.ZipFile(outgoing, "w", allowZip64=True) as archive:  # type: ignore[call-overload]
            for name, path in files:
                with archive.open(_info(name), "w", force_zip64=True) as entry:
                    _read(path, entry, limit_bytes)

    return _written(target, limit_bytes + BLOCK, write)


def is_newer(path: Path, moment: float) -> bool:
    """Whether this file, or something in this folder, was written after the moment."""
    if path.stat().st_ctime >= moment:
        return True
    return any(entry.stat(follow_symlinks=False).st_ctime >= moment for entry in islice(_walk(path), LOOKED_AT))


def _written(target: Path, limit_bytes: int, fill: Callable[[Any], object]) -> tuple[int, str]:
    with target.open("xb") as file:
        outgoing = _Hashing(file, limit_bytes)
        fill(outgoing)
        file.flush()
        os.fsync(file.fileno())
    return outgoing.size, outgoing.digest.hexdigest()


def _read(source: Path, target: Any, limit_bytes: int) -> None:
    """All of a regular file, unless something writes to it meanwhile."""
    fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    size = 0
    with os.fdopen(fd, "rb") as file:
        before = os.fstat(file.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise PackError("it is not a regular file.")
        if before.st_size > limit_bytes:
            raise too_large(before.st_size, limit_bytes)
        while block := file.read(BLOCK):
            size += len(block)
            target.write(block)
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or size != after.st_size:
        raise PackError("something wrote to it while it was being copied.")


def _files(folder: Path, left_out: list[str]) -> list[tuple[str, Path]]:
    """(name in the zip, path) of every regular file, in an order that does not depend on the disk."""
    found: list[tuple[str, Path]] = []
    for entry in _walk(folder):
        name = _text(os.path.relpath(entry.path, folder))
        path = _inside(entry, folder)
        if path is None:
            left_out.append(name)
        elif path.is_file():
            found.append((name, path))
        if len(found) > MAX_FILES:
            raise PackError(f"the folder has more than {MAX_FILES:,} files; write fewer, or one archive.")
    return sorted(found)


def _inside(entry: os.DirEntry[str], folder: Path) -> Path | None:
    """The file that this entry is, or leads to, within the folder; None when it leads elsewhere or is not a file."""
    if not entry.is_symlink():
        return Path(entry.path) if entry.is_file() else None
    real = Path(os.path.realpath(entry.path))
    is_inside = os.path.commonpath([str(real), str(folder)]) == str(folder)
    return real if is_inside and real.is_file() else None


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Everything below that is no folder; links are not followed."""
    waiting = [str(folder)] if folder.is_dir() else []
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    yield entry


def _text(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)  # its time is the first that a zip knows: equal folders give equal zips
    info.compress_type = zipfile.ZIP_STORED if Path(name).suffix.lower() in STORED else zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    info.create_system = 3
    return info
