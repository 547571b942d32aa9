"""A process that does not end well after its nodes had succeeded: the run is not plainly green."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from jobs.models import Step
from jobs.states import Status
from jobs.steps.collect import Collector
from jobs.steps.outcome import bad_end, outcome_of
from jobs.steps.verdict import Ended
from kedro_console import wire
from tests.factories import make_run

pytestmark = pytest.mark.django_db

BEGUN = wire.ChildStarted(0.0, 1, "fork", "r", "1.7.0", "3.11.7")
OPEN = "files that it still had open may be incomplete."


def left(**facts: Any) -> wire.ChildExited:
    known: dict[str, Any] = {"exit_code": 0, "signal": None, "peak_memory_bytes": 0, "cpu_seconds": 0.0}
    return wire.ChildExited(time.time(), **{**known, **facts})


@pytest.mark.parametrize(
    ("facts", "how"),
    [
        ({"exit_code": None, "signal": 9, "is_stuck": True}, "got stuck when it ended, and was killed"),
        ({"exit_code": None, "signal": 11}, "was ended by SIGSEGV (signal 11)"),
        ({"exit_code": 3}, "ended with exit code 3"),
    ],
    ids=["stuck", "crashed", "exit code"],
)
def test_a_bad_end_is_a_warning(facts: dict[str, Any], how: str) -> None:
    assert bad_end(left(**facts)) == f"The nodes had succeeded, but then their process {how}: {OPEN}"


def test_a_good_end_is_none() -> None:
    assert bad_end(left()) == ""


def test_a_step_that_succeeded_keeps_its_status_and_gets_the_warning() -> None:
    step: Step = make_run().steps.get()
    seen = Collector(step, uuid.uuid4(), set())
    for event in (BEGUN, wire.RunFinished(time.time(), 1.0), left(exit_code=None, signal=11)):
        seen.take(event)
    outcome = outcome_of(seen, Ended())
    assert outcome.status == Status.SUCCEEDED and "SIGSEGV" in outcome.warning


def test_a_step_that_failed_has_its_error_only() -> None:
    step: Step = make_run().steps.get()
    seen = Collector(step, uuid.uuid4(), set())
    seen.take(BEGUN)
    seen.take(left(exit_code=1))
    outcome = outcome_of(seen, Ended())
    assert (outcome.status, outcome.warning) == (Status.CRASHED, "")
