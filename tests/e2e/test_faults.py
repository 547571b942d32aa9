"""Each invariant, tried by breaking what guards it: kill, flush, stop, duplicate."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from redis import Redis

from jobs import clock
from jobs.interpreters.fingerprint import fingerprint
from jobs.models import Project, Step, Worker
from jobs.runs.cancel import cancel
from jobs.states import Status
from tests import live
from tests.chaos.databases import cut_off
from tests.e2e.running import ended, start

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

LEASE = {"CONSOLE_LEASE_SECONDS": "4"}


def broker() -> Redis:
    return Redis(unix_socket_path=settings.REDIS_URL.removeprefix("unix://"))


def children(pid: int) -> list[int]:
    """All living descendants of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *children(int(child))]
    return found


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except OSError:
        return True


@pytest.fixture
def alone(redis_server: subprocess.Popen[bytes], transactional_db: None) -> None:
    """This test starts its own workers, on the queue `faults` that the shared one does not serve."""


def freeze(process: subprocess.Popen[bytes]) -> None:
    """Stop a process outside of any transaction: frozen within one it would hold an embedded database's only lock."""

    def is_frozen_outside() -> bool:
        process.send_signal(signal.SIGSTOP)
        try:
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA busy_timeout=300" if connection.vendor == "sqlite" else "SELECT 1")
            Worker.objects.filter(pk=0).update(busy=0)
            return True
        except OperationalError:
            process.send_signal(signal.SIGCONT)
            return False
        finally:
            connection.close()

    live.until(is_frozen_outside, what="a moment without a transaction")


def test_a_killed_worker_takes_its_children_along_and_the_run_completes(
    alone: None, toy: Project, tmp_path: Path
) -> None:
    diary = tmp_path / "diary"
    with live.worker("mortal", CONSOLE_WORKER_QUEUES="faults", **LEASE) as first:
        run = start(toy, "naps", settings={"queue": "faults", "crash_retries": 1}, seconds=3.0, diary=str(diary))
        live.until_written(diary, what="the node's start")
        family = children(first.pid)
        assert family
        first.kill()
        live.until(lambda: all(is_gone(pid) for pid in family), seconds=10, what="the end of all children")
    with live.worker("mortal", CONSOLE_WORKER_QUEUES="faults", **LEASE):
        assert ended(run).status == Status.SUCCEEDED
    words = [line.split()[0] for line in diary.read_text().splitlines()]
    assert words == ["start", "start", "end"]
    assert [step.status for step in run.steps.order_by("attempt")] == [Status.CRASHED, Status.SUCCEEDED]


def test_another_worker_takes_over_when_the_lease_runs_out(alone: None, toy: Project, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    with live.worker("lost", CONSOLE_WORKER_QUEUES="faults", **LEASE) as first:
        run = start(toy, "naps", settings={"queue": "faults", "crash_retries": 1}, seconds=1.0, diary=str(diary))
        live.until_written(diary, what="the node's start")
        first.kill()
        with live.worker("heir", CONSOLE_WORKER_QUEUES="faults", **LEASE):
            assert ended(run).status == Status.SUCCEEDED
    assert run.steps.get(attempt=2).worker_name == "heir@test"


def test_a_worker_that_slept_past_its_lease_writes_nothing_and_ends_its_child(
    alone: None, toy: Project, tmp_path: Path
) -> None:
    diary = tmp_path / "diary"
    with live.worker("sleeper", CONSOLE_WORKER_QUEUES="faults", **LEASE) as first:
        run = start(toy, "naps", settings={"queue": "faults", "crash_retries": 1}, seconds=30.0, diary=str(diary))
        live.until_written(diary, what="the node's start")
        pid = int(diary.read_text().split()[1])
        freeze(first)
        with live.worker("heir", CONSOLE_WORKER_QUEUES="faults", **LEASE):
            live.until(
                lambda: Step.objects.filter(run=run, attempt=2, status=Status.RUNNING).exists(),
                what="the second attempt",
            )
            first.send_signal(signal.SIGCONT)
            live.until(lambda: is_gone(pid), seconds=30, what="the end of the first child")
            cancel(run, at=clock.now(), by="olga")
            assert ended(run).status == Status.CANCELLED
    assert [step.status for step in run.steps.order_by("attempt")] == [Status.CRASHED, Status.CANCELLED]
    assert "end" not in diary.read_text()


def test_the_child_of_a_worker_that_sleeps_past_its_lease_is_gone_before_another_starts(
    alone: None, toy: Project, tmp_path: Path
) -> None:
    diary = tmp_path / "diary"
    with live.worker("sleeper", CONSOLE_WORKER_QUEUES="faults", **LEASE) as first:
        run = start(toy, "naps", settings={"queue": "faults", "crash_retries": 3}, seconds=8.0, diary=str(diary))
        live.until_written(diary, what="the node's start")
        pid = int(diary.read_text().split()[1])
        freeze(first)
        live.until(lambda: is_gone(pid), seconds=10, what="the end of the first child while its worker sleeps")
        with live.worker("heir", CONSOLE_WORKER_QUEUES="faults", **LEASE):
            ended(run)
        assert (run.status, run.error) == (Status.SUCCEEDED, "")
        first.send_signal(signal.SIGCONT)
    words = [line.split()[0] for line in diary.read_text().splitlines()]
    assert words == ["start"] * run.steps.count() + ["end"], (
        "a busy machine may have made the second worker late as well"
    )


def test_a_flushed_broker_loses_no_run(alone: None, toy: Project) -> None:
    run = start(toy, "chain", settings={"queue": "faults"})
    broker().flushall()
    with live.worker("later", CONSOLE_WORKER_QUEUES="faults"):
        assert ended(run, seconds=60).status == Status.SUCCEEDED


def test_a_worker_told_to_stop_hands_its_step_back(alone: None, toy: Project, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    with live.worker("drained", CONSOLE_WORKER_QUEUES="faults") as first:
        run = start(toy, "naps", settings={"queue": "faults", "crash_retries": 0}, seconds=30.0, diary=str(diary))
        live.until_written(diary, what="the node's start")
        first.terminate()
        first.wait(40)
    run.refresh_from_db()
    assert run.status == Status.RUNNING
    assert [step.status for step in run.steps.order_by("attempt")] == [Status.CRASHED, Status.QUEUED]
    assert Worker.objects.get(name="drained@test").stopped_at
    cancel(run, at=clock.now(), by="olga")
    assert ended(run).status == Status.CANCELLED


def test_a_killed_host_is_told_and_the_step_starts_again(worker: object, toy: Project, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    run = start(toy, "naps", settings={"crash_retries": 1}, seconds=2.0, diary=str(diary))
    live.until_written(diary, what="the node's start")
    child = int(diary.read_text().split()[1])
    host = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(host, signal.SIGKILL)
    assert ended(run).status == Status.SUCCEEDED
    first = run.steps.get(attempt=1)
    assert first.status == Status.CRASHED
    assert "host ended unexpectedly" in first.error


def test_a_host_that_is_killed_while_it_starts_is_no_fault_of_the_project(
    worker: object, toy: Project, tmp_path: Path
) -> None:
    mark, python = tmp_path / "mark", tmp_path / "python"
    python.write_text(f'#!/bin/sh\n[ -e {mark} ] || {{ touch {mark}; kill -9 $$; }}\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    toy.interpreter = str(python)  # the project counts as read with it: the first process that it starts is the host
    Project.objects.filter(pk=toy.pk).update(interpreter=toy.interpreter, fingerprint=fingerprint(toy))
    run = ended(start(toy, "chain", settings={"crash_retries": 1}))
    assert run.status == Status.SUCCEEDED, run.error
    first = run.steps.get(attempt=1)
    assert (first.status, first.error) == (Status.CRASHED, "The project's host ended unexpectedly.")


def test_a_restarted_broker_is_found_again(worker: object, toy: Project) -> None:
    """Clients are cut off, as by a restart; the next run goes through."""
    broker().client_kill_filter(_type="normal", skipme=True)
    assert ended(start(toy, "chain"), seconds=60).status == Status.SUCCEEDED


def test_a_worker_whose_database_sessions_were_ended_says_goodbye(alone: None) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("an embedded database has no sessions")
    with live.worker("cut", CONSOLE_WORKER_QUEUES="faults") as worker:
        connection.close()
        cut_off()
        worker.terminate()
        worker.wait(40)
    assert Worker.objects.get(name="cut@test").stopped_at


def test_garbage_in_the_queue_does_not_end_the_service(alone: None, toy: Project) -> None:
    with live.worker("tough", CONSOLE_WORKER_QUEUES="faults") as tough:
        broker().lpush("kc:faults", b"\xff\xfe garbage")
        live.until(lambda: tough.poll() is not None or not broker().llen("kc:faults"), what="the garbage to be read")
    run = start(toy, "chain", settings={"queue": "faults"})
    with live.worker("tough", CONSOLE_WORKER_QUEUES="faults"):
        assert ended(run, seconds=60).status == Status.SUCCEEDED
