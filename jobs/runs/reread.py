"""Read a project again by itself: before a start when its newest reading went wrong, and when its files change."""

from __future__ import annotations

import logging
import platform
import threading
from collections import defaultdict
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from jobs import clock
from jobs.errors import ProjectError
from jobs.interpreters.fingerprint import fingerprint
from jobs.interpreters.snapshots import READ_FACTS, take
from jobs.models import Project, Worker
from jobs.reconnect import attempt
from jobs.steps.dispatch import ask_for_snapshot

logger = logging.getLogger(__name__)

START_SECONDS: Final = 60.0
"""How long a start waits for a project in trouble to be read."""
GOOD_SECONDS: Final = 20.0
"""And how long for one that has only changed; one that takes longer is started as it was known."""
BELIEVED: Final = timedelta(seconds=30)
"""What was wrong may be repaired outside of the files that are looked at: after this a start has it read again."""
TRIED_AGAIN: Final = timedelta(minutes=5)
LOOK_SECONDS: Final = 10.0
FEW: Final = 10
"""How many projects are searched for a pipeline that nobody knows."""

_turns: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)


def reread(project: Project, *, at: datetime) -> None:
    """Read a project again whose files changed, or a troubled one if that may help; what is wrong then stands in it.

    So a run is planned after the code that it will find. Of several who ask at once one reads, and never while rows
    are locked. Files count where all the workers are on this machine: another one sees them with other numbers.
    """
    if connection.in_atomic_block:
        return
    if not project.trouble and not ((project.absence or _is_changed(project)) and _has_all_workers()):
        return
    turn = _turns[project.pk]
    if not turn.acquire(timeout=START_SECONDS):
        return
    try:
        project.refresh_from_db(fields=READ_FACTS)
        is_late = at - (project.checked_at or at) > BELIEVED
        if is_late or _is_changed(project):
            with suppress(ProjectError):
                has_to_end = bool(project.trouble)
                seconds = START_SECONDS if has_to_end else GOOD_SECONDS
                take(project, at=max(at, project.checked_at or at), seconds=seconds, has_to_end=has_to_end)
    finally:
        turn.release()


def reread_changed(projects: list[Project], *, at: datetime) -> None:
    """Read those of these projects again that changed since they were read last: something new may be there."""
    for project in projects[:FEW]:
        if project.trouble:
            reread(project, at=at)
        elif _is_changed(project) and not connection.in_atomic_block:
            with suppress(ProjectError):
                take(project, at=at, seconds=START_SECONDS)


def _has_all_workers() -> bool:
    """Whether nobody could run it but workers of this machine."""
    return set(Worker.objects.alive(clock.now()).values_list("host", flat=True)) == {platform.node()}


def _is_changed(project: Project) -> bool:
    return fingerprint(project) != project.fingerprint


def look(known: dict[int, str], at: datetime) -> None:
    """Have projects read again whose files are not those that `known` has, or that have been in trouble for long."""
    for project in Project.objects.defer("environment"):
        now = fingerprint(project)
        is_changed = now != known.setdefault(project.pk, project.fingerprint or now)
        is_late = bool(project.trouble) and at - (project.checked_at or at) > TRIED_AGAIN
        if (is_changed or is_late) and project.may_ask_for_check(at):
            known[project.pk] = now
            ask_for_snapshot(project.pk)


class Watch(threading.Thread):
    """One thread per worker that looks at the projects' files; the heartbeat does not wait for slow disks."""

    def __init__(self) -> None:
        super().__init__(name="watch", daemon=True)
        self._stopping = threading.Event()
        self._known: dict[int, str] = {}

    def run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            attempt(lambda: look(self._known, clock.now()), what="The look at the projects", log=logger)
        connection.close()

    def stop(self) -> None:
        self._stopping.set()
