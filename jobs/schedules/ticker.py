"""A beat's own thread: it leads or stands by, and decides due times at the moment at which they are due."""

from __future__ import annotations

import logging
import os
import platform
import threading
from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.db.models import Min

from jobs import clock
from jobs.models import Beat, Schedule
from jobs.reconnect import attempt, wait_at_most
from jobs.schedules.decide import decide
from jobs.schedules.lead import LEASE_SECONDS, Leader, LeadLost
from jobs.schedules.mirror import adopt_all

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.25
HEARD: Final = timedelta(seconds=15)
ADOPT: Final = timedelta(seconds=60)


class Ticker(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="ticker", daemon=True)
        self.origin = f"{os.getpid()}@{platform.node()}"
        self.leader = Leader(self.origin)
        self._stopping = threading.Event()
        self._heard_at: datetime | None = None
        self._adopted_at: datetime | None = None

    @property
    def is_leading(self) -> bool:
        return self.leader.lead is not None

    def run(self) -> None:
        wait_at_most(LEASE_SECONDS)
        wait = 0.0
        while not self._stopping.wait(wait):
            wait = POLL_SECONDS
            if attempt(self._turn, what="Beat", log=logger) and self.is_leading:
                wait = self._until_next()
        attempt(self.leader.give_back, what="Beat", log=logger)
        connection.close()

    def stop(self) -> None:
        """Another beat takes over at once."""
        self._stopping.set()
        if self.is_alive():
            self.join(LEASE_SECONDS)

    def _turn(self) -> None:
        at = clock.now()
        was_leading = self.is_leading
        if self.leader.turn(at) and not was_leading:
            logger.info("This beat, %s, decides from now on.", self.origin)
        if self._heard_at is None or not timedelta() <= at - self._heard_at < HEARD:
            self._heard_at = at
            Beat.objects.hear(self.origin, at)
        if not self.is_leading:
            return
        if self._adopted_at is None or not timedelta() <= at - self._adopted_at < ADOPT:
            self._adopted_at = at
            adopt_all(at)
        try:
            while decide(self.leader, clock.now()):
                pass
        except LeadLost:
            logger.warning("Another beat decides; what this one, %s, had not written is that one's.", self.origin)

    def _until_next(self) -> float:
        """Seconds until something is due, or until it looks for what people have changed."""
        wait = POLL_SECONDS

        def look() -> None:
            nonlocal wait
            due = Schedule.objects.aggregate(at=Min("next_look_at"))["at"]
            if due is not None:
                wait = min(wait, max(0.0, (due - clock.now()).total_seconds()))

        attempt(look, what="Beat", log=logger)
        return wait
