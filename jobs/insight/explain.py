"""Why a run waits, in plain sentences with live values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from django.conf import settings
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce

from jobs.insight.durations import first_looked_at, lately_since, usual, usual_start_of, usual_times
from jobs.insight.examine_waits import listen
from jobs.models import Grant, Quota, Run, Step, Worker
from jobs.quotas.quotas import turn_of
from jobs.quotas.turns import Amount
from jobs.states import Runner, Status
from jobs.steps.overlap import blocker
from jobs.structure.spoken import brief


class Act(StrEnum):
    """What somebody may do about a wait."""

    GO_FIRST = "go_first"
    RAISE_SLOTS = "raise_slots"
    RESUME_WORKER = "resume_worker"
    OPEN_QUOTA = "open_quota"
    RAISE_QUOTA = "raise_quota"
    CANCEL_OTHER = "cancel_other"


@dataclass(frozen=True)
class Ending:
    """A run that makes room, and in how many seconds it should; None: it has gone on for longer than usual."""

    run: Run
    seconds: float | None


@dataclass(frozen=True)
class Reason:
    """One thing that holds a run back; `at` is the moment the sentence ends with, `mend` a command."""

    sentence: str
    is_bad: bool = False
    at: datetime | None = None
    mend: str = ""
    run: Run | None = None
    """The run that it waits for."""
    quota: Quota | None = None
    """The quota whose turn it waits for."""
    since: datetime | None = None
    """Since when, for what is under way."""
    workers: tuple[Worker, ...] = ()
    """Those that could take it: all busy, or all paused."""
    first: Ending | None = None
    """What makes room first."""
    acts: tuple[Act, ...] = ()
    """What helps, where somebody may do it."""

    @property
    def is_of_workers(self) -> bool:
        """Whether the page of the workers says more."""
        return bool(self.workers or self.mend)


MOST_GRANTS: Final = 5
TAKEN_SOON: Final = timedelta(seconds=2)
"""A step of a run under way that is taken and begins within this is not spoken of."""
MOST_WORKERS: Final = 3
"""Paused ones that are named, each with its act."""
MOST_AT_WORK: Final = 8
"""Steps at work that are looked at for the one that ends first."""


def why_waiting(
    run: Run, at: datetime, successes: tuple[int, ...] | None = None, *, has_grants: bool = True
) -> list[Reason]:
    """The reasons, the worst first; empty when the run does not wait.

    `successes` are the runs that say how long its process usually takes to start, where they are known already;
    `has_grants` is false where it is known that the run waits for no quota.
    """
    if run.is_final:
        return []
    grants = Grant.objects.waiting().filter(run=run).select_related("quota")[:MOST_GRANTS] if has_grants else ()
    return sorted(_reasons(run, at, successes, grants), key=lambda reason: not reason.is_bad)


def _reasons(run: Run, at: datetime, successes: tuple[int, ...] | None, grants: Iterable[Grant]) -> Iterator[Reason]:
    if run.cancel_requested_at:
        return  # what is left of it is being stopped: `stopping` tells how far that is
    if run.waits_for_id and (found := blocker(run)):
        other, why = found
        normal = usual(other.pipeline_id, before=other.pk)
        first = _ending(other, normal.median if normal else None, at)
        yield Reason(f"{why[0].upper()}{why[1:]}.", run=other, first=first, acts=(Act.CANCEL_OTHER,))
    elif turns := [_turn(grant, at) for grant in grants]:
        yield from turns
    elif run.wait_reason:
        yield Reason(f"{run.wait_reason} It starts" if run.eligible_at else run.wait_reason, at=run.eligible_at)
    if run.status != Status.QUEUED:
        if not run.begun_with:
            yield _starting(run, successes)
        elif run.runner == Runner.DISTRIBUTED:
            yield from _further_steps(run, at, successes)
        return
    step = _first_ready(run, at)
    if step is not None and step.eligible_at and step.eligible_at > at:
        yield from (reason for reason in _queue(step, at) if reason.is_bad)
    elif step is not None:
        yield from _queue(step, at)
        yield from _message(step)


def _first_ready(run: Run, at: datetime) -> Step | None:
    """Its next step, with how many `are_before` it in the line of its queue."""
    before = Step.objects.ready(at).filter(
        queue=OuterRef("queue"), pk__lt=OuterRef("pk"), priority__lte=OuterRef("priority")
    )
    count = before.order_by().values("queue").annotate(count=Count("pk")).values("count")
    ready = run.steps.filter(status=Status.QUEUED, ready_at__isnull=False).order_by("position", "-attempt")
    return ready.annotate(are_before=Coalesce(Subquery(count), 0)).first()


def _further_steps(run: Run, at: datetime, successes: tuple[int, ...] | None) -> Iterator[Reason]:
    """Of a run under way: the step whose process has not said yet that it begins, and the next that is to be taken."""
    begun = run.steps.filter(status=Status.RUNNING, revision="").order_by("started_at").first()
    if begun is not None and begun.started_at and at - begun.started_at > TAKEN_SOON:
        told = _starting(run, successes)
        sentence = told.sentence.replace("the project's process", f"another process, for {_nodes(begun)}")
        yield replace(told, sentence=sentence, since=begun.started_at)
    step = _first_ready(run, at)
    if step is None or not step.ready_at or at - step.ready_at < TAKEN_SOON or (step.eligible_at or at) > at:
        return
    ready = f"{_nodes(step, 'Node')} {'are' if len(step.nodes) > 1 else 'is'} ready."
    for reason in _queue(step, at):
        yield replace(reason, sentence=f"{ready} {reason.sentence}")


def _nodes(step: Step, word: str = "node") -> str:
    first, *others = step.nodes or ["?"]
    return f"{word} {first}{f' and {len(others)} more' if others else ''}"


def _starting(run: Run, successes: tuple[int, ...] | None) -> Reason:
    """Its worker has the first step, and no process of the run has said yet with what code it begins."""
    seconds = usual_start_of(usual_times(run.pipeline_id, before=run.pk)[1] if successes is None else successes)
    normally = "" if seconds is None else f" (usually {brief(seconds)})"
    return Reason(f"Starting the project's process{normally}", since=run.started_at)


def _turn(grant: Grant, at: datetime) -> Reason:
    """What holds a grant back now, and when its turn should come."""
    quota = grant.quota
    due = turn_of(quota, Amount(grant.requests, grant.rows), at, grant.pk)
    who = f"Node {grant.node} waits. " if grant.node else ""
    why = due.reason.removeprefix(f"The quota {quota} is ").rstrip(".").replace(": it allows", ", it allows")
    if due.at is None:
        acts = (Act.RAISE_QUOTA,) if due.is_never else (Act.OPEN_QUOTA,)
        return Reason(
            f"{who}Quota {quota}: {why}. It waits until somebody opens it.", due.is_never, quota=quota, acts=acts
        )
    ahead = quota.grants.expected(at).filter(pk__lt=grant.pk).count()
    line = f", {ahead} before it in the line" if ahead else ""
    told = f"{why}{line}. It opens" if why else "its turn is now, since"
    moment = max(due.at, grant.due_at or due.at)
    acts = (Act.OPEN_QUOTA,) if quota.is_paused(at) or quota.is_closed(at) else (Act.RAISE_QUOTA,)
    return Reason(f"{who}Quota {quota}: {told}", at=moment, quota=quota, acts=acts)


def _queue(step: Step, at: datetime) -> Iterator[Reason]:
    alive = list(Worker.objects.alive(at))
    listeners = [worker for worker in alive if step.queue in worker.queues]
    if not alive:
        yield Reason("No worker is alive.", is_bad=True, mend=settings.CONSOLE_START)
    elif not listeners:
        yield Reason(f"No worker listens to the queue {step.queue}.", is_bad=True, mend=listen(step.queue))
    elif taking := [worker for worker in listeners if worker.is_taking]:
        yield from _slots(step, taking, at)
    else:
        paused = tuple(listeners[:MOST_WORKERS])
        sentence = f"Every worker of the queue {step.queue} is paused or draining."
        yield Reason(sentence, is_bad=True, workers=paused, acts=(Act.RESUME_WORKER,))


def _slots(step: Step, listeners: list[Worker], at: datetime) -> Iterator[Reason]:
    busy, slots = sum(worker.busy for worker in listeners), sum(worker.slots for worker in listeners)
    if busy < slots:
        yield Reason(f"{slots - busy} of {slots} slots of the queue {step.queue} are free; it starts in a moment.")
        return
    ahead: int = vars(step)["are_before"]
    before = {0: "this run is next", 1: "one step is before it"}.get(ahead, f"{ahead} steps are before it")
    yield Reason(
        f"All {slots} slots of the queue {step.queue} are busy; {before}.",
        workers=tuple(listeners),
        first=_ends_first([worker.name for worker in listeners], at),
        acts=(Act.RAISE_SLOTS, Act.GO_FIRST) if ahead and step.priority else (Act.RAISE_SLOTS,),
    )


def _ends_first(names: Iterable[str], at: datetime) -> Ending | None:
    """Of the runs that these workers are at, the one that should end first."""
    rows = Step.objects.running().filter(worker_name__in=list(names)).select_related("run__pipeline")
    steps = list(rows.annotate(floor=first_looked_at("run__pipeline")).order_by("started_at")[:MOST_AT_WORK])
    runs = {step.run_id: step.run for step in steps}
    normal = lately_since({step.run.pipeline_id: vars(step)["floor"] or 0 for step in steps}, at=at)
    endings = [_ending(run, normal[run.pipeline_id].usual_seconds, at) for run in runs.values()]
    return min(endings, key=lambda each: (each.seconds is None, each.seconds), default=None)


def _ending(run: Run, normal: float | None, at: datetime) -> Ending:
    if normal is None or run.started_at is None:
        return Ending(run, None)
    left = normal - (at - run.started_at).total_seconds()
    return Ending(run, left if left > 0 else None)


def _message(step: Step) -> Iterator[Reason]:
    if step.sent_at is None:
        yield Reason("Its message has not been sent yet; it will be sent until a worker takes the step.")
    else:
        yield Reason("Its message was sent", at=step.sent_at)
