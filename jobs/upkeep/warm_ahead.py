"""Start the hosts of what is due soon, so that a due time does not wait until its project is imported."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from jobs import clock
from jobs.errors import ProjectError
from jobs.interpreters.hosts import HOSTS
from jobs.models import Project, Schedule
from jobs.reconnect import attempt
from jobs.steps.leases import LEASES

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0
AHEAD: Final = timedelta(seconds=90)
MOST_SCHEDULES: Final = 500
AT_ONCE: Final = 2
"""How many projects are begun with at each look: imports that nobody waits for leave the processor to runs."""
AGAIN_SECONDS: Final = 60.0
"""So long nothing is tried again for a project, whose host may have ended because it cannot start."""

Place = tuple[int, str | None]
"""A project and the Kedro environment that a schedule names; None: the project's own."""


class WarmAhead(threading.Thread):
    """One thread per worker: a start that hangs, on a disk that is away, holds up nothing else."""

    def __init__(self, queues: Collection[str]) -> None:
        super().__init__(name="warm-ahead", daemon=True)
        self._queues = queues
        self._stopping = threading.Event()
        self._tried: dict[Place, float] = {}

    def run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            if LEASES.is_taking:
                attempt(self._look, what="The look at what is due soon", log=logger)
        connection.close()

    def stop(self) -> None:
        self._stopping.set()

    def _look(self) -> None:
        late = time.monotonic() - AGAIN_SECONDS
        self._tried = {place: tried for place, tried in self._tried.items() if tried > late}
        places = [place for place in due_soon(self._queues, clock.now()) if place not in self._tried]
        projects = Project.objects.in_bulk([number for number, _ in places[:AT_ONCE]])
        for number, env in places[:AT_ONCE]:
            self._tried[number, env] = time.monotonic()
            if number in projects:
                warm(projects[number], env)


def due_soon(queues: Collection[str], at: datetime) -> list[Place]:
    """Where runs will begin that schedules start before long, what is due first at the beginning."""
    rows = Schedule.objects.to_look_at(at + AHEAD).filter(paused_since=None, pipeline__is_registered=True)
    rows = rows.filter(pipeline__queue__in=queues)
    found = rows.values_list("pipeline__project", "selection")[:MOST_SCHEDULES]
    return list(dict.fromkeys((number, selection.get("env") or None) for number, selection in found))


def warm(project: Project, env: str | None) -> None:
    """Have a host of this project; why there can be none is told by the run that needs it."""
    try:
        HOSTS.of(project, env)
    except ProjectError as error:
        logger.info("%s has no warm process yet: %s", project.name, error)
