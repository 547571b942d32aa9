"""Which state of a project's code and configuration this is, read from the files alone."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from kedro_console import wire

SUFFIXES = wire.WATCHED
SKIPPED = wire.SKIPPED
GIT_SECONDS = 10

_named: dict[str, str] = {}  # fingerprint → revision: git is asked once per state


def of(project_path: Path) -> str:
    """The revision's name: "<sha>" when git is clean, "<sha>+<8 hex>" when files differ from it,
    "files-<8 hex>" without git."""
    project_path = project_path.resolve()
    sha = _head(project_path)
    digest = _digest(project_path)
    if not sha:
        return f"files-{digest}"
    key = f"{project_path}:{sha}:{digest}"
    if key not in _named:
        _named[key] = sha[:8] if _is_clean(project_path) else f"{sha[:8]}+{digest}"
    return _named[key]


def fingerprint(project_path: Path) -> str:
    """Changes with every change of a source or configuration file, ignored ones too; never starts git."""
    project_path = project_path.resolve()
    return f"{_head(project_path)}+{_digest(project_path)}"


def _digest(project_path: Path) -> str:
    lines = sorted(_facts(project_path, str(project_path)))
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _facts(project_path: Path, root: str) -> Iterator[str]:
    for folder, is_deep in _folders(project_path):
        yield from _files(str(folder), len(root), is_deep)


def _folders(project_path: Path) -> Iterator[tuple[Path, bool]]:
    yield project_path, False
    for name in dict.fromkeys((source_folder(project_path), "conf")):
        folder = project_path / name
        if folder.is_dir():
            yield folder, True


def source_folder(project_path: Path) -> str:
    try:
        text = (project_path / "pyproject.toml").read_text("utf-8", "replace")
    except OSError:
        return "src"
    found = re.search(r"^\s*source_dir\s*=\s*[\"']([^\"']*)[\"']", text, re.MULTILINE)
    return found.group(1) if found else "src"


def _files(folder: str, cut: int, is_deep: bool) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        name = entry.name
        if name.startswith("."):
            continue
        if entry.is_dir():
            if is_deep and name not in SKIPPED and not name.endswith(".egg-info"):
                yield from _files(entry.path, cut, is_deep)
        elif name.endswith(SUFFIXES):
            yield from _fact(entry, cut)


def _fact(entry: os.DirEntry[str], cut: int) -> Iterator[str]:
    try:
        stat = entry.stat()
    except OSError:  # it went away between the listing and this line
        return
    yield f"{entry.path[cut:]}:{stat.st_mtime_ns}:{stat.st_size}"


# ---- git, read by hand ---------------------------------------------------------------------------


def _head(project_path: Path) -> str:
    """The commit that is checked out; "" outside git or before the first commit."""
    folder = _git_folder(project_path)
    if folder is None:
        return ""
    head = _text(folder / "HEAD")
    if not head.startswith("ref: "):
        return head
    name = head[5:].strip()
    common = folder / (_text(folder / "commondir") or ".")
    return _text(folder / name) or _text(common / name) or _packed(common, name)


def _git_folder(project_path: Path) -> Path | None:
    for folder in (project_path, *project_path.parents):
        marker = folder / ".git"
        if marker.is_dir():
            return marker
        if marker.is_file():  # a worktree or a submodule
            return folder / _text(marker).replace("gitdir: ", "", 1)
    return None


def _packed(folder: Path, name: str) -> str:
    for line in _text(folder / "packed-refs").splitlines():
        if line.endswith(f" {name}"):
            return line.split(" ", 1)[0]
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _is_clean(project_path: Path) -> bool:
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "safe.directory=*", "status",
               "--porcelain", "--untracked-files=all", "-z", "--", *_watched(project_path)]  # fmt: skip
    try:
        done = subprocess.run(
            command, cwd=project_path, capture_output=True, timeout=GIT_SECONDS, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return False
    changed = done.stdout.decode("utf-8", "surrogateescape").split("\0")
    return not any(name.endswith(SUFFIXES) for name in changed)


def _watched(project_path: Path) -> list[str]:
    """What `_digest` looks at, as git writes it."""
    deep = [str(folder.relative_to(project_path)) for folder, is_deep in _folders(project_path) if is_deep]
    return [*(f":(glob){name}/**" for name in deep), *(f":(glob)*{suffix}" for suffix in SUFFIXES)]
