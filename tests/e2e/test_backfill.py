"""A backfill under kills: each date succeeds once, and nothing is left behind, whatever dies meanwhile."""

from __future__ import annotations

import subprocess
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from redis import Redis

from jobs import clock
from jobs.backfills.begin import begin
from jobs.backfills.plan import Wanted
from jobs.models import Backfill, Pipeline, Project, Run
from jobs.states import BackfillStatus, DateStatus, Status
from tests import live

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

LEASE = {"CONSOLE_LEASE_SECONDS": "4", "CONSOLE_WORKER_QUEUES": "backfills"}
DAYS = 12
KILLED_AT = (2, 6)
"""Whenever so many dates are written down, the worker is killed."""


@pytest.fixture
def alone(redis_server: subprocess.Popen[bytes], transactional_db: None) -> None:
    """This test starts and kills its own workers."""


def written(diary: Path) -> list[str]:
    return diary.read_text().split() if diary.exists() else []


def begun(toy: Project, diary: Path) -> Backfill:
    Pipeline.objects.filter(project=toy, name="writes_down").update(queue="backfills", crash_retries=3)
    pipeline = Pipeline.objects.select_related("project").get(project=toy, name="writes_down")
    first = date(2026, 3, 1)
    wanted = Wanted(
        pipeline=pipeline,
        first_day=first,
        last_day=first + timedelta(days=DAYS - 1),
        zone="UTC",
        at_once=3,
        date_parameter="params:word",
        parameters={"diary": str(diary)},
    )
    return begin(wanted, at=clock.now(), by_name="olga")


def test_workers_that_are_killed_and_a_broker_that_forgets_cost_no_date(
    alone: None, toy: Project, tmp_path: Path
) -> None:
    diary = tmp_path / "diary"
    row = begun(toy, diary)
    for count in KILLED_AT:
        with live.worker("mortal", **LEASE) as worker:
            live.until(lambda count=count: len(written(diary)) >= count, seconds=90, what=f"{count} dates")
            worker.kill()
        Redis(unix_socket_path=settings.REDIS_URL.removeprefix("unix://")).flushall()
    with live.worker("mortal", **LEASE):
        live.until(lambda: Backfill.objects.get().is_over, seconds=120, what="the end of the backfill")
    row.refresh_from_db()
    assert row.status == BackfillStatus.FINISHED
    assert set(row.dates.values_list("status", flat=True)) == {DateStatus.SUCCEEDED}
    days = [str(date(2026, 3, 1) + timedelta(days=number)) for number in range(DAYS)]
    assert sorted(set(written(diary))) == days
    runs = Counter(Run.objects.filter(status=Status.SUCCEEDED).values_list("due_at", flat=True))
    assert len(runs) == DAYS and set(runs.values()) == {1} and Run.objects.count() == DAYS
