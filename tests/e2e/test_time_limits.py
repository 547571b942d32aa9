"""A node that runs longer than it may is stopped, and the run names it and its limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.models import Project
from jobs.states import NodeStatus, Status
from tests.e2e.running import ended, start

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]
RUNNERS = ("sequential", "threads", "distributed")


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_tag_limits_its_node_and_not_the_others(worker: object, toy: Project, tmp_path: Path, runner: str) -> None:
    diary = tmp_path / "diary"
    settings = {"runner": runner, "node_time_limit_seconds": 50, "retries": 2}
    run = ended(start(toy, "naps_tagged", settings=settings, seconds=60.0, diary=str(diary)))
    sentence = "Node naps was stopped after 1 s, its time limit."
    assert (run.status, run.error) == (Status.FAILED, sentence)
    assert "end" not in diary.read_text()
    late = run.node_runs.get(name="naps")
    assert (late.status, late.error, late.attempts) == (NodeStatus.FAILED, sentence, 1)
    if runner == "distributed":  # another step
        assert run.node_runs.get(name="first").status == NodeStatus.SUCCEEDED


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_limit_of_the_pipeline_counts_for_each_node(
    worker: object, toy: Project, tmp_path: Path, runner: str
) -> None:
    settings: dict[str, Any] = {"runner": runner, "node_time_limit_seconds": 1}
    run = ended(start(toy, "naps_after", settings=settings, seconds=60.0, diary=str(tmp_path / "diary")))
    assert (run.status, run.error) == (Status.FAILED, "Node naps_after was stopped after 1 s, its time limit.")
    assert run.node_runs.get(name="second").status == NodeStatus.SUCCEEDED


def test_a_node_that_hears_nothing_is_killed(worker: object, toy: Project) -> None:
    settings = {"node_time_limit_seconds": 1, "grace_seconds": 1}
    run = ended(start(toy, "spins", settings=settings, seconds=60.0))
    assert (run.status, run.error) == (Status.FAILED, "Node spins was stopped after 1 s, its time limit.")
    assert run.node_runs.get().error == run.error
