"""Start a backfill's next dates, so many at once: after it is begun, after each end of a run, and by the reconciler.

A date and its run are written in one transaction, and so is the end of a run with the end of its date. Whoever dies
between the two leaves a date that waits, which the reconciler starts.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q

from jobs.backfills.plan import why_not
from jobs.errors import BadParameters, ConsoleError, NotNow
from jobs.models import Backfill, BackfillDate, Pipeline, Run
from jobs.reconnect import AWAY
from jobs.runs.launch import launch, snapshot_of
from jobs.runs.order import Order
from jobs.runs.prioritize import LAST
from jobs.states import FINAL, LIVE, Again, BackfillStatus, Cause, DateStatus, Overlap, Status
from jobs.steps.on_end import Follower
from jobs.structure.dated import dated
from jobs.structure.parameters import as_given
from jobs.structure.selection import read
from kedro_console.wire import Json

logger = logging.getLogger(__name__)

MOST_AT_A_TIME: Final = 20
"""How many dates are looked at in one go: whoever does it has other things to do, and the reconciler comes again."""
PATIENCE: Final = timedelta(seconds=30)
"""How much later the next try comes after a refusal that may pass."""
BATCH: Final = 200
LONGEST: Final = 500
ENDS: Final[dict[str, DateStatus]] = {
    Status.SUCCEEDED: DateStatus.SUCCEEDED,
    Status.FAILED: DateStatus.FAILED,
    Status.CRASHED: DateStatus.FAILED,
    Status.CANCELLED: DateStatus.CANCELLED,
}


def start_next(backfill_id: int, at: datetime) -> int:
    """Start the dates that have room now; how many were dealt with. Many processes may do it at once."""
    dealt = 0
    while dealt < MOST_AT_A_TIME and _deal_with_next(backfill_id, at):
        dealt += 1
    return dealt


def start_due(at: datetime) -> int:
    """The reconciler's part: ends that nobody wrote down, and dates that have room and were not started; how many."""
    mended = _write_missed_ends(at)
    rows = Backfill.objects.due(at).order_by("pk").values_list("pk", flat=True)[:BATCH]
    return mended + sum(start_next(pk, at) for pk in rows)


def _deal_with_next(backfill_id: int, at: datetime) -> bool:
    """Start the next date, or say why it does not run; False when there is none, or no room."""
    with transaction.atomic():
        rows = Backfill.objects.due(at).select_related("pipeline__project")
        backfill = rows.select_for_update(of=("self",), no_key=True).filter(pk=backfill_id).first()
        if backfill is None:
            return False
        under_way = backfill.dates.under_way().count()
        date = backfill.next_date
        if date is None:
            if not under_way:
                _finish(backfill, at)
            return False
        if under_way >= backfill.at_once or _is_in_line(backfill):
            return False
        if reason := _obstacle(backfill):
            _hold(backfill, reason, None)
            return False
        return _start(backfill, date, at)


def _finish(backfill: Backfill, at: datetime) -> None:
    facts = {"status": BackfillStatus.FINISHED, "finished_at": at, "wait_reason": "", "eligible_at": None}
    Backfill.objects.active().filter(pk=backfill.pk).update(**facts)


def _is_in_line(backfill: Backfill) -> bool:
    """One of its runs waits for another run: a further one would only make that line longer for everybody."""
    return backfill.dates.under_way().filter(run__status=Status.QUEUED, run__waits_for__isnull=False).exists()


def _obstacle(backfill: Backfill) -> str:
    """What stands against any further run now; "" for nothing."""
    pipeline = backfill.pipeline
    if why := pipeline.project.refusal(pipeline.name):
        return why
    if pipeline.overlap == Overlap.BOTH:
        return ""
    Pipeline.objects.select_for_update(no_key=True).get(pk=pipeline.pk)  # nobody starts one before we have looked
    other = pipeline.runs.live().order_by("pk").first()
    return f"Run #{other.pk} of the pipeline is {other.status}, and its runs do not overlap." if other else ""


def _hold(backfill: Backfill, reason: str, until: datetime | None) -> None:
    if (reason, until) != (backfill.wait_reason, backfill.eligible_at):
        Backfill.objects.filter(pk=backfill.pk).update(wait_reason=reason[:LONGEST], eligible_at=until)


def _start(backfill: Backfill, date: BackfillDate, at: datetime) -> bool:
    """Its run, in the transaction of whoever calls; False when something else than this date stands against it."""
    known = Run.objects.filter(pipeline=backfill.pipeline_id, due_at=date.due_at).order_by("-id").first()
    if known and known.status in LIVE:
        return _write(date, DateStatus.RUNNING, run=known, reason="Another start of this date was under way.")
    again = backfill.again if date.attempt == 1 else Again.UNSUCCESSFUL
    if reason := why_not(known, again):
        return _write(date, DateStatus.SKIPPED, run=known, reason=reason)
    try:
        with transaction.atomic():
            run = launch(_order(backfill, date, at), at=at)
    except AWAY:
        raise
    except BadParameters as refusal:
        return _write(date, DateStatus.FAILED, run=None, reason=str(refusal))
    except NotNow as refusal:
        _hold(backfill, str(refusal), None)
        return False
    except ConsoleError as refusal:
        _hold(backfill, str(refusal), at + PATIENCE)
        return False
    except Exception as error:
        logger.exception("%s could not be started.", date)
        _hold(backfill, f"It failed unexpectedly: {type(error).__name__}: {error}", at + PATIENCE)
        return False
    _hold(backfill, "", None)
    return _write(date, ENDS.get(run.status, DateStatus.RUNNING), run=run, reason=run.error)


def _write(date: BackfillDate, status: DateStatus, *, run: Run | None, reason: str) -> bool:
    facts = {"status": status, "run": run, "reason": reason.replace("\x00", "")[:LONGEST]}
    return bool(BackfillDate.objects.waiting().filter(pk=date.pk).update(**facts))


def _order(backfill: Backfill, date: BackfillDate, at: datetime) -> Order:
    pipeline, selection = backfill.pipeline, read(backfill.selection)
    snapshot = snapshot_of(pipeline, selection.env, at=at, may_read=False)
    zone = ZoneInfo(backfill.zone)
    parameters = dated(backfill.parameters, backfill.path, date.due_at, zone, pipeline=pipeline, snapshot=snapshot)
    return Order(
        pipeline,
        Cause.BACKFILL,
        by=backfill.requested_by,
        by_name=backfill.requested_by_name,
        cause_detail=f"{backfill} for {date.due_at.astimezone(zone):%Y-%m-%d %H:%M} {backfill.zone}",
        parameters=as_given(parameters),
        selection=selection,
        runner=backfill.runner,
        priority=min(LAST, pipeline.priority + 1),
        idempotency_key=f"backfill:{backfill.pk}:{date.due_at.isoformat()}:{date.attempt}",
        due_at=date.due_at,
    )


# ---- what follows an end


def _lock(pipeline_id: int) -> None:
    """Nothing: a date is written by its key alone, and what starts next starts after the commit."""


def _run_ended(run: Run, at: datetime) -> None:
    """The end of its date; a run that was started again by hand stands for the date of the one before it."""
    if run.due_at is not None:
        _end_dates(run)
    if Backfill.objects.active().filter(pipeline=run.pipeline_id).exists():
        transaction.on_commit(partial(_start_after, run.pipeline_id, at), robust=True)


def _end_dates(run: Run) -> None:
    end = {"status": ENDS[run.status], "reason": run.error.replace("\x00", "")[:LONGEST]}
    BackfillDate.objects.under_way().filter(run=run).update(**end)
    if run.retry_of_id:
        BackfillDate.objects.unsuccessful().filter(run=run.retry_of_id).update(run=run, **end)


def _start_after(pipeline_id: int, at: datetime) -> None:
    for pk in Backfill.objects.due(at).filter(pipeline=pipeline_id).order_by("pk").values_list("pk", flat=True):
        start_next(pk, at)


def _is_awaited(pipeline_id: int, nodes: Collection[str]) -> bool:
    return False


def _nodes_ended(run: Run, nodes: Collection[str], results: Mapping[str, Mapping[str, Json]], at: datetime) -> None:
    """Nothing waits for a node's end."""


FOLLOWER: Final = Follower(_lock, _run_ended, _is_awaited, _nodes_ended)


def _write_missed_ends(at: datetime) -> int:
    """Dates whose run has ended, or is gone, and that still look alive."""
    lost = BackfillDate.objects.under_way().filter(Q(run=None) | Q(run__status__in=sorted(FINAL)))
    return sum(_write_end(date) for date in lost.select_related("run")[:BATCH])


def _write_end(date: BackfillDate) -> int:
    run = date.run
    status, reason = (ENDS[run.status], run.error) if run else (DateStatus.FAILED, "Its run was deleted.")
    mine = BackfillDate.objects.under_way().filter(pk=date.pk, run=run)
    return mine.update(status=status, reason=reason.replace("\x00", "")[:LONGEST])
