"""Start what a due time is to start, once: the run and the decision are written together."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from django.db import transaction

from jobs.errors import ConsoleError, IllegalMove, NotNow, RequestError, SchedulePaused, TickTaken
from jobs.models import Pipeline, Run, Schedule, Tick
from jobs.models.act import recorded
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.schedules.backlog import ON_TIME, divided_by
from jobs.schedules.due import MOMENT, counted, rule_of, why_paused
from jobs.schedules.dues import Every, last_due
from jobs.states import Cause, Status, TickDecision
from jobs.stored import opened
from jobs.structure.dated import dated
from jobs.structure.parameters import as_given, settled
from jobs.structure.selection import read
from kedro_console.wire import Group, Json

if TYPE_CHECKING:
    from django.contrib.auth.models import User

EARLY: Final = timedelta(seconds=2)  # so far may the clock of a beat be ahead of ours


def begin(tick_id: int, at: datetime) -> Tick | None:
    """Start what this tick is to start, or write down why not; None when that has been decided already."""
    tick = Tick.objects.select_related("schedule__periodic_task", "schedule__pipeline__project").filter(pk=tick_id)
    known = tick.first()
    if known is None or known.decision != TickDecision.DUE:
        return None
    if at - max(known.due_at, known.decided_at) > ON_TIME:
        _sort_out(known.schedule, at)
        known = tick.get()
    return known if known.decision == TickDecision.DUE and _begin(known, at) else None


def _begin(tick: Tick, at: datetime) -> bool:
    schedule = tick.schedule
    if schedule.is_paused(at):
        return tick.settle(TickDecision.PAUSED, at=at, reason=why_paused(schedule))
    pipeline = schedule.pipeline
    if pipeline is None or not pipeline.is_registered:
        gone = f"“{pipeline.name}”" if pipeline else "that it starts"
        why = f"The pipeline {gone} no longer exists: edit the schedule or delete it."
        return tick.settle(TickDecision.REFUSED, at=at, reason=why)
    if run := _started(schedule, pipeline, tick.due_at):
        return tick.settle(TickDecision.DUPLICATE, at=at, reason=f"{run} had been started for it.", run=run)
    try:
        launch(order_of(tick, pipeline, at), at=at)
    except TickTaken:
        return False
    except SchedulePaused as refusal:
        return tick.settle(TickDecision.PAUSED, at=at, reason=str(refusal))
    except NotNow as refusal:
        return tick.settle(TickDecision.SKIPPED, at=at, reason=str(refusal))
    except ConsoleError as refusal:
        return tick.settle(TickDecision.REFUSED, at=at, reason=str(refusal))
    return True


def order_of(tick: Tick, pipeline: Pipeline, at: datetime) -> Order:
    schedule = tick.schedule
    return Order(
        pipeline,
        Cause.SCHEDULE,
        parameters=_parameters(schedule, pipeline, tick.due_at),
        selection=read(schedule.selection),
        runner=schedule.runner,
        overlap=schedule.overlap,
        idempotency_key=key_of(schedule, pipeline, tick.due_at),
        cause_detail=schedule.name,
        due_at=tick.due_at,
        with_run=lambda run: _settled(tick, run, at),
    )


def _parameters(schedule: Schedule, pipeline: Pipeline, due: datetime) -> Group:
    """With the date of the due time where the schedule names a parameter for it: as a backfill has it."""
    path = tuple(schedule.date_parameter)
    if not path or (snapshot := pipeline.project.snapshot) is None:
        return dict(schedule.parameters)
    own = settled(schedule.parameters, snapshot.picture.parameters)
    return as_given(dated(own, path, due, ZoneInfo(schedule.zone), pipeline=pipeline, snapshot=snapshot))


def _settled(tick: Tick, run: Run, at: datetime) -> None:
    """Within the transaction that writes the run: it is this due time's, or it does not come to be.

    A pause that is saved meanwhile comes before it, and is seen, or after it.
    """
    schedule = Schedule.objects.select_for_update(no_key=True).get(pk=tick.schedule_id)
    if schedule.is_paused(at):
        raise SchedulePaused(why_paused(schedule))
    if run.status == Status.FAILED:
        decision, reason = TickDecision.REFUSED, run.error
    else:
        is_late = at - tick.due_at > ON_TIME and bool(tick.reason)
        decision, reason = (TickDecision.MADE_UP if is_late else TickDecision.STARTED), tick.reason
    if not tick.settle(decision, at=at, reason=reason, run=run):
        raise TickTaken


def key_of(schedule: Schedule, pipeline: Pipeline, due: datetime) -> str:
    return f"{_prefix(schedule, pipeline)}{due.isoformat()}"


def _prefix(schedule: Schedule, pipeline: Pipeline) -> str:
    return f"schedule:{schedule.periodic_task_id}:{pipeline.pk}:"


def _started(schedule: Schedule, pipeline: Pipeline, due: datetime) -> Run | None:
    """The run that was started for this due time without a tick, as a worker of an earlier version does."""
    if run := Run.objects.of_key(key_of(schedule, pipeline, due)):
        return run
    rule = rule_of(schedule)
    if not isinstance(rule, Every):
        return None
    half = timedelta(seconds=rule.seconds) / 2
    near = pipeline.runs.filter(ticks=None, cause=Cause.SCHEDULE, created_at__gt=due - half, created_at__lt=due + half)
    return near.filter(idempotency_key__startswith=f"{_prefix(schedule, pipeline)}after-").if_there()


def started_before(schedule: Schedule, dues: Sequence[datetime]) -> dict[datetime, Run]:
    """Of these due times, in order, those that an earlier version has started without a tick, with the run."""
    pipeline, rule = schedule.pipeline, rule_of(schedule)
    if not dues or pipeline is None:
        return {}
    half = timedelta(seconds=rule.seconds) / 2 if isinstance(rule, Every) else timedelta(0)
    mine = pipeline.runs.filter(ticks=None, cause=Cause.SCHEDULE, created_at__gt=dues[0] - half - EARLY)
    runs = mine.filter(idempotency_key__startswith=_prefix(schedule, pipeline)).order_by("created_at")
    found: dict[datetime, Run] = {}
    keys = {key_of(schedule, pipeline, due): due for due in dues}
    for run in runs[: len(dues) + 1]:
        place = bisect(dues, run.created_at)
        near = next((due for due in dues[max(0, place - 1) : place + 1] if abs(due - run.created_at) < half), None)
        if due := keys.get(run.idempotency_key or "", near):
            found.setdefault(due, run)
    return found


def _sort_out(schedule: Schedule, at: datetime) -> None:
    """No worker was there for a while: the schedule says which of what waits still starts."""
    waiting = list(schedule.ticks.waiting().order_by("due_at"))
    there = set(divided_by(schedule, [tick.due_at for tick in waiting], at).to_miss)
    for tick in waiting:
        if tick.due_at in there:
            why = f"No worker was there to start it until {_shown(at)}."
            tick.settle(TickDecision.MISSED, at=at, reason=why)


# ---- asked for by a message of an earlier version, or by hand ------------------------------------------


def start_scheduled(
    pipeline_id: int,
    parameters: dict[str, Json],
    schedule_name: str,
    at: datetime,
    selection: dict[str, Json] | None = None,
) -> Run | None:
    """The run of this schedule for the newest due time; asked again, the same run. None when that does not count.

    Without a name it is one more run of the pipeline with these parameters and choices.
    RequestError when the schedule or its pipeline is gone, BadParameters when the project changed under it.
    """
    if schedule_name:
        return _start_by_name(schedule_name, at)
    pipeline = Pipeline.objects.select_related("project").filter(pk=pipeline_id).first()
    if pipeline is None:
        raise RequestError(f"There is no pipeline {pipeline_id} any more.")
    given = Order(pipeline, Cause.SCHEDULE, parameters=opened(parameters), selection=read(selection or {}))
    return launch(given, at=at)


def _start_by_name(name: str, at: datetime) -> Run | None:
    schedule = Schedule.objects.known().filter(periodic_task__name=name).first()
    if schedule is None:
        raise RequestError(f"The schedule “{name}” was deleted or renamed before its run could start.")
    due = _newest_due(schedule, at + EARLY)
    if due is None:
        return None
    with transaction.atomic():
        Schedule.objects.select_for_update().get(pk=schedule.pk)
        facts = {"decision": TickDecision.DUE, "decided_at": at, "sent_at": at}
        tick, _ = Tick.objects.get_or_create(schedule=schedule, due_at=due, defaults=facts)
    begin(tick.pk, at)
    tick.refresh_from_db()
    return tick.run


def _newest_due(schedule: Schedule, at: datetime) -> datetime | None:
    rule = rule_of(schedule)
    due = last_due(rule, ZoneInfo(schedule.zone), at) if rule else None
    return due if due and next(counted(schedule, due - MOMENT), None) == due else None


# ---- asked for by people -------------------------------------------------------------------------------


def run_now(schedule: Schedule, *, at: datetime, by: User | None, by_name: str = "") -> Run:
    """One run more, whatever its due times are; raises what `launch` raises, and RequestError without a pipeline."""
    order = Order(
        _pipeline(schedule),
        Cause.MANUAL,
        by=by,
        by_name=by_name,
        parameters=schedule.parameters,
        selection=read(schedule.selection),
        runner=schedule.runner,
        overlap=schedule.overlap,
        cause_detail=f"schedule {schedule.name}, run now",
    )
    return launch(order, at=at)


def make_up(tick: Tick, *, at: datetime, by: User | None, by_name: str = "") -> Run:
    """Start what this due time did not; IllegalMove when it has, or is about to. Raises what `launch` raises too."""
    if tick.decision not in tick.WITHOUT_RUN:
        raise IllegalMove("due time", tick.get_decision_display(), "made up for")
    known = Schedule.objects.known().get(pk=tick.schedule_id)
    order = Order(
        _pipeline(known),
        Cause.MANUAL,
        by=by,
        by_name=by_name,
        parameters=_parameters(known, _pipeline(known), tick.due_at),
        selection=read(known.selection),
        runner=known.runner,
        overlap=known.overlap,
        cause_detail=f"schedule {known.name}, for {_shown(tick.due_at)}"[:300],
        due_at=tick.due_at,
        with_run=lambda run: _made_up(tick, run, at),
    )
    return launch(order, at=at)


def dismiss(tick: Tick, *, at: datetime, by: str) -> None:
    """Somebody knows of it: it troubles nobody any more."""
    with transaction.atomic(), recorded("dismissed", tick):
        Tick.objects.filter(pk=tick.pk, dismissed_at=None).update(dismissed_at=at, dismissed_by=by[:150])
    tick.refresh_from_db()


def _pipeline(schedule: Schedule) -> Pipeline:
    if schedule.pipeline is None:
        raise RequestError(f"The schedule “{schedule}” starts no pipeline that is known: edit it.")
    return schedule.pipeline


def _made_up(tick: Tick, run: Run, at: datetime) -> None:
    if not tick.become_made_up(run, at=at):
        raise TickTaken


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
