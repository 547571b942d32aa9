"""The worker's pulse: it says that it lives, keeps its leases, hears stops, and reconciles."""

from __future__ import annotations

import logging
import os
import platform
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection

from jobs import clock
from jobs.child.intake import Intake
from jobs.interpreters import boundary, stores
from jobs.models import Step, Worker
from jobs.reconnect import attempt, wait_at_most
from jobs.states import Wanted
from jobs.steps.admit import bring_forward
from jobs.steps.alarm import ALARM
from jobs.steps.dispatch import call_for_work
from jobs.steps.leases import LEASE, LEASES
from jobs.steps.pulse import Pulse
from jobs.upkeep.reconcile import close_lost, close_silent, reconcile, send_unheard

logger = logging.getLogger(__name__)

STOP_SECONDS: Final = 0.3
RENEW_SECONDS: Final = min(3.0, LEASE.total_seconds() / 4)
RECONCILE_SECONDS: Final = 3.0
CLOCK_SECONDS: Final = 30.0
SOON_SECONDS: Final = 1.0


class Heartbeat(threading.Thread):
    """One thread per worker, with a database connection of its own."""

    def __init__(self, worker_name: str, intake: Intake) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.worker_name, self.intake = worker_name, intake
        self.clock_ahead_seconds = 0.0
        self.started_at: datetime | None = None
        self._runs_mark, self._store_mark = stores.marks()
        self._boundary = boundary.name()
        self._stopping = threading.Event()
        self._pulse = Pulse("worker", settings.VAR)
        self._due: dict[str, float] = {}
        self._called_until = datetime.min.replace(tzinfo=UTC)
        """Steps that could start by then were told."""

    def run(self) -> None:
        wait_at_most(LEASE.total_seconds() / 2)  # a session that hangs must not cost the leases
        self._try(self._first_beat)
        while not self._stopping.is_set():
            self._pulse.tell()
            self._try(self._sleep)
            self._try(LEASES.look_for_stops)
            self._every("clock", CLOCK_SECONDS, self._compare_clocks)
            self._every("renew", RENEW_SECONDS, self._beat)
            self._every("silent", SOON_SECONDS, lambda: close_silent(clock.now()))
            self._every("send", SOON_SECONDS, lambda: send_unheard(clock.now()))
            self._every("line", RECONCILE_SECONDS, lambda: bring_forward(clock.now()))
            self._every("reconcile", RECONCILE_SECONDS, lambda: reconcile(clock.now()))
            LEASES.fence()
        self._pulse.end()
        connection.close()

    def _sleep(self) -> None:
        """Until the next look, or the moment at which a step may start; that moment is told at once."""
        due, wait = None, STOP_SECONDS
        try:
            if due := Step.objects.next_eligible_at(self._called_until):
                wait = min(wait, max(0.0, (due - clock.now()).total_seconds()))
        finally:
            is_rung = ALARM.sleep(wait)
        now = clock.now()
        if is_rung or (due and now >= due):
            self._called_until = now
            send_unheard(now)

    def stop(self) -> None:
        """Say goodbye: the next worker of this name starts at once."""
        self._stopping.set()
        ALARM.ring()
        self.join(5)
        connection.close()  # this thread's is as old as the worker: the database may have ended it since
        self._try(self._say_goodbye)

    def _say_goodbye(self) -> None:
        at = clock.now()
        Worker.objects.filter(name=self.worker_name, pid=os.getpid()).update(stopped_at=at, heartbeat_at=at, busy=0)

    def _every(self, what: str, seconds: float, do: Callable[[], object]) -> None:
        if time.monotonic() >= self._due.get(what, 0):
            self._due[what] = time.monotonic() + seconds
            self._try(do)

    def _try(self, do: Callable[[], object]) -> None:
        """The pulse goes on when the database is away; the leases fence themselves meanwhile."""
        attempt(do, what="The heartbeat", log=logger)

    def _first_beat(self) -> None:
        """What an earlier worker process of this name left running is lost: nobody waits for its leases."""
        at = clock.now()
        drained = Worker.objects.filter(name=self.worker_name, wanted_state=Wanted.DRAINING)
        drained.update(wanted_state=Wanted.WORKING, wanted_by="", wanted_at=None)  # its end was what was wanted
        self._write(at)
        left = Step.objects.running().filter(worker_name=self.worker_name)
        for step in left.select_related("run__pipeline"):
            close_lost(step, f"The worker {self.worker_name} ended while the step ran.", at=at)
        reconcile(at)
        call_for_work(self.intake.queues, self.intake.slots, at)

    def _beat(self) -> None:
        at = clock.now()
        LEASES.renew(at)
        self._write(at)

    def _compare_clocks(self) -> None:
        self.clock_ahead_seconds = clock_ahead_seconds()

    def _write(self, at: datetime) -> None:
        self.started_at = self.started_at or at
        worker, _ = Worker.objects.update_or_create(
            name=self.worker_name,
            defaults={
                "host": platform.node(),
                "pid": os.getpid(),
                "queues": self.intake.queues,
                "slots": self.intake.slots,
                "is_taking": self.intake.is_taking,
                "clock_ahead_seconds": self.clock_ahead_seconds,
                "busy": len(LEASES),
                "memory_bytes": resident_bytes(),
                "version": settings.VERSION,
                "runs_mark": self._runs_mark,
                "store_mark": self._store_mark,
                "boundary": self._boundary,
                "heartbeat_at": at,
                "stopped_at": None,
                "started_at": self.started_at,
            },
        )
        self.intake.obey(worker)


def clock_ahead_seconds() -> float:
    """How far our clock is before the database's; 0 for an embedded one, which has ours."""
    if connection.vendor != "postgresql":
        return 0.0
    asked = clock.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        theirs = cursor.fetchone()[0]
    return float((asked + (clock.now() - asked) / 2 - theirs).total_seconds())


def resident_bytes() -> int:
    """This process's resident memory; 0 where the kernel does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
