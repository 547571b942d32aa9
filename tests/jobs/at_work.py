"""Steps at work: claimed by a worker, and ended well."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from jobs.models import Run, Step
from jobs.states import Status
from jobs.steps.advance import Outcome, finish
from tests.factories import AT

LEASE = timedelta(seconds=20)


def running(run: Run) -> Step:
    step = run.steps.order_by("-attempt")[0]
    step.claim(at=AT, worker_name="w1", lease=LEASE)
    if run.status == Status.QUEUED:
        run.start(at=AT, by="w1")
    step.refresh_from_db()
    return step


def succeed(step: Step, **facts: Any) -> None:
    finish(step, Outcome(Status.SUCCEEDED, **facts), token=step.lease_token, at=AT, by="w1")
