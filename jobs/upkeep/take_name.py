"""Let no two living workers have one name: the later one would take the steps of the earlier one for lost."""

from __future__ import annotations

import fcntl
import os
import platform
import time
from itertools import count
from pathlib import Path
from typing import IO, Final

from django.conf import settings
from django.db import Error

from jobs import clock
from jobs.errors import RequestError
from jobs.models import Worker

WATCHED_SECONDS: Final = 7.0
"""Longer than two beats of a worker's heart."""
LOOK_SECONDS: Final = 0.25
_held: dict[str, IO[bytes]] = {}
"""Names that this process has, each with the locked file that the kernel frees at its end, however it ends."""


def free_name(name: str, host: str) -> str:
    """`name@host`, or `name-2@host` and so on when workers of those names are alive; it is ours from now on."""
    names = (f"{name}{'' if number == 1 else f'-{number}'}@{host}" for number in count(1))
    return next(found for found in names if _take(found))


def insist_on(name: str) -> None:
    """RequestError when a living worker has this name; else it is ours from now on."""
    if name not in _held and not _take(name):
        raise RequestError(
            f"A worker named {name} is alive, and a second one would end its steps. "
            "Start this one with `python -m console worker`, which finds a free name, or give it one with `-n NAME@%h`."
        )


def _take(name: str) -> bool:
    lock = _lock(name)
    if lock is None or _beats(name):
        return False
    _held[name] = lock
    return True


def _lock(name: str) -> IO[bytes] | None:
    """Held by at most one process of this machine; None when another one has it."""
    folder = Path(settings.VAR) / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / f"{name.replace('/', '_')}.lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _beats(name: str) -> bool:
    """Whether its row tells of a living worker elsewhere: another folder, another container, another machine.

    A row can look alive for a while after a kill, so its heart is listened to, unless its process is seen to be gone.
    """
    try:
        row = Worker.objects.alive(clock.now()).filter(name=name).first()
        if row is None or (row.host == platform.node() and row.pid != os.getpid() and not _is_there(row.pid)):
            return False
        until = time.monotonic() + WATCHED_SECONDS
        while time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            if Worker.objects.filter(pk=row.pk, stopped_at=None, heartbeat_at__gt=row.heartbeat_at).exists():
                return True
    except Error:
        return False  # without a database it does nothing to anybody's steps either
    return False


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
