"""Take a file that a child has staged: from its own folder alone, and only if it is what the child says.

What a child tells of its files is not believed: a path that leads out of its folder, by a link or without one, would
give it a file of ours, and a wrong checksum would put its file in the place of another's.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Final

from django.conf import settings

from jobs.errors import PlatformError
from kedro_console.wire import KeptFile

READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def take(kept: KeptFile, folder: Path, place: Path) -> Path:
    """Move it below `place` and look at it there, where no child reaches; its new path.

    PlatformError when it is not the child's own file, or another than it says. OSError when it cannot be moved.
    """
    place.mkdir(parents=True, exist_ok=True)
    taken = place / f".{uuid.uuid4().hex}.taken"
    *parents, name = _below(Path(kept.path), folder, kept.name)
    inside = _opened(folder, parents)
    try:
        _move(name, inside, taken)
        _look(taken, kept)
    except BaseException:
        with suppress(OSError):
            taken.unlink()
        raise
    finally:
        os.close(inside)
    return taken


def _move(name: str, inside: int, taken: Path) -> None:
    """Runs may have a disk of their own: then a copy is taken, and the child's file goes."""
    try:
        os.rename(name, taken, src_dir_fd=inside)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with os.fdopen(os.open(name, READ, dir_fd=inside), "rb") as file, taken.open("xb") as copy:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise PlatformError("It was not kept: it is not a file.") from error
            shutil.copyfileobj(file, copy, 1024 * 1024)
        os.unlink(name, dir_fd=inside)


def _below(path: Path, folder: Path, name: str) -> tuple[str, ...]:
    parts = path.parts[len(folder.parts) :] if path.parts[: len(folder.parts)] == folder.parts else ()
    if not parts or ".." in parts:
        raise PlatformError(f"{name} was not kept: it is not in the folder of its own step.")
    return parts


def _opened(folder: Path, parents: list[str]) -> int:
    """The folder of the file, reached without following any link that a child could have made."""
    var = Path(settings.VAR)
    start, steps = (var, folder.relative_to(var).parts) if folder.is_relative_to(var) else (folder, ())
    found = os.open(start, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for step in (*steps, *parents):
        try:
            below = os.open(step, FOLDER, dir_fd=found)
        finally:
            os.close(found)
        found = below
    return found


def _look(taken: Path, kept: KeptFile) -> None:
    fd = os.open(taken, READ)
    with os.fdopen(fd, "rb") as file:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
            raise PlatformError(f"{kept.name} was not kept: it is not a file of its own.")
        if facts.st_uid != os.geteuid():  # of the user of CONSOLE_RUN_AS, who could else write into it
            os.fchown(fd, os.geteuid(), os.getegid())
        if facts.st_size != kept.size_bytes or hashlib.file_digest(file, "sha256").hexdigest() != kept.sha256:
            raise PlatformError(f"{kept.name} was not kept: it is not the file that its process told of.")
