"""A step that failed with an exception starts again by its pipeline's policy, promptly when its wait is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs import clock
from jobs.insight.explain import why_waiting
from jobs.models import LogChunk, Project, Run
from jobs.states import NodeStatus, Status
from tests import live
from tests.e2e.running import ended, start

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

POLICY = {"retries": 2, "retry_wait_seconds": 2, "retry_factor": 1.0, "retry_jitter": 0.0}


def late(toy: Project, tmp_path: Path, failures: int, *, name: str = "answers_late", **settings: Any) -> Run:
    diary = str(tmp_path / "diary")
    return start(toy, name, settings={**POLICY, **settings}, failures=failures, diary=diary)


def test_a_step_that_fails_twice_succeeds_at_the_third_attempt(worker: object, toy: Project, tmp_path: Path) -> None:
    run = late(toy, tmp_path, failures=2)

    def look() -> Run | None:
        run.refresh_from_db()
        return run if run.wait_reason else None

    live.until(look, what="a retry that waits")
    assert run.status == Status.RUNNING
    assert run.wait_reason.startswith("Retry 1 of 2 at ")
    assert run.wait_reason.endswith(" UTC after ConnectionResetError: nobody answered.")
    assert why_waiting(run, clock.now())[0].at == run.eligible_at
    assert ended(run).status == Status.SUCCEEDED
    steps = list(run.steps.order_by("attempt"))
    assert [step.status for step in steps] == [Status.FAILED, Status.FAILED, Status.SUCCEEDED]
    waits = [(step.started_at - step.eligible_at).total_seconds() for step in steps[1:]]
    assert all(0 <= wait < 10 for wait in waits), waits
    assert set(LogChunk.objects.filter(run=run).values_list("step__attempt", flat=True)) == {1, 2, 3}
    assert run.node_runs.get(name="answers_late").attempts == 3
    assert (run.wait_reason, run.eligible_at, run.nodes_done) == ("", None, 3)


def test_a_resumable_run_tries_only_the_node_that_failed_again(worker: object, toy: Project, tmp_path: Path) -> None:
    run = ended(late(toy, tmp_path, failures=1, is_resumable=True, retry_wait_seconds=0))
    assert run.status == Status.SUCCEEDED
    found = dict(run.node_runs.values_list("name", "attempts"))
    assert found == {"first": 1, "second": 1, "answers_late": 2}
    assert run.steps.get(attempt=2).nodes == ["answers_late"]
    assert run.nodes_done == 3


def test_a_step_that_fails_for_ever_ends_the_run_after_its_retries(
    worker: object, toy: Project, tmp_path: Path
) -> None:
    run = ended(late(toy, tmp_path, failures=9, retry_wait_seconds=0))
    assert (run.status, run.steps.count()) == (Status.FAILED, 3)
    assert run.node_runs.get(name="answers_late").status == NodeStatus.FAILED


def test_a_tag_of_the_node_counts_more_than_the_policy(worker: object, toy: Project, tmp_path: Path) -> None:
    run = ended(late(toy, tmp_path, 3, name="answers_late_tagged", retries=0, retry_wait_seconds=0))
    assert (run.status, run.steps.count()) == (Status.SUCCEEDED, 4)


def test_only_the_named_exceptions_are_tried_again_and_a_base_class_names_its_own(
    worker: object, toy: Project, tmp_path: Path
) -> None:
    run = ended(late(toy, tmp_path, 1, retry_exceptions=["KeyError"], retry_wait_seconds=0))
    assert (run.status, run.steps.count()) == (Status.FAILED, 1)
    (tmp_path / "diary").unlink()
    run = ended(late(toy, tmp_path, 1, retry_exceptions=["ConnectionError"], retry_wait_seconds=0))
    assert (run.status, run.steps.count()) == (Status.SUCCEEDED, 2)
