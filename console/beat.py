"""Beat's scheduler: due times are counted as everywhere else, and a database that goes away costs it nothing."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from celery import schedules
from django.conf import settings
from django.db import connection
from django_celery_beat.models import PeriodicTask, PeriodicTasks
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from jobs import clock
from jobs.reconnect import AWAY, reconnect
from jobs.schedules.dues import Cron, dues
from jobs.schedules.schedules import START, cron_from
from jobs.schedules.ticker import Ticker
from jobs.steps.pulse import Pulse

logger = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 1.0
STAND_BY_SECONDS: Final = 1.0
NEVER: Final = schedules.schedstate(is_due=False, next=3e8)


class SetTimes(schedules.BaseSchedule):
    """A crontab, due when `dues` says so: also when the clocks change."""

    def __init__(self, rule: Cron, zone: ZoneInfo) -> None:
        super().__init__()
        self.rule, self.zone = rule, zone

    def __repr__(self) -> str:
        return f"<set times: {self.rule.text}, {self.zone}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SetTimes) and (self.rule, self.zone) == (other.rule, other.zone)

    def __hash__(self) -> int:
        return hash((self.rule, self.zone))

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        due = next(dues(self.rule, self.zone, last_run_at), None)
        return timedelta(seconds=NEVER.next) if due is None else due - clock.now()

    def is_due(self, last_run_at: datetime) -> schedules.schedstate:
        """Whether a due time has come since then, and the seconds until the next one."""
        at = clock.now()
        due = next(dues(self.rule, self.zone, last_run_at), None)
        if due is None:
            return NEVER
        if due > at:
            return schedules.schedstate(is_due=False, next=(due - at).total_seconds())
        following = next(dues(self.rule, self.zone, at), None)
        return schedules.schedstate(is_due=True, next=(following - at).total_seconds() if following else NEVER.next)


class Entry(ModelEntry):
    """A row of a schedule, of which beat writes only what is its own: when it sent last, and how often."""

    def __init__(self, model: PeriodicTask, app: Any = None) -> None:
        super().__init__(model, app)
        if model.crontab:
            self.schedule = SetTimes(cron_from(model.crontab), ZoneInfo(str(model.crontab.timezone)))

    def is_due(self) -> schedules.schedstate:
        if self.model.enabled and self.model.one_off and self.model.total_run_count > 0:
            self._disable(self.model)
            return NEVER
        found: schedules.schedstate = super().is_due()
        return found

    def save(self) -> None:
        """Nothing where the row was changed since it was read: a pause or an edit is not written over."""
        row = PeriodicTask.objects.filter(pk=self.model.pk, date_changed=self.model.date_changed)
        row.update(last_run_at=self.model.last_run_at, total_run_count=self.model.total_run_count)

    def _disable(self, model: PeriodicTask) -> None:
        """Switch it off, whatever else was changed; its count begins again with the next switching on."""
        model.enabled, model.total_run_count = False, 0
        PeriodicTask.objects.filter(pk=model.pk).update(enabled=False, total_run_count=0)
        PeriodicTasks.update_changed()


class PatientScheduler(DatabaseScheduler):
    """Sends housekeeping while this beat leads; what starts pipelines its ticker decides, due time by due time."""

    Entry = Entry

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pulse = Pulse("beat", settings.VAR)
        self.ticker: Ticker | None = None
        self._was_leading = False

    def close(self) -> None:
        super().close()
        if self.ticker:
            self.ticker.stop()
        self._pulse.end()

    def enabled_models_qs(self) -> Any:
        return super().enabled_models_qs().exclude(task=START)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Seconds until the next one; soon when the database was away, and all schedules are read again then."""
        self._pulse.tell()
        if self.ticker is None or not self.ticker.is_alive():
            self.ticker = Ticker()
            self.ticker.start()
        if not self.ticker.is_leading:
            self._was_leading = False
            return STAND_BY_SECONDS
        try:
            if not self._was_leading:  # whoever led before has sent since these were read
                self._initial_read = self._heap_invalidated = self._was_leading = True
            return min(STAND_BY_SECONDS, float(super().tick(*args, **kwargs)))
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
