"""The three cases of the demo project on a real worker, against the demo API with limits of a second."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from jobs import clock
from jobs.interpreters.snapshots import add_project
from jobs.models import BatchQueue, Firing, Item, Pipeline, Project, Rule, Run, Window
from jobs.proposals import propose
from jobs.states import Decision, ItemStatus, Status
from tests import live
from tests.demo.conftest import PROJECT, served
from tests.e2e.running import start

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

SECONDS = 1
OPEN: dict[str, dict[str, Any]] = {
    "/metrics": {"requests": 1, "seconds": SECONDS},
    "/v1/chat/completions": {"requests": 1, "seconds": SECONDS},
    "/internal/rows": {"requests": 3, "rows": 30, "seconds": SECONDS},
}


@pytest.fixture
def api() -> Iterator[Any]:
    from demo_api.limits import Limits
    from demo_api.server import ApiServer

    limits = Limits()
    limits.change(OPEN)
    with served(ApiServer("127.0.0.1", 0, limits=limits)) as server:
        yield server


@pytest.fixture
def demo(transactional_db: None, tmp_path: Path, api: Any) -> Project:
    """A copy of the demo project with what it proposes, its windows as short as the API's."""
    copy = tmp_path / "demo"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("data", "__pycache__", ".viz", ".mypy_cache"))
    project = add_project(copy, at=clock.now(), environment={"DEMO_API_URL": api.url})
    assert propose(project, at=clock.now()) == ["demo proposed 17 quotas, queues, settings and rules: now applied."]
    Window.objects.update(seconds=SECONDS)
    Window.objects.filter(quota__name="internal", unit="requests").update(allowed=3)
    Window.objects.filter(quota__name="internal", unit="rows").update(allowed=30)
    return project


def quiet(*, seconds: float = 120) -> list[Run]:
    """All runs, when none is under way and no firing is being decided."""

    def look() -> bool:  # one statement: between two a decision may start the next run
        return not Run.objects.live().values("pk").union(Firing.objects.deciding().values("pk")).exists()

    live.until(look, seconds=seconds, what="the end of the chain")
    return list(Run.objects.order_by("pk").select_related("pipeline"))


def statuses(api: Any, path: str) -> list[int]:
    return [arrival["status"] for arrival in api.limits.arrivals(path, 0)]


def rows(project: Project, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(project.folder / "data/03_primary/cases.db")) as connection:
        return connection.execute(query).fetchall()


def names(runs: list[Run]) -> list[str]:
    return [run.pipeline.name for run in runs]


def default(project: Project, pipeline: str, **parameters: Any) -> None:
    Pipeline.objects.filter(project=project, name=pipeline).update(default_parameters=parameters)


def test_keywords_go_from_the_query_into_the_table_once_whatever_the_api_refuses(
    worker: object, demo: Project, api: Any
) -> None:
    api.limits.change({"/metrics": {"failure_rate": 0.35, "seed": 3}})
    default(demo, "keyword_metrics", keyword_metrics={"batch": 40, "per_request": 20, "retries": 0})
    start(demo, "keyword_query", keyword_source={"keywords": 200})
    runs = quiet()
    queue = BatchQueue.objects.get(name="keywords")
    parked = set(queue.items.filter(status=ItemStatus.PARKED).values_list("key", flat=True))
    found = [keyword for (keyword,) in rows(demo, "SELECT keyword FROM keyword_metrics")]
    assert len(found) == len(set(found)) == queue.done
    assert set(found) | parked == set(Item.objects.values_list("key", flat=True))
    assert (queue.waiting, queue.taken, queue.done + queue.parked) == (0, 0, 100)
    answered = statuses(api, "/metrics")
    assert set(answered) == {200, 500}
    failed = rows(demo, "SELECT status, keywords FROM failed_requests")
    assert failed == [(500, 20)] * answered.count(500)
    side = [run for run in runs if run.is_side_job]
    assert {run.pipeline.name for run in side} == {"store_query_result", "store_failed_requests"}
    assert {run.status for run in runs} == {Status.SUCCEEDED}
    (record,) = (demo.folder / "data/07_record").iterdir()
    assert record.name.endswith(".csv.gz")


def test_a_side_job_that_fails_leaves_the_main_run_as_it_is(worker: object, demo: Project, api: Any) -> None:
    (demo.folder / "data").mkdir()
    (demo.folder / "data/07_record").write_text("a file where the folder should be")
    start(demo, "keyword_query", keyword_source={"keywords": 40})
    runs = quiet()
    assert {run.status for run in runs if run.pipeline.name == "store_query_result"} == {Status.FAILED}
    assert {run.status for run in runs if not run.is_side_job} == {Status.SUCCEEDED}
    assert BatchQueue.objects.get(name="keywords").done == 20


def test_texts_are_asked_one_a_window_and_uploaded_by_another_pipeline(worker: object, demo: Project, api: Any) -> None:
    (demo.folder / "assets/prompts.txt").write_text("Tea?\n\nCoffee?\nMate?\nTea?\n")
    start(demo, "prompts")
    runs = quiet()
    assert names(runs).count("prompts") == 3
    assert names(runs).count("upload_texts") == 2
    assert {run.status for run in runs} == {Status.SUCCEEDED}
    arrivals = [each["at"] for each in api.limits.arrivals("/v1/chat/completions", 0)]
    assert statuses(api, "/v1/chat/completions") == [200] * 3
    assert all(later - earlier >= SECONDS for earlier, later in pairwise(arrivals))
    written = rows(demo, "SELECT prompt, text FROM generated_texts")
    files = {file.read_text() for file in (demo.folder / "data/08_reporting/texts").iterdir()}
    assert files == {f"# {prompt}\n\n{text}\n" for prompt, text in written}
    assert {prompt for prompt, _ in written} == {"Tea?", "Coffee?", "Mate?"}


@pytest.mark.parametrize("by", ["handler", "expression"])
def test_an_allowance_is_used_up_each_day_and_never_crossed(worker: object, demo: Project, api: Any, by: str) -> None:
    if by == "expression":
        Rule.objects.filter(handler__gt="").update(is_enabled=False)
        Rule.objects.filter(name__contains="expression").update(is_enabled=True)
    default(demo, "daily_rows", allowance={"total": 100, "share": 10})
    start(demo, "daily_rows", allowance={"rows": 10})
    runs = quiet()
    assert {(run.status, run.error) for run in runs} == {(Status.SUCCEEDED, "")}
    assert set(statuses(api, "/internal/rows")) == {200}
    assert [number for (number,) in rows(demo, "SELECT number FROM daily_rows ORDER BY number")] == list(range(1, 101))
    asked = [run.results["fetched"]["value"]["asked"] for run in runs]
    assert sum(asked) >= 100 and len(asked) <= 14, asked
    last = Firing.objects.exclude(decision=Decision.DISABLED).order_by("-pk")[0]
    assert last.decision == Decision.UNMET, (last.sentence, json.dumps(asked))


def test_a_flushed_redis_changes_no_limit_and_loses_no_run(worker: object, demo: Project, api: Any) -> None:
    from django.conf import settings
    from redis import Redis

    default(demo, "keyword_metrics", keyword_metrics={"batch": 10, "per_request": 10, "retries": 0})
    start(demo, "keyword_query", keyword_source={"keywords": 120})
    broker = Redis(unix_socket_path=settings.REDIS_URL.removeprefix("unix://"))
    for number in range(1, 5):
        live.until(lambda: len(statuses(api, "/metrics")) >= number, what=f"request {number}")  # noqa: B023
        broker.flushall()
    quiet()
    assert statuses(api, "/metrics") == [200] * 6
    arrivals = [each["at"] for each in api.limits.arrivals("/metrics", 0)]
    assert all(later - earlier >= SECONDS for earlier, later in pairwise(arrivals))
    assert len(rows(demo, "SELECT DISTINCT keyword FROM keyword_metrics")) == 60
