"""Keeps the files that a run leaves for people: a hashed copy, made at the moment when the dataset is saved."""

from __future__ import annotations

import hashlib
import mimetypes
import os
import stat
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

from kedro_console import wire

MEDIA_TYPES = {
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".csv": "text/csv",
    ".parquet": "application/vnd.apache.parquet",
    ".zip": "application/zip",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".svg": "image/svg+xml",
    ".html": "text/html",
    ".json": "application/json",
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".geojson": "application/geo+json",
    ".xml": "application/xml",
    ".yml": "application/yaml",
    ".yaml": "application/yaml",
}
FOR_PEOPLE = frozenset({".pptx", ".xlsx", ".csv", ".zip", ".pdf", ".png", ".html"})
BLOCK = 1024 * 1024
MAX_NAME = 200


class KeepError(Exception):
    """Why a file is not kept, as a sentence."""


@dataclass(frozen=True)
class Keeper:
    """Copies deliverables below `folder`/kept; only files of the project, the step or the temporary folder."""

    project_path: Path
    folder: Path
    limit_bytes: int
    free_outputs: frozenset[str]

    def keep(self, dataset: str, path: str, value: object) -> tuple[wire.KeptFile | None, str]:
        """(the kept file, "") or (None, why not); (None, "") when nothing here is a deliverable."""
        named = self._deliverable(dataset, path, value)
        if named is None:
            return None, ""
        try:
            return self._copy(self._guarded(named)), ""
        except KeepError as reason:
            return None, str(reason)
        except OSError as error:
            return None, f"{named.name} was not kept: {error.strerror or error}."

    def stage(self, source: Path, name: str) -> wire.KeptFile:
        """Keep this file of a node under that name; KeepError says why not."""
        return self._copy(self._guarded(source), name)

    def _deliverable(self, dataset: str, path: str, value: object) -> Path | None:
        if path and "://" not in path:
            suffix = Path(path).suffix.lower()
            if suffix in FOR_PEOPLE or (suffix in MEDIA_TYPES and dataset in self.free_outputs):
                return Path(path)
        return self._named_by(value)

    def _named_by(self, value: object) -> Path | None:
        """The file that a saved value names: a node that writes a file itself returns its path."""
        if not isinstance(value, (str, os.PathLike)):
            return None
        text = os.fspath(value)
        if not isinstance(text, str) or len(text) > 4_096 or "\n" in text or "\0" in text:
            return None
        path = Path(text)
        if path.suffix.lower() not in MEDIA_TYPES:
            return None
        return path if (self.project_path / path).is_file() else None

    def _guarded(self, path: Path) -> Path:
        real = (self.project_path / path).resolve()
        if real.is_dir():
            raise KeepError(f"{path.name} was not kept: it is a folder; write one file, for example a zip, to keep it.")
        if not real.is_file():
            raise KeepError(f"{path.name} was not kept: no such file after the save.")
        if not any(_is_below(real, root) for root in (self.project_path, self.folder, Path(tempfile.gettempdir()))):
            raise KeepError(f"{path.name} was not kept: it lies outside the project's folder.")
        if _is_below(real, self.project_path / "conf"):
            raise KeepError(f"{path.name} was not kept: files of conf/ may hold credentials.")
        return real

    def _copy(self, source: Path, name: str = "") -> wire.KeptFile:
        kept = self.folder / "kept"
        kept.mkdir(parents=True, exist_ok=True)
        part = kept / f".{uuid.uuid4().hex}.part"
        try:
            size, sha256 = self._copy_hashed(source, part)
            name = Path(name or source.name).name[-MAX_NAME:]
            target = kept / f"{sha256[:16]}-{name}"
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return wire.KeptFile(str(target), name, size, sha256, media_type(name))

    def _copy_hashed(self, source: Path, part: Path) -> tuple[int, str]:
        digest, size = hashlib.sha256(), 0
        fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as read, part.open("xb") as write:
            before = os.fstat(read.fileno())
            self._check_file(source, before)
            while block := read.read(BLOCK):
                size += len(block)
                if size > self.limit_bytes:
                    raise self._too_large(source, size)
                digest.update(block)
                write.write(block)
            write.flush()
            os.fsync(write.fileno())
            after = os.fstat(read.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or size != after.st_size:
            raise KeepError(f"{source.name} was not kept: something wrote to it while it was being copied.")
        return size, digest.hexdigest()

    def _check_file(self, source: Path, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise KeepError(f"{source.name} was not kept: it is not a regular file.")
        if found.st_size > self.limit_bytes:
            raise self._too_large(source, found.st_size)

    def _too_large(self, source: Path, size: int) -> KeepError:
        return KeepError(f"{source.name} was not kept: {size:,} bytes are more than the limit of {self.limit_bytes:,}.")


def media_type(name: str) -> str:
    """The media type for this file name; "application/octet-stream" when it is not known."""
    known = MEDIA_TYPES.get(Path(name).suffix.lower())
    return known or mimetypes.guess_type(name)[0] or "application/octet-stream"


def _is_below(path: Path, root: Path) -> bool:
    try:
        path.relative_to(root.resolve())
    except ValueError:
        return False
    return True
