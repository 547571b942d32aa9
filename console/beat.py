"""Beat's scheduler: a database that goes away neither ends it nor costs it an entry."""

from __future__ import annotations

import logging
from typing import Any, Final

from django.conf import settings
from django.db import connection
from django_celery_beat.schedulers import DatabaseScheduler

from jobs.reconnect import AWAY, reconnect
from jobs.steps.pulse import Pulse

logger = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 1.0


class PatientScheduler(DatabaseScheduler):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pulse = Pulse("beat", settings.VAR)

    def close(self) -> None:
        super().close()
        self._pulse.end()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Seconds until the next one; soon when the database was away, and all schedules are read again then."""
        self._pulse.tell()
        try:
            return float(super().tick(*args, **kwargs))
        except AWAY as error:
            logger.warning("Beat could not reach the database: %s", " ".join(str(error).split()))
            reconnect()
            self._initial_read = self._heap_invalidated = True
            return AGAIN_SECONDS

    def sync(self) -> None:
        """Write down what was sent; what the database did not take stays to be written."""
        waiting = set(self._dirty)
        super().sync()
        if connection.errors_occurred:
            self._dirty |= waiting
            reconnect()
