"""Take a step, and then those of its run that follow it: in the same child where one goes on."""

from __future__ import annotations

import logging

from jobs import clock
from jobs.child.link import Link
from jobs.child.supervision import Supervision
from jobs.errors import IllegalMove, LeaseLost
from jobs.interpreters.hosts import HOSTS
from jobs.models import Run, Step
from jobs.reconnect import AWAY, patiently, reconnect
from jobs.states import Runner, Status
from jobs.steps.dispatch import pass_on
from jobs.steps.hand_on import Claim, another, claim, in_turn_after
from jobs.steps.leases import LEASES

logger = logging.getLogger(__name__)


def supervise(step_id: int, *, worker_name: str) -> bool:
    """Run this step, or the next of its run, and those that follow; False when there is nothing to do."""
    try:
        mine = _first(step_id, worker_name)
    except AWAY as error:
        reconnect()
        logger.warning("A step waits for the reconciler, the database is away: %s", " ".join(str(error).split()))
        return False
    if mine is None:
        return False
    with Link() as link:
        while mine:
            mine = _run(mine, link, worker_name)
    HOSTS.let_retired_go()
    return True


def _first(step_id: int, worker_name: str) -> Claim | None:
    known = Step.objects.select_related("run__pipeline__project")
    step = known.filter(pk=step_id, status=Status.QUEUED, ready_at__isnull=False).first()
    return _claimed(step or another(step_id, clock.now()), worker_name)


def _claimed(step: Step | None, worker_name: str) -> Claim | None:
    try:
        return claim(step, at=clock.now(), worker_name=worker_name) if step else None
    except IllegalMove as refusal:
        logger.info("%s was not claimed: %s", step, refusal)
        return None


def _run(mine: Claim, link: Link, worker_name: str) -> Claim | None:
    """Run the step to its end; the one that follows, in the same child or, when it has ended, in a new one."""
    with LEASES.hold(mine.step, mine.token, since=mine.since) as hold:
        try:
            begun = patiently(lambda: Supervision(mine, hold, link, worker_name), is_over=lambda: hold.is_lost)
            following = begun.run()
        except LeaseLost as lost:
            logger.warning("%s", lost)
            return None
    if following or mine.step.run.runner != Runner.DISTRIBUTED:
        return following
    step = in_turn_after(mine.step, clock.now()) if LEASES.may_go_on else None
    if step:  # what the end of the last one has changed in its run counts for a new process
        step.run = Run.objects.select_related("pipeline__project").get(pk=step.run_id)
    following = _claimed(step, worker_name)
    if not following:
        pass_on(mine.step)
    return following
