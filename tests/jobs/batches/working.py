"""Steps that work on a batch queue, and how they end."""

from __future__ import annotations

from datetime import timedelta

from jobs.models import Run, Step
from jobs.states import Status
from jobs.steps.advance import Outcome, finish
from kedro_console import wire
from tests.factories import AT, make_run

MINUTE = timedelta(minutes=1)


def rows(number: int, start: int = 0) -> list[tuple[str, wire.Json]]:
    return [(f"k{place:05}", {"place": place}) for place in range(start, start + number)]


def working(**facts: object) -> Step:
    """The running step of a run that was just started."""
    step = make_run(**facts).steps.get()
    step.claim(at=AT, worker_name="w1", lease=MINUTE)
    step.run.start(at=AT, by="w1")
    return Step.objects.select_related("run").get(pk=step.pk)


def end(step: Step, status: Status = Status.SUCCEEDED, error: str = "", **facts: object) -> Run:
    step.refresh_from_db()
    finish(step, Outcome(status, error, **facts), token=step.lease_token, at=AT + MINUTE, by="w1")
    return Run.objects.get(pk=step.run_id)


def crash(step: Step) -> Step:
    """The step's worker is lost; the next attempt, running."""
    end(step, Status.CRASHED, "lost", may_retry=True)
    again = step.run.steps.get(attempt=step.attempt + 1)
    again.claim(at=AT, worker_name="w2", lease=MINUTE)
    return Step.objects.select_related("run").get(pk=again.pk)
