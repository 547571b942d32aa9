"""Let a run in when its quotas do: until then it is queued with the reason and the time, and holds no worker."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from jobs.models import Grant, Pipeline, Quota, Run, Step
from jobs.quotas.quotas import LOOK_AGAIN, QuotaRefusal, hold, in_line, locked, turn_of
from jobs.quotas.turns import Amount, Turn, turn
from jobs.states import Status
from jobs.steps.alarm import ALARM
from jobs.steps.retry_policy import tell_wait

LINE: Final = 100
"""How many in a line are looked at when something has changed: those behind are called when they have moved up."""
WORTH: Final = timedelta(milliseconds=20)
ONE: Final = Amount(1)
LATELY: Final = 3
LONGEST_HEAD_START: Final = timedelta(seconds=1)


def admit(run: Run, step: Step, at: datetime) -> bool:
    """Whether this step may be claimed: its run holds what its pipeline takes. Otherwise it is put off until its turn.

    Asked under the lock of the run, before its first step and before each further attempt of one.
    """
    takes: dict[str, int] = step.run.pipeline.takes
    if not takes or not (run.status == Status.QUEUED or step.attempt > 1):
        return True
    if not Step.objects.filter(pk=step.pk, status=Status.QUEUED).exists():
        return True  # the claim will be refused and say why
    try:
        return _take_all(run, step, takes, at)
    except QuotaRefusal as refusal:
        _put_off(run, step, Turn(None, str(refusal)), at)
        return False


def _take_all(run: Run, step: Step, takes: dict[str, int], at: datetime) -> bool:
    """All of it or nothing: who holds one quota while it waits for another would waste it."""
    quotas = [locked(name) for name in sorted(takes)]
    lacking = {quota: Amount(lack) for quota in quotas if (lack := takes[quota.name] - _reserved(run, quota)) > 0}
    known: dict[int, Grant] = {row.quota_id: row for row in Grant.objects.waiting().filter(run=run, step=None)}
    places = {quota: known.get(quota.pk) or Grant(quota=quota, run=run, is_reserved=True) for quota in lacking}
    for place in known.values():
        if place not in places.values():
            place.delete()  # its pipeline does not take that quota any more
    turns = {quota: turn_of(quota, asked, at, places[quota].pk) for quota, asked in lacking.items()}
    if all(due.is_now(at) for due in turns.values()):
        for quota, asked in lacking.items():
            hold(quota, places[quota], asked, new=asked, at=at)
        return True
    last = max(turns, key=lambda quota: turns[quota].at or at + 2 * LOOK_AGAIN)
    for quota, due in turns.items():
        in_line(places[quota], lacking[quota], due, at, waits_elsewhere=quota != last)
    head_start = usual_head_start(step.run.pipeline, last) if list(lacking.values()) == [ONE] else timedelta(0)
    if turns[last].is_now(at + head_start):
        return True
    _put_off(run, step, turns[last], at, head_start)
    return False


def usual_head_start(pipeline: Pipeline, quota: Quota) -> timedelta:
    """How long before its turn a run may start, so that its node asks just then: none if not all of the last ones did.

    Such a run is given nothing early. It takes its place in the line along, and its node's question is held back.
    """
    runs = Run.objects.filter(pipeline=pipeline, status=Status.SUCCEEDED, started_at__isnull=False).order_by("-pk")
    started = dict(runs.values_list("pk", "started_at")[:LATELY])
    grants = Grant.objects.settled().filter(quota=quota, run__in=started).exclude(node="").order_by("-pk")
    asked = dict(grants.values_list("run", "asked_at"))  # of each run the first
    waits = [asked[number] - at for number, at in started.items() if at and number in asked]
    if not waits or len(waits) < len(started):
        return timedelta(0)
    return min(max(*waits, timedelta(0)) + WORTH, LONGEST_HEAD_START)


def _reserved(run: Run, quota: Quota) -> int:
    return sum(grant.requests for grant in quota.grants.held().filter(run=run, is_reserved=True))


def _put_off(run: Run, step: Step, due: Turn, at: datetime, head_start: timedelta = timedelta(0)) -> None:
    when, reason = due.at - head_start if due.at else at + LOOK_AGAIN, due.reason[:300]
    Step.objects.filter(pk=step.pk).update(eligible_at=when, wait_reason=reason, sent_at=None)
    Run.objects.filter(pk=run.pk, status=Status.QUEUED).update(eligible_at=due.at, wait_reason=reason)
    tell_wait(run.pk)
    transaction.on_commit(ALARM.ring)


def bring_forward(at: datetime) -> int:
    """Call those whose turn comes sooner than they were told, as somebody before them left or a quota opened."""
    waiting = Grant.objects.waiting().filter(step=None, run__isnull=False).order_by()
    return sum(_call_line(quota, at) for quota in Quota.objects.filter(pk__in=waiting.values("quota")))


def _call_line(quota: Quota, at: datetime) -> int:
    """A look without locks: whoever is called takes its turn, or is told a later time again."""
    windows, ahead, called = list(quota.windows.all()), Amount(), 0
    for grant in quota.grants.expected(at)[:LINE]:
        asked = Amount(grant.requests, grant.rows)
        due = turn(quota, windows, asked, at, ahead).at
        ahead += asked
        if due and grant.due_at and grant.step_id is None and due + WORTH < grant.due_at:
            called += _call(grant, grant.run_id or 0, due)
    return called


def _call(grant: Grant, run_id: int, due: datetime) -> int:
    with transaction.atomic():
        Run.objects.select_for_update().filter(pk=run_id).first()  # before its steps, as everybody does
        if not Grant.objects.waiting().order_by().filter(pk=grant.pk, due_at=grant.due_at).update(due_at=due):
            return 0
        steps = Step.objects.filter(run=run_id, status=Status.QUEUED, eligible_at__gt=due)
        steps.update(eligible_at=due, sent_at=None)
        Run.objects.filter(pk=run_id, status=Status.QUEUED).update(eligible_at=due)
        transaction.on_commit(ALARM.ring)
    return 1
