"""Pause, go on, stop, change, and run again what failed."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F

from jobs.backfills.start_next import start_next
from jobs.errors import BadParameters, IllegalMove, NotNow
from jobs.models import Backfill, Run
from jobs.models.act import record, recorded
from jobs.models.backfill import MOST_AT_ONCE
from jobs.runs.cancel import cancel
from jobs.states import BackfillStatus, DateStatus, Direction


def pause(backfill: Backfill, *, at: datetime, by: str) -> None:
    """Start no further date until it is resumed; what runs goes on. IllegalMove when it is over."""
    facts = {"paused_at": at, "paused_by": by, "wait_reason": "", "eligible_at": None}
    _move(backfill, "paused", {BackfillStatus.RUNNING}, BackfillStatus.PAUSED, **facts)


def resume(backfill: Backfill, *, at: datetime, by: str) -> None:
    """Go on with the next dates; IllegalMove when it is not paused."""
    _move(backfill, "resumed", {BackfillStatus.PAUSED}, BackfillStatus.RUNNING, paused_at=None, paused_by="")
    start_next(backfill.pk, at)
    backfill.refresh_from_db()


def stop(backfill: Backfill, *, at: datetime, by: str, cancels_runs: bool = False) -> int:
    """Start no date any more, for good; how many runs were asked to stop too. IllegalMove when it is over."""
    facts = {"finished_at": at, "stopped_by": by, "wait_reason": "", "eligible_at": None}
    with transaction.atomic():
        _move(backfill, "stopped", {BackfillStatus.RUNNING, BackfillStatus.PAUSED}, BackfillStatus.STOPPED, **facts)
        reason = f"Stopped by {by or 'somebody'} before it began."
        backfill.dates.waiting().update(status=DateStatus.CANCELLED, reason=reason)
    return _cancel_runs(backfill, at, by) if cancels_runs else 0


def _cancel_runs(backfill: Backfill, at: datetime, by: str) -> int:
    asked = 0
    numbers = backfill.dates.under_way().values("run")
    for run in Run.objects.filter(pk__in=numbers).select_related("pipeline").order_by("pk"):
        try:
            cancel(run, at=at, by=by)
            asked += 1
        except IllegalMove:
            continue  # it ended in this moment
    return asked


def change(backfill: Backfill, *, at: datetime, at_once: int | None = None, direction: str | None = None) -> None:
    """Another limit or order, from the next start on; IllegalMove when it is over."""
    given = {"at_once": at_once, "direction": direction}
    wanted = {name: value for name, value in given.items() if value is not None}
    if at_once is not None and not 1 <= at_once <= MOST_AT_ONCE:
        raise BadParameters({"at_once": f"Write a whole number from 1 to {MOST_AT_ONCE}."})
    if direction is not None and direction not in Direction.values:
        raise BadParameters({"direction": f"Write {' or '.join(Direction.values)}."})
    with transaction.atomic(), recorded("changed", backfill):
        live = Backfill.objects.filter(pk=backfill.pk, finished_at=None)
        if wanted and not live.update(**wanted):
            raise NotNow(f"The {backfill} is over: begin another one.")
    start_next(backfill.pk, at)
    backfill.refresh_from_db()


def run_again(backfill: Backfill, *, at: datetime, by: str) -> int:
    """Have the dates run once more that did not succeed, also those that a stop left out; how many.

    NotNow when there is none.
    """
    with transaction.atomic():
        Backfill.objects.select_for_update().get(pk=backfill.pk)
        rows = backfill.dates.unsuccessful()
        count = rows.update(status=DateStatus.WAITING, attempt=F("attempt") + 1, reason="")
        if not count:
            raise NotNow("None of its dates has failed or was cancelled.")
        facts = {"status": BackfillStatus.RUNNING, "finished_at": None, "stopped_by": "", "paused_at": None}
        Backfill.objects.filter(pk=backfill.pk).update(**facts, paused_by="", eligible_at=None)
        record("retried", backfill, after={"dates": count})
    start_next(backfill.pk, at)
    backfill.refresh_from_db()
    return count


def _move(backfill: Backfill, verb: str, sources: set[BackfillStatus], target: BackfillStatus, **facts: object) -> None:
    """One guarded UPDATE, and the act."""
    with transaction.atomic(), recorded(verb, backfill):
        rows = Backfill.objects.filter(pk=backfill.pk, status__in=sorted(sources))
        if not rows.update(status=target, **facts):
            backfill.refresh_from_db()
            raise IllegalMove("backfill", backfill.status, target)
    backfill.refresh_from_db()
