"""Pause and resume: from then on nothing starts, or only what is due later."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from jobs.errors import BadParameters
from jobs.models import Schedule, Tick
from jobs.models.act import recorded
from jobs.models.tick import REASON_LENGTH
from jobs.schedules.backlog import ON_TIME
from jobs.schedules.decide import look_back, overdue
from jobs.schedules.due import set_next, why_paused
from jobs.states import TickDecision

COLUMNS = (
    *("counts_since", "decided_until", "next_due_at", "next_look_at"),
    *("paused_since", "paused_until", "paused_by", "paused_reason"),
)


def pause(schedule: Schedule, *, at: datetime, by: str, reason: str = "", until: datetime | None = None) -> None:
    """Nothing starts from now on, until then or until somebody resumes it; an existing pause gets the new end.

    BadParameters for an end that has passed.
    """
    if until and until <= at:
        raise BadParameters({"until": "This time has passed: give one in the future."})
    with transaction.atomic(), recorded("paused", schedule, why=reason):
        row = locked(schedule)
        leave_behind(row, at)
        row.paused_since = row.paused_since if row.is_paused(at) else at
        row.paused_until, row.paused_by, row.paused_reason = until, by[:150], reason[:300]
        _save(row, is_on=False)
    schedule.refresh_from_db()


def resume(schedule: Schedule, *, at: datetime, by: str) -> None:
    """Due times from now on start it again; those of the pause do not. One that is not paused stays as it is."""
    if schedule.paused_since is None and schedule.periodic_task.enabled:
        return
    with transaction.atomic(), recorded("resumed", schedule, why=f"by {by}" if by else ""):
        row = locked(schedule)
        leave_behind(row, at)
        row.paused_since = row.paused_until = None
        row.paused_by = row.paused_reason = ""
        row.counts_since = row.decided_until = at
        _save(row, is_on=True)
    schedule.refresh_from_db()


def locked(schedule: Schedule) -> Schedule:
    """As it is now, for this transaction alone. Its periodic task is read after that: a join brings an older one."""
    row = Schedule.objects.select_for_update().get(pk=schedule.pk)
    row.periodic_task = PeriodicTask.objects.get(pk=row.periodic_task_id)
    return row


def leave_behind(schedule: Schedule, at: datetime) -> None:
    """Due times until now that nobody has decided yet, as the scheduler was down: each leaves its row."""
    found = overdue(schedule, look_back(schedule, at), at)
    known = set(schedule.ticks.filter(due_at__in=found).values_list("due_at", flat=True))
    left = [_left(schedule, due, at) for due in found if due not in known]
    Tick.objects.bulk_create(left, batch_size=500)
    schedule.decided_until = max([schedule.decided_until, *found[-1:]])


def _left(schedule: Schedule, due: datetime, at: datetime) -> Tick:
    decision, why = TickDecision.MISSED, "The scheduler was down, and then the schedule was changed."
    if schedule.is_paused(at):
        decision, why = TickDecision.PAUSED, why_paused(schedule)
    elif at - due <= ON_TIME:
        why = "The schedule was changed a moment later, before this due time was decided."
    return Tick(schedule=schedule, due_at=due, decision=decision, reason=why[:REASON_LENGTH], decided_at=at)


def _save(schedule: Schedule, *, is_on: bool) -> None:
    set_next(schedule)
    schedule.save(update_fields=COLUMNS)
    PeriodicTask.objects.filter(pk=schedule.periodic_task_id).update(enabled=is_on)
    PeriodicTasks.update_changed()
