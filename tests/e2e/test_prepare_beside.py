"""`manage.py prepare` beside a running console: it changes the busiest tables, and nobody is held up by it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from django.db.migrations.recorder import MigrationRecorder

from jobs.models import Project, Run, Step
from jobs.states import FINAL, Status
from tests import live
from tests.e2e.running import start

pytestmark = [
    pytest.mark.live,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="an embedded database has one lock, and no deadlocks"),
    pytest.mark.timeout(400),
]

ROUNDS, AT_ONCE = 5, 4
TABLES = ("jobs_noderun", "jobs_step", "jobs_run")


def prepare() -> subprocess.Popen[str]:
    """With a migration that this version does not have yet."""
    environment = live.environment(DJANGO_SETTINGS_MODULE="tests.later.settings", CONSOLE_ADMIN_PASSWORD="ready 4 work")
    command = [sys.executable, "manage.py", "prepare"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, cwd=live.ROOT, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def undo() -> None:
    """The tables as they were, however long somebody uses them."""

    def is_undone() -> bool:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = 100")
                for table in TABLES:
                    cursor.execute(f"ALTER TABLE {table} DROP COLUMN IF EXISTS later")
            return True
        except OperationalError:
            return False

    live.until(is_undone, what="a moment in which the tables are free")
    MigrationRecorder(connection).record_unapplied("later", "0001_busy_tables")


class Load(threading.Thread):
    """Somebody who starts one run after another; how long the slowest start took."""

    def __init__(self, project: Project) -> None:
        super().__init__(name="load")
        self.project, self.slowest, self.problem = project, 0.0, None
        self.is_over = threading.Event()

    def run(self) -> None:
        try:
            while not self.is_over.wait(0.2):
                if Run.objects.live().count() < 6:
                    began = time.monotonic()
                    start(self.project, "chain")
                    self.slowest = max(self.slowest, time.monotonic() - began)
        except Exception as error:
            self.problem = error
        connection.close()


@pytest.fixture
def worker(redis_server: object, transactional_db: None) -> Iterator[None]:
    """It is gone before the tables are emptied: on PostgreSQL its pulse and that would wait for each other."""
    with live.worker("own"):
        yield


@pytest.fixture
def load(worker: object, toy: Project) -> Iterator[Load]:
    started = Load(toy)
    started.start()
    yield started
    started.is_over.set()
    started.join()
    undo()


def test_twenty_times_nothing_stands_still_and_nothing_fails(load: Load, tmp_path: Path) -> None:
    live.until(lambda: Run.objects.filter(status=Status.SUCCEEDED).count() >= 2, what="a system at work")
    for _ in range(ROUNDS):
        several = [prepare() for _ in range(AT_ONCE)]
        said = [one.communicate(timeout=200)[0] for one in several]
        assert [one.returncode for one in several] == [0] * AT_ONCE, said
        assert ("later", "0001_busy_tables") in MigrationRecorder(connection).applied_migrations()
        undo()
    before = Run.objects.filter(status=Status.SUCCEEDED).count()
    live.until(lambda: Run.objects.filter(status=Status.SUCCEEDED).count() > before, what="one more run")
    load.is_over.set()
    load.join()
    assert load.problem is None and load.slowest < 10
    live.until(lambda: not Run.objects.live().exists(), what="the end of all runs")
    assert set(Run.objects.values_list("status", flat=True)) == {Status.SUCCEEDED}
    assert not Step.objects.filter(status__in=FINAL - {Status.SUCCEEDED}).exists()
    assert User.objects.filter(is_superuser=True).count() == 1
