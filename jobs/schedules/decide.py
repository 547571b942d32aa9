"""Decide due times: each gets one row, under the token of the beat that leads; a worker starts what is to start."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import Final
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from jobs.models import Run, Schedule, Tick
from jobs.models.tick import REASON_LENGTH
from jobs.schedules.backlog import ON_TIME, divided_by
from jobs.schedules.due import counted, look_at, rule_of, set_next, why_paused
from jobs.schedules.dues import Every, Rule, last_due, walls
from jobs.schedules.lead import Leader
from jobs.schedules.start import started_before
from jobs.schedules.tell import tell_workers
from jobs.states import TickDecision

logger = logging.getLogger(__name__)

BATCH: Final = 100
MOST: Final = 10_000
"""About so many due times of an outage get a row, the newest; the oldest of them says that others came before."""
DAY: Final = timedelta(days=1)
SET_FORTH: Final = (
    *("decided_until", "next_due_at", "next_look_at", "counts_since"),
    *("paused_since", "paused_until", "paused_by", "paused_reason"),
)


def decide(leader: Leader, at: datetime) -> int:
    """Decide what is due; the number of due times. LeadLost when another beat leads: then nothing is written."""
    if not Schedule.objects.to_look_at(at).exists():
        return 0
    since = leader.last_turn_at
    with transaction.atomic():
        token = leader.insist(at)
        rows = Schedule.objects.known().to_look_at(at).select_for_update(of=("self",), skip_locked=True)
        ticks = [tick for schedule in rows[:BATCH] for tick in _settled(schedule, token, since, at)]
        made = Tick.objects.bulk_create(ticks, batch_size=500)
        to_start = [tick for tick in made if tick.decision == TickDecision.DUE]
        tasks = PeriodicTask.objects.filter(pk__in={tick.schedule.periodic_task_id for tick in to_start})
        tasks.update(last_run_at=at, total_run_count=F("total_run_count") + 1)
        transaction.on_commit(partial(tell_workers, [tick.pk for tick in to_start]))
    return len(ticks)


def _settled(schedule: Schedule, token: int, since: datetime | None, at: datetime) -> list[Tick]:
    """A row for each of its due times until now; the schedule goes on after the last of them."""
    try:
        ticks = list(_decided(schedule, token, since, at))
        set_next(schedule)
    except (ValueError, KeyError, OverflowError) as error:
        logger.exception("The rule of the schedule “%s” cannot be counted.", schedule)
        why = f"Its rule cannot be counted: {error}. Edit it."[:REASON_LENGTH]
        ticks = [_tick(schedule, at, token, at, TickDecision.REFUSED, why)]
        schedule.decided_until, schedule.next_due_at, schedule.next_look_at = at, None, None
    known = set(schedule.ticks.filter(due_at__in=[tick.due_at for tick in ticks]).values_list("due_at", flat=True))
    schedule.save(update_fields=SET_FORTH)
    return [tick for tick in ticks if tick.due_at not in known]


def _decided(schedule: Schedule, token: int, since: datetime | None, at: datetime) -> Iterator[Tick]:
    begin = look_back(schedule, at)
    found = overdue(schedule, begin, at)
    is_paused, begun, over = schedule.is_paused(at), schedule.paused_since, schedule.paused_until
    paused = {due for due in found if begun and (is_paused or (over and due < over))}
    for due in sorted(paused):
        yield _tick(schedule, due, token, at, TickDecision.PAUSED, why_paused(schedule))
    if begun and not is_paused:
        _end_pause(schedule)
    division = divided_by(schedule, [due for due in found if due not in paused], at)
    down = f"The scheduler was down {_span(since, at)}."
    before = " Earlier due times left no row." if found and begin > schedule.decided_until else ""
    begun_before = started_before(schedule, division.to_miss)
    for due in division.to_miss:
        if run := begun_before.get(due):
            yield _tick(schedule, due, token, at, TickDecision.DUPLICATE, f"{run} had been started for it.", run)
            continue
        why = f"{down}{before if due == found[0] else ''}"
        yield _tick(schedule, due, token, at, TickDecision.MISSED, why)
    for due in division.to_start:
        yield _tick(schedule, due, token, at, TickDecision.DUE, down if at - due > ON_TIME else "")
    schedule.decided_until = max([begin, *found[-1:]])


def _tick(
    schedule: Schedule,
    due: datetime,
    token: int,
    at: datetime,
    decision: TickDecision,
    reason: str = "",
    run: Run | None = None,
) -> Tick:
    sent_at = at if decision == TickDecision.DUE else None
    return Tick(
        schedule=schedule,
        due_at=due,
        token=token,
        decided_at=at,
        decision=decision,
        reason=reason[:REASON_LENGTH],
        sent_at=sent_at,
        run=run,
    )


def overdue(schedule: Schedule, begin: datetime, at: datetime) -> list[datetime]:
    """Its due times after `begin` that are to be decided by now, in order; the newest, when they are too many."""
    found = takewhile(lambda due: look_at(schedule, due) <= at, counted(schedule, begin))
    return list(deque(found, maxlen=MOST))


def look_back(schedule: Schedule, at: datetime) -> datetime:
    """Where the search for due times begins: as far back as they were decided, but for no more than there is room."""
    until, rule = schedule.decided_until, rule_of(schedule)
    if rule is None or at - until < DAY:
        return until
    begin = max(until, at - DAY * (MOST / _most_in_a_day(rule)))
    if begin > until and next(counted(schedule, begin), at) >= at:
        newest = last_due(rule, ZoneInfo(schedule.zone), at)
        return max(until, newest - DAY) if newest else begin
    return begin


def _most_in_a_day(rule: Rule) -> float:
    if wall := walls(rule):
        return len(wall.times)
    return max(1.0, DAY.total_seconds() / rule.seconds) if isinstance(rule, Every) else 1.0


def _end_pause(schedule: Schedule) -> None:
    """A pause whose end has come: its periodic task says so too, for the admin."""
    if schedule.paused_until:
        schedule.counts_since = max(schedule.counts_since, schedule.paused_until)
    schedule.paused_since = schedule.paused_until = None
    schedule.paused_by = schedule.paused_reason = ""
    PeriodicTask.objects.filter(pk=schedule.periodic_task_id).update(enabled=True)
    PeriodicTasks.update_changed()


def _span(since: datetime | None, at: datetime) -> str:
    until = f"until {_shown(at)}"
    return f"from {_shown(since)} {until}" if since and since < at - ON_TIME else until


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
