"""What a project's processes see of the console: nothing but the folders of its own runs, where the kernel can do that.

`CONSOLE_BOUNDARY` switches it, and `CONSOLE_RUN_AS` names another user as whom they run; both are drawn by `confine`,
before anything of the project is loaded.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

from django.conf import settings

from jobs.errors import PlatformError
from jobs.interpreters.confine import CANNOT_SWITCH, LANDLOCK, NAMESPACES, NOTHING, Plan, may_switch
from jobs.models import Project, Run

OFF: Final = "off"


class RunAs(Protocol):
    """The user of CONSOLE_RUN_AS, as the settings have found it."""

    @property
    def uid(self) -> int: ...
    @property
    def gid(self) -> int: ...
    @property
    def ids(self) -> tuple[int, int, list[int]]: ...


PROGRAM: Final = (sys.executable, "-I", "-S", str(Path(__file__).with_name("confine.py")))
SECONDS: Final = 30
STAGES: Final = ("runs", "replays")
"""The folders of CONSOLE_VAR in which a project's processes leave something; each project has its own in them."""


def behind(project: Project, words: Sequence[str]) -> list[str]:
    """This command of a project, as it is started: OSError when it is none, PlatformError when it may not run here."""
    _check_program(words[0])
    drawn, user = way(), settings.CONSOLE_RUN_AS
    if drawn in (OFF, NOTHING) and settings.CONSOLE_BOUNDARY == "required":
        raise PlatformError(f"Nothing of a project is started here: {NOT_DRAWN} Set CONSOLE_BOUNDARY=auto to allow it.")
    if user and not may_switch():
        raise PlatformError(CANNOT_SWITCH.format(user.name))
    for folder in own_folders(project):
        _give(folder)
    if drawn in (OFF, NOTHING):
        if user is None:
            return list(words)
        drawn = NOTHING
    hidden, shown, ways = [*settings.CONSOLE_HIDDEN], [*_shown(project, words[0])], (drawn,) if drawn else ()
    plan = Plan(hidden, shown, user.ids if user else None, ways, _kept_open(project))
    return [*PROGRAM, plan.to_json(), *words]


def way() -> str:
    """How the boundary is drawn on this machine: OFF by the setting, NOTHING where the kernel does not do it."""
    user = settings.CONSOLE_RUN_AS if may_switch() else None
    return OFF if settings.CONSOLE_BOUNDARY == OFF else _found(user, tuple(settings.CONSOLE_HIDDEN))


@lru_cache(maxsize=4)
def _found(user: RunAs | None, hidden: tuple[str, ...]) -> str:
    """Which way works is found by trying, once in a process."""
    for each in (NAMESPACES, LANDLOCK):
        plan = Plan([*hidden], [], user.ids if user else None, (each,), _kept_open())
        with suppress(OSError, subprocess.TimeoutExpired):
            ended = subprocess.run(
                [*PROGRAM, plan.to_json()], capture_output=True, timeout=SECONDS, stdin=subprocess.DEVNULL, cwd="/"
            )
            if ended.returncode == 0 and ended.stdout.decode().strip() == each:
                return each
    return NOTHING


def name() -> str:
    """What a worker tells of itself: NONE, OFF, or how the boundary is drawn; with the user of CONSOLE_RUN_AS."""
    drawn, user = way() or NONE, settings.CONSOLE_RUN_AS
    return f"{drawn} {AS} {user.name}"[:40] if user else drawn


def open_to_code(told: str) -> bool:
    """Whether project code may read the console's folder on a worker that tells this; of an older one nobody knows."""
    return told in (OFF, NONE)


NONE, AS = "none", "as"
NOT_DRAWN: Final = (
    "the kernel gives this process neither namespaces of its own nor Landlock, so project code could read CONSOLE_VAR."
)

# ---- folders


def own_folders(project: Project) -> list[Path]:
    """Those of the console in which this project's processes work; none of a project that is not known yet."""
    if project.pk is None:
        return []
    return [*(settings.VAR / stage / str(project.pk) for stage in STAGES), sockets_of(project)]


def sockets_of(project: Project) -> Path:
    """Where its hosts listen and keep what they have learned."""
    folder: Path = settings.CONSOLE_SOCKETS / "hosts" / str(project.pk)
    return folder


def lay_out(run: Run) -> None:
    """Have the folder of a run where its project's processes find it, also one that was made by an older release."""
    folder, known = run.folder, settings.VAR / STAGES[0] / str(run.uuid)
    _give(folder.parent)
    if known.is_dir() and not known.is_symlink() and not folder.exists():
        with suppress(FileNotFoundError):  # another worker was faster
            known.rename(folder)
    _give(folder)
    with suppress(FileExistsError):  # workers of an older release look there
        known.symlink_to(folder.relative_to(known.parent))


def _give(folder: Path) -> None:
    """Make it, for whoever works in it and nobody else; with all that is in it when that is another user."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o711)
    user = settings.CONSOLE_RUN_AS
    if user is None or not may_switch() or folder.stat().st_uid == user.uid:
        return
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(place, name), user.uid, user.gid, follow_symlinks=False)
    folder.chmod(0o700)
    os.chown(folder, user.uid, user.gid)


def _shown(project: Project, program: str) -> Iterable[str]:
    """What of it a project needs: it may itself have been put there, and so may its Python and what we run in it."""
    yield from map(str, own_folders(project))
    yield project.path
    yield str(settings.BASE_DIR / "pipelines")
    yield os.path.realpath(program)
    yield str(Path(program).parent.parent)  # its virtual environment
    yield from (place for place in (settings.CONSOLE_RUN_STORE, project.store_url) if place.startswith("/"))


def _kept_open(project: Project | None = None) -> tuple[str, ...]:
    home = settings.CONSOLE_PASSED_ON.get("HOME", "")
    return tuple(filter(None, (home, tempfile.gettempdir(), project.path if project else "")))


def _check_program(program: str) -> None:
    """As the kernel would say it; of what is started through another program it would say it too late."""
    if shutil.which(program) is None:
        number = errno.EACCES if Path(program).exists() else errno.ENOENT
        raise OSError(number, os.strerror(number), program)
