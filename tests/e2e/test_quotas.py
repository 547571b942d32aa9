"""An API that allows one request in two seconds, real workers, and no 429."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as client
from django.conf import settings

from jobs import clock
from jobs.interpreters.snapshots import add_project
from jobs.models import Grant, Pipeline, Quota, Run
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.states import Cause, Status
from tests.e2e.quota_project import Api, api, write_project
from tests.factories import make_quota
from tests.live import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.live]


@pytest.fixture
def limited() -> Iterator[Api]:
    with api() as served:
        yield served


@pytest.fixture
def project(worker: subprocess.Popen[bytes], limited: Api, tmp_path: Path) -> Api:
    add_project(write_project(tmp_path / "asker", limited.url), at=clock.now())
    make_quota()
    return limited


def start(name: str, **parameters: object) -> Run:
    return launch(Order(Pipeline.objects.get(name=name), Cause.MANUAL, parameters=dict(parameters)), at=clock.now())


def ended(run: Run) -> Run:
    return until(lambda: Run.objects.final().filter(pk=run.pk).first(), what=f"the end of {run}")


def test_runs_that_take_a_grant_wait_as_queued_and_none_comes_too_early(project: Api) -> None:
    Pipeline.objects.filter(name="just_calls").update(takes={"chat": 1})
    runs = [start("just_calls") for _ in range(4)]
    waits = until(lambda: [row for row in Run.objects.filter(status=Status.QUEUED) if row.eligible_at], what="a line")
    assert "1 request per 2 seconds" in waits[0].wait_reason
    client.Redis.from_url(settings.REDIS_URL).flushall()  # nothing of the limit is kept there
    assert [ended(run).status for run in runs] == [Status.SUCCEEDED] * 4
    assert project.statuses == [200] * 4
    assert not Grant.objects.filter(settled_at=None).exists()


def test_nodes_and_their_threads_wait_inside_and_none_comes_too_early(project: Api) -> None:
    Pipeline.objects.filter(name="asks_once").update(takes={"chat": 1})
    runs = [start("asks_in_threads", count=3), start("asks_once")]
    assert [ended(run).status for run in runs] == [Status.SUCCEEDED] * 2
    assert project.statuses == [200] * 4
    assert Grant.objects.filter(run=runs[1]).get().node == "asks_once"
    lines = " ".join(str(chunk.content) for chunk in runs[0].log_chunks.all())
    assert lines.count("The quota chat is used up: it allows 1 request per 2 seconds. This waits until") >= 1


def test_a_429_is_learned_for_the_runs_of_all(project: Api) -> None:
    Quota.objects.get().windows.all().delete()
    for _ in range(2):
        assert ended(start("asks_once")).status == Status.SUCCEEDED
    quota = Quota.objects.get()
    assert project.statuses == [200, 429] and quota.is_closed(clock.now())
    assert ended(start("asks_once")).status == Status.SUCCEEDED
    assert project.statuses == [200, 429, 200]
