"""A nine-node machine-learning project: two workers come to the same model and figures as `kedro run`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.houses_project import kedro_run, take_report, write
from jobs import clock
from jobs.interpreters.snapshots import add_project
from jobs.models import Project
from jobs.states import Status
from tests import live
from tests.e2e.running import ended, start

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def houses(transactional_db: None, tmp_path: Path) -> Project:
    return add_project(write(tmp_path / "houses"), at=clock.now())


ROUNDS = 8


def test_nine_nodes_on_two_workers_come_to_the_figures_of_kedro_run(
    redis_server: subprocess.Popen[bytes], houses: Project
) -> None:
    expected = kedro_run(houses.folder)
    queue = {"CONSOLE_WORKER_QUEUES": "houses"}
    took_part: set[str] = set()
    with live.worker("north", slots=1, **queue), live.worker("south", slots=1, **queue):
        for _ in range(ROUNDS):  # nine nodes take half a second: a worker that is slow to wake comes too late for all
            run = ended(start(houses, "__default__", settings={"runner": "distributed", "queue": "houses"}))
            assert (run.status, run.error) == (Status.SUCCEEDED, "")
            assert (run.nodes_done, run.nodes_total) == (9, 9)
            took_part = {step.worker_name for step in run.steps.all()}
            if len(took_part) == 2:
                break
    assert took_part == {"north@test", "south@test"}
    made = take_report(houses.folder)
    assert made == expected, "not nearly: every figure of both models is the same"
    assert all(0.9 < score <= 1 for score in made["scores"].values())
