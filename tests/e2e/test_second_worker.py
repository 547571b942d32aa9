"""A second worker on the same machine, started as the docs say, leaves the steps of the first alone."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings

from jobs import clock
from jobs.errors import NoSharedStore
from jobs.models import Project, Run, Transition, Worker
from jobs.states import Status
from tests import live
from tests.e2e.running import ended, start

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]
QUEUE = {"CONSOLE_WORKER_QUEUES": "second", "CONSOLE_WORKER_SLOTS": "1"}


@pytest.fixture(autouse=True)
def alone(redis_server: subprocess.Popen[bytes], transactional_db: None) -> None:
    """Each test starts its own workers."""


@contextmanager
def as_documented(name: str, **changes: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m console worker`, until its row is there."""
    known = set(Worker.objects.values_list("name", flat=True))
    log = settings.VAR / f"{name}.log"
    with live.process(sys.executable, "-m", "console", "worker", log=log, **{**QUEUE, **changes}) as started:
        rows = Worker.objects.filter(pid=started.pid, stopped_at=None)
        live.until(lambda: rows.exists() or started.poll() is not None, what="the heartbeat")
        assert started.poll() is None, log.read_text()[-3000:]
        assert known <= set(Worker.objects.values_list("name", flat=True))
        yield started


def naps(toy: Project, diary: Path) -> Run:
    run = start(toy, "naps", settings={"queue": "second", "overlap": "both"}, seconds=6.0, diary=str(diary))
    live.until_written(diary, what="the node's start")
    return run


def test_it_takes_a_name_of_its_own_and_ends_nobodys_steps(toy: Project, tmp_path: Path) -> None:
    with as_documented("first") as first:
        run = naps(toy, tmp_path / "diary")
        with as_documented("second"):
            names = sorted(Worker.objects.values_list("name", flat=True))
            assert len(names) == 2 and names[0].replace("-2@", "@") == names[1]
            assert ended(run).status == Status.SUCCEEDED
            assert run.steps.get().attempt == 1 and first.poll() is None
    assert not Transition.objects.filter(run=run, reason__contains="ended while the step ran").exists()


def test_also_where_it_does_not_share_the_folder_of_the_first(toy: Project, tmp_path: Path) -> None:
    with as_documented("first"):
        run = naps(toy, tmp_path / "diary")
        with as_documented("elsewhere", CONSOLE_VAR=str(tmp_path / "var"), REDIS_URL=settings.REDIS_URL):
            assert Worker.objects.count() == 2
            assert ended(run).status == Status.SUCCEEDED
            assert run.steps.get().attempt == 1


def test_a_distributed_run_for_workers_without_a_common_folder_is_refused(toy: Project, tmp_path: Path) -> None:
    """Nothing of it is started, and with a store that both reach it succeeds on either."""
    elsewhere = {"CONSOLE_VAR": str(tmp_path / "var"), "REDIS_URL": settings.REDIS_URL}
    fan = {"queue": "second", "runner": "distributed"}
    with as_documented("first"), as_documented("elsewhere", **elsewhere):
        with pytest.raises(NoSharedStore, match="Set CONSOLE_RUN_STORE for all of them"):
            start(toy, "fan", settings=fan, word="moon")
        assert not Run.objects.exists()
        Project.objects.filter(pk=toy.pk).update(store_url=str(tmp_path / "shared"))
        toy.refresh_from_db()
        run = ended(start(toy, "fan", settings=fan, word="moon"))
        assert (run.status, run.error) == (Status.SUCCEEDED, "")


def test_one_that_insists_on_the_name_of_a_living_worker_is_refused_in_words(toy: Project, tmp_path: Path) -> None:
    with live.worker("mine", slots=1, CONSOLE_WORKER_QUEUES="second"):
        run = naps(toy, tmp_path / "diary")
        command = [sys.executable, "-m", "celery", "-A", "console", "worker", "-P", "threads", "-n", "mine@test"]
        second = subprocess.run(
            command, env=live.environment(**QUEUE), cwd=live.ROOT, capture_output=True, text=True, timeout=60
        )
        assert second.returncode == 1
        assert "A worker named mine@test is alive, and a second one would end its steps." in second.stderr
        assert ended(run).status == Status.SUCCEEDED and run.steps.get().attempt == 1


def test_after_a_kill_the_next_worker_has_the_name_and_the_lost_step_at_once(toy: Project, tmp_path: Path) -> None:
    with as_documented("first") as first:
        run = naps(toy, tmp_path / "diary")
        name = Worker.objects.get().name
        first.send_signal(signal.SIGKILL)
        first.wait()
    began = clock.now()
    with as_documented("next"):
        assert Worker.objects.get().name == name
        lost = Transition.objects.filter(run=run, reason__contains="ended while the step ran", at__gte=began)
        live.until(lambda: lost.exists() or run.steps.filter(attempt__gt=1).exists(), what="the lost step")
