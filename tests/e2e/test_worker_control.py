"""Workers that are paused, resized and drained through their rows, and queues that keep their order."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from celery import current_app

from jobs import clock
from jobs.models import Project, Run, Worker
from jobs.runs.prioritize import prioritize
from jobs.states import Status
from tests import live
from tests.e2e.running import ended, start

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]
QUEUE = {"CONSOLE_WORKER_QUEUES": "control", "CONSOLE_LEASE_SECONDS": "4"}
ON_QUEUE = {"queue": "control", "overlap": "both"}


@pytest.fixture(autouse=True)
def alone(redis_server: subprocess.Popen[bytes], transactional_db: None) -> None:
    """Each test starts its own workers, on a queue that the shared one does not serve."""


def row(name: str) -> Worker:
    return Worker.objects.get(name=f"{name}@test")


def wait_for(name: str, state: str) -> None:
    live.until(lambda: row(name).state(clock.now()) == state, seconds=30, what=f"{name} {state}")


def busy(count: int, runs: list[Run]) -> bool:
    return Run.objects.filter(pk__in=[run.pk for run in runs], status=Status.RUNNING).count() == count


def test_a_paused_worker_leaves_the_queue_to_others_and_takes_again_when_resumed(toy: Project) -> None:
    with live.worker("idle", slots=4, **QUEUE):
        row("idle").pause(at=clock.now(), by="olga")
        wait_for("idle", "paused")
        waiting = start(toy, "chain", settings=ON_QUEUE)
        with live.worker("other", slots=2, **QUEUE):
            runs = [waiting, *(start(toy, "chain") for _ in range(4))]
            assert all(ended(run).status == Status.SUCCEEDED for run in runs)
        assert {step.worker_name for run in runs for step in run.steps.all()} == {"other@test"}
        last = start(toy, "chain")
        row("idle").resume(at=clock.now(), by="olga")
        assert ended(last).status == Status.SUCCEEDED


def test_a_drained_worker_finishes_what_it_has_and_ends(toy: Project, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    with live.worker("leaving", slots=4, **QUEUE) as leaving:
        run = start(toy, "naps", settings=ON_QUEUE, seconds=4.0, diary=str(diary))
        live.until_written(diary, what="the node's start")
        row("leaving").drain(at=clock.now(), by="olga")
        live.until(lambda: not row("leaving").is_taking, seconds=30, what="closed taps")
        late = start(toy, "chain", settings=ON_QUEUE)
        assert leaving.wait(60) == 0
    assert ended(run).status == Status.SUCCEEDED
    assert Run.objects.get(pk=late.pk).status == Status.QUEUED
    assert run.steps.count() == 1
    with live.worker("leaving", slots=4, **QUEUE):
        assert ended(late).status == Status.SUCCEEDED
        assert row("leaving").state(clock.now()) == "working"


def test_a_worker_is_made_larger_and_smaller_while_it_works(toy: Project, tmp_path: Path) -> None:
    with live.worker("elastic", slots=1, **QUEUE):
        naps = {"settings": ON_QUEUE, "diary": str(tmp_path / "diary")}
        first = [start(toy, "naps", seconds=60.0, **naps) for _ in range(3)]
        live.until(lambda: busy(1, first), what="one at a time")
        row("elastic").resize(3, at=clock.now(), by="olga")
        live.until(lambda: busy(3, first), seconds=30, what="three at a time")
        live.until(
            lambda: row("elastic").slots == 3, seconds=30, what="its row says three"
        )  # else “one” is said of before
        row("elastic").resize(1, at=clock.now(), by="olga")
        live.until(lambda: row("elastic").slots == 1, seconds=30, what="one slot again")
        stop(first)
        second = [start(toy, "naps", seconds=0.3, **naps) for _ in range(3)]
        assert all(ended(run).status == Status.SUCCEEDED for run in second)
    times = sorted((run.steps.get().started_at, run.steps.get().finished_at) for run in second)
    assert all(before[1] <= after[0] for before, after in pairwise(times))


def test_what_is_urgent_overtakes_what_waits(toy: Project, tmp_path: Path) -> None:
    with live.worker("single", slots=1, **QUEUE):
        holds = start(toy, "naps", settings=ON_QUEUE, seconds=60.0, diary=str(tmp_path / "diary"))
        live.until(lambda: busy(1, [holds]), what="the slot is taken")
        slow = [start(toy, "chain", settings={**ON_QUEUE, "priority": 9}) for _ in range(3)]
        usual = start(toy, "chain", settings={**ON_QUEUE, "priority": 5})
        urgent = start(toy, "chain", settings={**ON_QUEUE, "priority": 0})
        before = start(toy, "chain", settings={**ON_QUEUE, "priority": 4})
        stop([holds])
        order = sorted(map(ended, [urgent, before, usual, *slow]), key=lambda run: run.started_at)
    assert [run.pk for run in order] == [run.pk for run in [urgent, before, usual, *slow]]


def test_a_run_whose_priority_is_raised_while_it_waits_overtakes_those_before_it(toy: Project, tmp_path: Path) -> None:
    with live.worker("single", slots=1, **QUEUE):
        holds = start(toy, "naps", settings=ON_QUEUE, seconds=60.0, diary=str(tmp_path / "diary"))
        live.until(lambda: busy(1, [holds]), what="the slot is taken")
        first, second = (start(toy, "chain", settings=ON_QUEUE) for _ in range(2))
        prioritize(second, 0, at=clock.now(), by="olga")
        stop([holds])
        assert [ended(run).status for run in (first, second)] == [Status.SUCCEEDED] * 2
    assert second.started_at < first.started_at
    assert second.steps.count() == 1


def test_the_run_of_a_revoked_task_is_cancelled_as_flower_revokes(toy: Project, tmp_path: Path) -> None:
    with live.worker("single", slots=1, **QUEUE):
        holds = start(toy, "naps", settings=ON_QUEUE, seconds=60.0, diary=str(tmp_path / "diary"))
        live.until(lambda: busy(1, [holds]), what="the slot is taken")
        waiting = start(toy, "chain", settings=ON_QUEUE)
        heard = current_app.control.revoke(str(waiting.steps.get().task_id), reply=True, timeout=30, limit=1)
        stop([holds])
        assert ended(waiting).status == Status.CANCELLED
    assert heard
    assert waiting.error == "Cancelled by a revoked task."


def test_runs_that_wait_in_line_go_one_after_the_other(toy: Project, tmp_path: Path) -> None:
    with live.worker("line", slots=4, **QUEUE):
        wish = {"queue": "control", "overlap": "wait"}
        runs = [start(toy, "naps", settings=wish, seconds=0.2, diary=str(tmp_path / "diary")) for _ in range(4)]
        assert all(ended(run).status == Status.SUCCEEDED for run in runs)
    words = [line.split()[0] for line in (tmp_path / "diary").read_text().splitlines()]
    assert words == ["start", "end"] * 4


def stop(runs: list[Run]) -> None:
    from jobs.runs.cancel import cancel

    for run in runs:
        cancel(run, at=clock.now(), by="olga")
    for run in runs:
        ended(run)
