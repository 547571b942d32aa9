"""Whether a warm process is still what a new one would be: everything that it read is as it was.

A signature (time, size, inode) that differs is only a reason to look at the content, and at a folder's names; so a
touch, a chmod, and a branch that is left and taken again are free. A file that was written just now is compared by
content until it is old enough for its time to tell one text from the next.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kedro_console import wire
from kedro_console.project import record, revision
from kedro_console.project.notices import Notices
from kedro_console.project.record import Record, Signature

YOUNG_NS = 2_000_000_000
FREE_SECONDS = 0.005
"""A look that takes longer is not repeated before SHARE times that; at thousands of installed files, always."""
SHARE = 20
KEY = os.urandom(16)
"""What a secret file holds can be compared within this process, and by nobody else."""
BLOCK = 1 << 20
MODULES = tuple(importlib.machinery.all_suffixes())

Names = tuple[str, ...]


class Freshness:
    """Made once, after the warm-up (also one that failed); `changed` is asked before every step."""

    def __init__(self, found: Record, given: Path, project_path: Path, *, restless: str = "") -> None:
        """`restless`: what runs rewrite; it is not looked at when this process has not read it."""
        self._given, self._place = str(given), _place(str(given))
        self._suffixes = (*wire.WATCHED, *wire.TEMPLATES, *MODULES, *_suffixes_of(found.files))
        self._own = _Files()
        self._installed = _Files(has_content=False)
        self._folders = _Folders(lambda entry: self._counts(entry))
        self._installed_folders = _Folders(lambda entry: self._counts(entry))
        self._look = _Look(self._at_own)
        self._look_at_installed = _Look(self._at_installed, free_seconds=0)
        self._add_read(found)
        self._add_folders(found)
        self._add_loaded()
        self._notices = Notices(self._installed.paths())
        self._is_noticed = False  # the first look is at every file: it may have changed before it was watched
        self._read = set(found.own()) | set(found.listed)
        self._add_unread(project_path, found.own(), restless)

    def changed(self, *, at_once: bool = False) -> str:
        """What is no longer as this process read it; "" while everything is. `at_once`: whatever it costs."""
        return self._look.result(at_once=at_once) or self._look_at_installed.result(at_once=at_once)

    @property
    def fds(self) -> list[int]:
        """What it holds open."""
        return [self._notices.fd] if self._notices.fd >= 0 else []

    def close(self) -> None:
        self._notices.close()

    def _at_own(self) -> str:
        if _place(self._given) != self._place:
            return self._given
        return self._own.changed() or self._folders.changed()

    def _at_installed(self) -> str:
        """A folder that is another one now is seen by a look at it; what is written in it, the kernel tells."""
        changed = self._installed_folders.changed()
        if changed or (self._notices.are_quiet() and self._is_noticed):
            return changed
        changed = self._installed.changed()
        self._is_noticed = not (changed or self._installed.has_young)
        return changed

    # ---- what there is to look at ----

    def _add_read(self, found: Record) -> None:
        for path, before in found.files.items():
            if record.is_installed(path):
                if before is not None:
                    self._installed.add(path, before)
            else:
                self._own.add(path, before)

    def _add_folders(self, found: Record) -> None:
        for path, before in found.listed.items():
            self._folders_for(path).add(path, before, is_whole=not record.is_installed(path + os.sep))
        for path, before in found.searched.items():
            self._folders_for(path).add(path, before)
        for path in filter(None, sys.path):
            name = os.path.abspath(path)
            if not record.is_standard(name + os.sep):
                self._folders_for(name).add(name, record.signature(name))
                if not os.path.isdir(name):
                    self._own.add(name)
        for path in record.site_folders():  # few, and the place where an installation is seen first
            self._folders.add(path, record.signature(path), is_whole=True)

    def _folders_for(self, path: str) -> _Folders:
        return self._installed_folders if record.is_installed(path + os.sep) else self._folders

    def _add_loaded(self) -> None:
        """What was imported before the record began, the interpreter, and what it reads at its start."""
        for path in record.loaded_files():
            self._files_for(path).add(path)
        for folder in record.site_folders():
            for name in _listed(folder):
                if name.endswith(".pth"):
                    self._own.add(os.path.join(folder, name))
        for path in (os.path.join(sys.prefix, "pyvenv.cfg"), sys.executable):
            self._installed.add(path)

    def has_read(self, path: str) -> bool:
        """Whether this process itself stands on it; else it is only part of what is called the revision."""
        return path in self._read

    def _add_unread(self, project_path: Path, read: Iterable[str], restless: str) -> None:
        """What the revision's name is made of besides: sources that a run may import yet, and their folders."""
        files = self.sources = revision.sources(project_path, read, record.own_packages())
        for path in files:
            if path != restless:
                self._own.add(path)
        for folder in [*revision.folders_of(files), revision.configuration_folder(str(project_path))]:
            if folder != str(project_path):
                self._folders_for(folder).add(folder, record.signature(folder))

    def _files_for(self, path: str) -> _Files:
        return self._installed if record.is_installed(path) else self._own

    def _counts(self, entry: os.DirEntry[str]) -> bool:
        """Whether this name in a folder could change what is imported: a module, a package, a text beside them."""
        return entry.name.endswith(self._suffixes) or (entry.is_dir() and not entry.name.endswith(".egg-info"))


class _Look:
    """A question about files whose answer may be dear, on a file system elsewhere: then it is asked less often."""

    def __init__(self, ask: Callable[[], str], free_seconds: float = FREE_SECONDS) -> None:
        self._ask, self._free_seconds = ask, free_seconds
        self._again_at = 0.0

    def result(self, *, at_once: bool = False) -> str:
        started = time.monotonic()
        if started < self._again_at and not at_once:
            return ""
        answer = self._ask()
        ended = time.monotonic()
        if ended - started > self._free_seconds:
            self._again_at = ended + SHARE * (ended - started)
        return answer


class _Files:
    """Files as they were read; without content the signature alone counts."""

    def __init__(self, *, has_content: bool = True) -> None:
        self._has_content = has_content
        self._known: dict[str, tuple[Signature, str]] = {}
        self._young: dict[str, None] = {}

    def add(self, path: str, before: Signature | None = (-1, -1, -1, -1)) -> None:
        """`before`: as it was found before it was read; what has changed since was read by nobody knows whom."""
        if path in self._known:
            return
        now = record.signature(path)
        digest = self._digest(path) if now is not None else ""
        self._known[path] = (now, digest)
        if before != (-1, -1, -1, -1) and before != now and not _is_touched(before, now):
            self._known[path] = (before, "changed while it was read")
        elif _is_young(now):
            self._young[path] = None

    def paths(self) -> list[str]:
        return list(self._known)

    @property
    def has_young(self) -> bool:
        """Whether a file is so new that its time does not tell yet whether it is written again."""
        return bool(self._young)

    def _digest(self, path: str) -> str:
        return digest_of(path) if self._has_content else ""

    def changed(self) -> str:
        for path, (before, _) in self._known.items():
            if record.signature(path) != before and not self._is_same(path):
                return path
        for path in list(self._young):
            if not self._is_same(path):
                return path
        return ""

    def _is_same(self, path: str) -> bool:
        """By content; then the file is known by its present signature as well."""
        before, digest = self._known[path]
        now = record.signature(path)
        if not self._has_content:
            self._young.pop(path, None)
            return now == before
        if now is None or before is None or digest_of(path) != digest:
            return False
        self._known[path] = (now, digest)
        if not _is_young(now):
            self._young.pop(path, None)
        return True


class _Folders:
    """Folders by the names in them: all of them, or those that `counts` says of."""

    def __init__(self, counts: Callable[[os.DirEntry[str]], bool]) -> None:
        self._counts = counts
        self._known: dict[str, tuple[Signature, Names | None, bool]] = {}
        self._young: dict[str, None] = {}

    def add(self, path: str, before: Signature, *, is_whole: bool = False) -> None:
        known = self._known.get(path)
        if known and (known[2] or not is_whole):
            return
        now = record.signature(path)
        self._known[path] = (now, self._names(path, is_whole), is_whole)
        if before != now or _is_young(now):
            self._young[path] = None

    def _names(self, path: str, is_whole: bool) -> Names | None:
        try:
            with os.scandir(path) as entries:
                kept = (each.name for each in entries if _is_said(each.name) and (is_whole or self._counts(each)))
                return tuple(sorted(kept))
        except OSError:
            return None

    def changed(self) -> str:
        for path, (before, _, _) in self._known.items():
            if record.signature(path) != before and not self._is_same(path):
                return path
        for path in list(self._young):
            if not self._is_same(path):
                return path
        return ""

    def _is_same(self, path: str) -> bool:
        _, names, is_whole = self._known[path]
        now = record.signature(path)
        if self._names(path, is_whole) != names:
            return False
        self._known[path] = (now, names, is_whole)
        if not _is_young(now):
            self._young.pop(path, None)
        return True


def _is_said(name: str) -> bool:
    """Not what Python, editors and package managers leave for themselves."""
    return not name.startswith((".", "~")) and name != "__pycache__"


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _place(path: str) -> tuple[str, int, int] | None:
    """Where a path leads, with the links on its way."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return os.path.realpath(path), found.st_dev, found.st_ino


def _is_young(found: Signature) -> bool:
    return found is not None and time.time_ns() - max(found[0], found[3]) < YOUNG_NS


def _is_touched(before: Signature, now: Signature) -> bool:
    """The same file with the same time of writing: only its inode's facts changed."""
    return before is not None and now is not None and before[:3] == now[:3]


def digest_of(path: str) -> str:
    """Of a file's content; no digest for anybody else."""
    digest = hashlib.blake2b(key=KEY, digest_size=16)
    try:
        with open(path, "rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except OSError as error:
        return f"unreadable: {error.errno}"
    return digest.hexdigest()


def _suffixes_of(paths: Iterable[str]) -> Iterator[str]:
    """Of what the project's own code read: another file of that kind beside it may be read as well."""
    found = {os.path.splitext(path)[1] for path in paths if record.is_own(path)}
    return iter(sorted(found - {""}))


# ---- installations ---------------------------------------------------------------------------------

SETTLED_SECONDS = 1.0
PATIENCE_SECONDS = 60.0


def await_installation() -> None:
    """Waits while packages are being installed: what is half there must not be imported. A minute at most."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    seen = _installation()
    while _is_under_way(seen) and time.monotonic() < deadline:
        time.sleep(SETTLED_SECONDS)
        before, seen = seen, _installation()
        if seen == before:
            return


def _installation() -> list[tuple[str, int]]:
    """The folders of packages, and when something in each was made or taken away."""
    found = []
    for folder in record.site_folders():
        found.append((folder, _time_of(folder)))
        found += [(path, _time_of(path)) for path in (os.path.join(folder, name) for name in _listed(folder))]
    return found


def _time_of(path: str) -> int:
    found = record.signature(path)
    return max(found[0], found[3]) if found else 0


def _is_under_way(seen: list[tuple[str, int]]) -> bool:
    return time.time_ns() - max((at for _, at in seen), default=0) < YOUNG_NS
