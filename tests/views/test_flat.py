"""A page costs as much with thousands of runs as with a few hundred.

What it costs the database is counted in SQLite's own instructions: no clock and no other work on the machine matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client

from console.views import runs
from jobs import clock
from jobs.models import Artifact, Pipeline, Quota, Run
from jobs.seeding.seed import seed
from jobs.states import Runner, Status
from jobs.upkeep.reconcile import reconcile
from tests.factories import make_pipeline, make_project, make_quota, make_user
from tests.jobs.conftest import broker, redis_process

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="counts the instructions of SQLite"),
]

__all__ = ["broker", "redis_process"]
FEW, MANY = 300, 2_700
STEP: Final = 100
SLACK: Final = 6_000
"""Instructions that do not matter: some milliseconds are half a million of them."""
MOST_QUERIES: Final = 15

PAGES: Final = (
    "/", "/runs/", "/runs/?q=status:failed,crashed", "/runs/?q=pipeline:report+status:succeeded",
    "/runs/?q=pipeline:rare+status:failed", "/runs/?q=cause:rule", "/runs/?q=cause:backfill", "/runs/?q=status:live",
    "/runs/?q=nosuchword+since:all", "/runs/?q=node:nosuchnode+since:all", "/runs/?q=error:nosuchtext+since:all",
    "/runs/?q=by:nobody+since:all", "/runs/?q=tag:nosuchtag+since:all", "/runs/?q=param.top:77+since:all",
    "/runs/?q=project:shop+nosuchword+since:all", "/runs/?q=since:all&before={middle}",
    "/runs/?q=since:all&after={middle}", "/runs/complete/?q=node:", "/runs/complete/?q=param", "/runs/complete/?q=tag:",
    "/runs/{newest}/", "/runs/{failed}/", "/runs/{oldest}/", "/runs/{failed}/compare/", "/runs/{failed}/resume/",
    "/pipelines/", "/pipelines/{pipeline}/", "/pipelines/{rare}/", "/pipelines/{pipeline}/run/",
    "/pipelines/{rare}/run/", "/artifacts/", "/artifacts/?q=csv", "/artifacts/?q=nosuchname", "/artifacts/{artifact}/",
    "/artifacts/latest/{pipeline}/raw.csv/", "/workers/", "/palette/?q=report", "/palette/?q=nosuchword", "/activity/",
    "/activity/?actor=mara", "/requests/", "/quotas/", "/rules/firings/", "/admin/", "/admin/jobs/run/",
    "/admin/jobs/step/", "/admin/jobs/noderun/", "/admin/jobs/artifact/", "/api/v1/jobs",
    "/api/v1/jobs?status=failed", "/api/v1/jobs?status=failed&pipeline=rare", "/api/v1/jobs?status=running",
    "/api/v1/jobs?pipeline=rare", "/api/v1/artifacts/latest?name=raw.csv", "/api/v1/workers", "/api/v1/pipelines",
    "/api/v1/requests", "/api/v1/activity",
)  # fmt: skip


class Cost:
    """Hundreds of instructions since it was asked last."""

    def __init__(self) -> None:
        self.count = self.queries = 0

    def step(self) -> int:
        self.count += 1
        return 0

    def execute(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.queries += 1
        return execute(sql, params, many, context)

    def of(self, act: Callable[[], object]) -> tuple[int, int]:
        act()  # the first time more is read than later
        self.count = self.queries = 0
        with connection.execute_wrapper(self.execute):
            act()
        return self.count * STEP, self.queries


@pytest.fixture
def cost() -> Iterator[Cost]:
    found = Cost()
    connection.ensure_connection()
    connection.connection.set_progress_handler(found.step, STEP)
    yield found
    connection.connection.set_progress_handler(None, STEP)


def addresses() -> dict[str, str]:
    numbers = list(Run.objects.order_by("pk").values_list("pk", flat=True))
    failed = Run.objects.newest_numbers(1, statuses=[Status.FAILED])[0]
    names = {
        "newest": numbers[-1], "oldest": numbers[0], "middle": numbers[len(numbers) // 2], "failed": failed,
        "pipeline": Pipeline.objects.get(name="report").pk, "rare": Pipeline.objects.get(name="rare").pk,
        "artifact": Artifact.objects.order_by("-pk")[0].uuid,
    }  # fmt: skip
    return {page: page.format(**names) for page in PAGES}


def measured(cost: Cost, person: User) -> dict[str, tuple[int, int]]:
    client = Client()
    client.force_login(person)

    def get(address: str) -> None:
        answer = client.get(address)
        assert answer.status_code in (200, 302), (address, answer.status_code)

    found = {}
    for page, address in addresses().items():
        cache.clear()
        found[page] = cost.of(lambda address=address: get(address))  # type: ignore[misc]
    now = clock.now()
    return found | {"reconcile": cost.of(lambda: reconcile(now))}


def some_pipelines() -> None:
    """One that is busy, one that is distributed, and one that ran long ago and never failed."""
    make_pipeline("report")
    make_pipeline("__default__", runner=Runner.DISTRIBUTED)
    Pipeline.objects.create(project=make_project("other"), name="rare")
    assert Quota.objects.filter(pk=make_quota().pk).exists()


@pytest.mark.usefixtures("broker")
def test_pages_and_sweeps_cost_the_same_for_ten_times_the_runs(cost: Cost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "LOOK", FEW // 2)
    some_pipelines()
    person, at = make_user("root", role="admin", is_superuser=True), clock.now()
    few = costs_after(FEW, at - timedelta(days=21), cost, person)
    many = costs_after(MANY, at, cost, person)
    assert not {page: (few[page], many[page]) for page in few if many[page][0] > 1.5 * few[page][0] + SLACK}
    assert not {page: queries for page, (_, queries) in many.items() if queries > MOST_QUERIES and page[0] == "/"}


def costs_after(count: int, at: datetime, cost: Cost, person: User) -> dict[str, tuple[int, int]]:
    """What each page costs three weeks later, in which so many runs were made."""
    with time_machine.travel(at):
        seed(count, days=21, at=at, number=count, say=lambda sentence: None)
        return measured(cost, person)
