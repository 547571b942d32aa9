"""Keeps what a run leaves for people: a hashed copy of a file, or a folder as a zip, made when its dataset is saved."""

from __future__ import annotations

import errno
import mimetypes
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from kedro_console import wire
from kedro_console.line import pack

MEDIA_TYPES = {
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
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
    ".log": "text/plain",
    ".md": "text/markdown",
    ".geojson": "application/geo+json",
    ".xml": "application/xml",
    ".yml": "application/yaml",
    ".yaml": "application/yaml",
}
FOR_PEOPLE = frozenset({".pptx", ".xlsx", ".csv", ".zip", ".pdf", ".png", ".html"})
MAX_NAME = 200
MAX_NAMED = 200
"""How many files one value may name."""
CLOCK_TICKS = 2.0
"""Seconds by which a file's time may be before the moment at which it was written."""
SECRETS = tuple(map(Path, ("/proc", "/sys", "/dev", "/etc", "/run/secrets", "/var/run/secrets")))
SECRET_NAMES = frozenset({".ssh", ".aws", ".gnupg", ".kube", ".docker", ".azure", ".gcloud", ".netrc", ".pgpass"})
SHARED_MEMORY = Path("/dev", "shm")


class KeepError(Exception):
    """Why a file is not kept, as a sentence."""


@dataclass(frozen=True)
class Unkept:
    """What a run left behind and is not kept, where it lies, and why, as a sentence."""

    name: str
    path: str
    reason: str


@dataclass(frozen=True)
class Found:
    """A file or folder to keep. The catalog may name any place, a value only one in the project."""

    path: Path
    is_free: bool
    is_of_catalog: bool


@dataclass
class Keeper:
    """Copies deliverables below `folder`/kept: free outputs of the run whatever they are, others by their type."""

    project_path: Path
    folder: Path
    limit_bytes: int
    free_outputs: frozenset[str]
    conf_source: str = "conf"
    is_whole: bool = False
    since: float = field(default_factory=time.time)

    def keep(self, dataset: str, path: str, value: object) -> tuple[list[wire.KeptFile], list[Unkept]]:
        """What is kept of a saved dataset, and what is not; ([], []) when nothing here is a deliverable."""
        kept: list[wire.KeptFile] = []
        unkept: list[Unkept] = []
        if "://" in path and dataset in self.free_outputs:
            unkept.append(_elsewhere(path))
        for found in self._deliverables(dataset, path, value):
            file, problem = self._kept(found)
            kept += [file] if file else []
            unkept += [problem] if problem else []
        return kept, unkept

    def stage(self, source: Path, name: str) -> wire.KeptFile:
        """Keep this file of a node under that name; KeepError says why not."""
        real = self._guarded(Found(source, is_free=False, is_of_catalog=False))
        return self._staged(name or source.name, lambda part: pack.copy(real, part, self.limit_bytes))

    # ---- what is a deliverable

    def _deliverables(self, dataset: str, path: str, value: object) -> Iterator[Found]:
        is_free = dataset in self.free_outputs
        if path and "://" not in path and (is_free or Path(path).suffix.lower() in FOR_PEOPLE):
            if is_free or not (self.project_path / path).is_dir():
                yield Found(Path(path), is_free, is_of_catalog=True)
        else:
            yield from self._named_by(value, is_free and not path)

    def _named_by(self, value: object, is_free: bool) -> Iterator[Found]:
        """The files that a value names: a node that writes files itself returns their paths."""
        if isinstance(value, (str, os.PathLike)):
            values: list[object] = [value]
        elif is_free and isinstance(value, (list, tuple, set, dict)) and len(value) <= MAX_NAMED:
            values = list(value.values() if isinstance(value, dict) else value)
        else:
            return
        named = [self._path_in(each, is_free) for each in values]
        if all(named):  # of a table or a text that happens to have a file's name in it nothing is taken
            yield from (Found(path, is_free, is_of_catalog=False) for path in dict.fromkeys(named) if path)

    def _path_in(self, value: object, is_free: bool) -> Path | None:
        if not isinstance(value, (str, os.PathLike)):
            return None
        text = os.fspath(value)
        if not isinstance(text, str) or not text or len(text) > 4_096 or "\0" in text:
            return None
        try:
            return Path(text) if self._is_named(Path(text), is_free, isinstance(value, os.PathLike)) else None
        except OSError:  # a text that is too long for a name, a folder that may not be looked into
            return None

    def _is_named(self, path: Path, is_free: bool, is_path: bool) -> bool:
        """A bare word, or a place outside of the project, is meant as a path only if the run has just written there."""
        whole = self.project_path / path
        if path.suffix.lower() in MEDIA_TYPES and whole.is_file():
            return True
        if not is_free or not (whole.is_file() or whole.is_dir()) or _is_below(self.project_path, whole):
            return False
        is_inside = _is_below(whole.resolve(), self.project_path)
        is_meant = is_inside and (is_path or len(path.parts) > 1)
        return is_meant or pack.is_newer(whole, self.since - CLOCK_TICKS)

    # ---- what may be kept

    def _kept(self, found: Found) -> tuple[wire.KeptFile | None, Unkept | None]:
        whole = self.project_path / found.path
        try:
            return self._kept_of(self._guarded(found), found.path.name)
        except KeepError as refusal:
            return None, Unkept(readable(whole.name), readable(whole), str(refusal))
        except OSError as error:
            reason = f"{readable(whole.name)} was not kept: {self._problem(error)}"
            return None, Unkept(readable(whole.name), readable(whole), reason)

    def _kept_of(self, real: Path, name: str) -> tuple[wire.KeptFile, Unkept | None]:
        if not real.is_dir():
            return self._staged(name, lambda part: pack.copy(real, part, self.limit_bytes)), None
        left_out: list[str] = []
        kept = self._staged(f"{name}.zip", lambda part: pack.zip_folder(real, part, self.limit_bytes, left_out))
        if not left_out:
            return kept, None
        words = f"{', '.join(left_out[:3])}{f' and {len(left_out) - 3} more' if len(left_out) > 3 else ''}"
        reason = f"{readable(name)} is kept without {words}: links that lead out of the folder, or no regular files."
        return kept, Unkept(readable(name), readable(real), reason)

    def _guarded(self, found: Found) -> Path:
        path = found.path
        real = (self.project_path / path).resolve()
        if not real.exists():
            raise KeepError(f"{readable(path.name)} was not kept: there is no such file after the save.")
        if real.is_dir() and not found.is_free:
            raise KeepError(f"{readable(path.name)} was not kept: it is a folder; write one file, for example a zip.")
        if problem := self._refusal(real, found.is_of_catalog):
            raise KeepError(f"{readable(path.name)} was not kept: {problem}")
        return real

    def _refusal(self, real: Path, is_of_catalog: bool) -> str:
        """Why nobody may have this file, and what to do instead; "" when it may be kept."""
        conf = self.project_path / self.conf_source
        if _is_below(self.project_path, conf):  # a project may name its own folder: only what is credentials' counts
            conf = self.project_path / "conf"
        if _is_below(real, conf) or _is_configuration(real):
            return "files of conf/ may hold credentials; write it into data/."
        if real.is_dir() and any(_is_below(root, real) for root in (self.project_path, conf, self.folder)):
            return "the project itself is in this folder; write into a folder of its own."
        if _is_below(real, self.folder):
            return ""
        if self._is_of_console(real):
            return "it is in the console's own folder; write it into the project's."
        if _is_below(real, Path(tempfile.gettempdir())):
            return ""
        if _is_secret(real, self.project_path):
            return "it lies where the system or people keep what is theirs; write it into the project's folder."
        if not is_of_catalog and not _is_below(real, self.project_path):
            return (
                "it is outside the project's folder; write it there, or make its path the filepath of a dataset "
                "in the catalog."
            )
        return ""

    def _is_of_console(self, real: Path) -> bool:
        """Below the folder in which the console has its keys; not a project that was put there."""
        parents = self.folder.resolve().parents
        if len(parents) < 3 or parents[1].name != "runs":
            return False
        var = parents[2]
        is_project = _is_below(self.project_path, var) and _is_below(real, self.project_path)
        return _is_below(real, var) and not is_project

    def _problem(self, error: OSError) -> str:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"there is no room left in {self.folder}; make room there and run it again."
        if error.errno in (errno.EACCES, errno.EPERM):
            return "the process may not read it; give its user the right to."
        if error.errno in (errno.ENOENT, errno.ESTALE, errno.ELOOP):
            return "it vanished while it was being copied."
        return f"{error.strerror or error}."

    # ---- copies

    def _staged(self, name: str, write: Callable[[Path], tuple[int, str]]) -> wire.KeptFile:
        kept = self.folder / "kept"
        kept.mkdir(parents=True, exist_ok=True)
        part = kept / f".{uuid.uuid4().hex}.part"
        try:
            size, sha256 = write(part)
            target = kept / f"{sha256[:16]}-{uuid.uuid4().hex[:8]}"  # two datasets may leave the same file
            part.replace(target)
        except pack.PackError as reason:
            raise KeepError(f"{readable(name)} was not kept: {reason}") from None
        finally:
            if part.exists():
                part.unlink()
        name = _short(readable(PurePath(name).name))
        return wire.KeptFile(str(target), name, size, sha256, media_type(name))


def media_type(name: str) -> str:
    """The media type for this file name; "application/octet-stream" when it is not known."""
    known = MEDIA_TYPES.get(Path(name).suffix.lower())
    if known:
        return known
    guessed, encoding = mimetypes.guess_type(name)
    return "application/gzip" if encoding == "gzip" else (guessed or "application/octet-stream")


def readable(path: str | PurePath) -> str:
    """A name as text that every database and page takes: bytes that are no text, and what cannot be seen, escaped."""
    text = os.fsencode(str(path)).decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _short(name: str) -> str:
    """At most MAX_NAME characters, with the suffix."""
    if len(name) <= MAX_NAME:
        return name
    suffix = PurePath(name).suffix[-20:]
    return f"{name[: MAX_NAME - len(suffix)]}{suffix}"


def _elsewhere(path: str) -> Unkept:
    name = path.rstrip("/").rpartition("/")[2]
    reason = f"{name} was not kept: it is at {path}, where the run has written it; only files on disk are kept."
    return Unkept(readable(name), readable(path), readable(reason))


def _is_below(path: Path, root: Path) -> bool:
    try:
        path.resolve().relative_to(root.resolve())
    except ValueError:
        return False
    return True


def _is_secret(real: Path, project_path: Path) -> bool:
    if _is_below(real, project_path):
        return bool(SECRET_NAMES.intersection(real.relative_to(project_path.resolve()).parts))
    is_private = bool(SECRET_NAMES.intersection(real.parts)) or any(_is_below(real, root) for root in SECRETS)
    return is_private and not _is_below(real, SHARED_MEMORY)


def _is_configuration(real: Path) -> bool:
    """A file of credentials, or anything in the conf/ of a Kedro project, ours or another."""
    if real.name.startswith("credentials") and real.suffix in (".yml", ".yaml", ".json"):
        return True
    return any(each.name == "conf" and (each.parent / "pyproject.toml").is_file() for each in (real, *real.parents))
