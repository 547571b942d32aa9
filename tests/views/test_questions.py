"""No page asks the database more than fifteen questions, however much there is to tell."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import pytest
from celery import current_app
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from jobs import clock
from jobs.library.share import ShareOrder, share
from jobs.models import Event, Grant, NodeRun, Pin, Pipeline, Quota, Rule, Run, Shelf, Snapshot, UnkeptFile, Upload
from jobs.schedules.dues import Cron
from jobs.schedules.edit import Wanted, create
from jobs.states import NodeStatus, Runner, Status
from tests import large_pipelines as large
from tests.factories import content, make_pipeline, make_project, make_quota, make_run, make_user
from tests.jobs.backfills.made import backfill
from tests.views.artifacts import an_artifact
from tests.views.scenes import a_worker, busy_quota, ended, failed_in_a_node, logged_in, page_of, running, with_log

pytestmark = pytest.mark.django_db

MOST: Final = 15
TABS: Final = ("graph", "timeline", "artifacts", "nodes", "requests", "parameters", "events")


def questions(address: str, role: str = "admin") -> list[str]:
    """What the page asks for the second time: what never changes was kept the first time."""
    client = logged_in(role)
    client.get(address)
    with CaptureQueriesContext(connection) as asked:
        assert client.get(address).status_code == 200, address
    return [each["sql"] for each in asked.captured_queries]


def a_history(pipeline: Pipeline) -> None:
    """Successes, failures, and newer runs."""
    for number in range(12):
        run = ended(Status.FAILED if number % 4 == 3 else Status.SUCCEEDED, pipeline=pipeline, seconds=number + 1)
        run.node_runs.update(status=NodeStatus.SUCCEEDED, seconds=1)
        read(run, number)


def read(run: Run, rows: int) -> None:
    """What comes from outside was read."""
    facts = {"kind": "dataset_loaded", "at": clock.now(), "node": "fetch"}
    data = {"dataset": "raw", "rows": rows, "type": "pandas.CSVDataset"}
    Event.objects.create(run=run, step=run.steps.get(), seq=run.seq + 1, data=data, **facts)


def plain() -> Run:
    pipeline = make_pipeline()
    a_history(pipeline)
    run = ended(pipeline=pipeline)
    ended(pipeline=pipeline)
    return run


def failed() -> Run:
    """Of several attempts, with other data than the last success, lines, and a file of its node."""
    a_history(make_pipeline())
    run = with_log(failed_in_a_node(), ["a line"] * 30, node="fetch")
    run.node_runs.filter(position=0).update(step=run.steps.get(), attempts=2)
    read(run, 999)
    an_artifact(run, "rows.csv", b"a,b\n1,2\n", node="fetch")
    return run


def distributed() -> Run:
    pipeline = make_pipeline(runner=Runner.DISTRIBUTED)
    a_history(pipeline)
    a_worker()
    run = make_run(pipeline)
    first = run.steps.order_by("position")[0]
    first.claim(at=clock.now(), worker_name="worker@test", lease=timedelta(hours=1))
    run.start(at=clock.now(), by="worker@test")
    run.node_runs.filter(step=first).update(status=NodeStatus.RUNNING, started_at=clock.now(), attempts=1)
    return run


def of_sixty_nodes() -> Run:
    pipeline = large.sixty_nodes()
    a_history(pipeline)
    run = running(pipeline=pipeline)
    NodeRun.objects.filter(run=run, name="apac.uk.load.step_3").update(status=NodeStatus.FAILED)
    return run


def waiting() -> Run:
    """For the only slot, behind another."""
    pipeline = make_pipeline()
    a_history(pipeline)
    a_worker(slots=1, busy=1)
    running(pipeline=pipeline)
    make_run(pipeline)
    return make_run(pipeline)


@pytest.mark.parametrize("make", [waiting, plain, failed, distributed, of_sixty_nodes])
def test_a_run_tells_all_it_has_to_in_fifteen_questions(make: Callable[[], Run]) -> None:
    run = make()
    node = run.node_runs.order_by("position")[0].name
    views = [page_of(run), *(page_of(run, tab) for tab in TABS), f"/runs/{run.pk}/logs/", f"/runs/{run.pk}/compare/"]
    views += [f"{page_of(run)}?node={node}"]
    views += [f"/runs/{run.pk}/resume/"] if run.is_final else []
    asked = {view: len(questions(view)) for view in views}
    assert max(asked.values()) <= MOST, asked


def test_files_that_wait_for_the_store_are_told_with_as_many_questions_for_one_as_for_many() -> None:
    run, at = ended(), clock.now()
    counts: list[tuple[int, ...]] = []
    for number in (1, 30):
        for each in range(number):
            kept = an_artifact(run, f"{number}-{each}.csv", f"{number},{each}".encode())
            facts = {"name": kept.name, "path": "x", "host": f"machine-{each % 3}", "due_at": at}
            Upload.objects.create(sha256=kept.sha256, size_bytes=1, created_at=at - timedelta(hours=1), **facts)
        counts.append((len(questions(page_of(run))), len(questions(f"{page_of(run)}?tab=artifacts"))))
        counts[-1] += (len(questions("/api/v1/artifacts")),)
    assert counts[0] == counts[1] and max(counts[1]) <= MOST
    UnkeptFile.objects.create(run=run, dataset="d", node="n", name="x", reason="It was too large.", created_at=at)
    text = logged_in("admin").get(page_of(run)).content.decode()
    assert "1 file was not kept" in text and "31 files are kept, not yet in the store" in text


def test_the_pipeline_page_and_the_pages_around_it_ask_no_more() -> None:
    pipeline = of_sixty_nodes().pipeline
    node = "apac.uk.load.step_3"
    asked = {"/week/": len(questions("/week/"))}
    busy_quota()
    pages = [f"/pipelines/{pipeline.pk}/", f"/pipelines/{pipeline.pk}/?node={node}", f"/pipelines/{pipeline.pk}/run/"]
    pages += ["/", f"/quotas/{Quota.objects.get().pk}/", "/workers/", "/library/", "/schedules/"]
    pages += ["/runs/", "/pipelines/", "/backfills/", "/notifications/", "/activity/", "/rules/", "/requests/"]
    asked |= {page: len(questions(page)) for page in pages}
    assert max(asked.values()) <= MOST, asked


def test_a_week_of_many_schedules_quotas_and_projects_asks_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)
    a_worker(slots=1, busy=1)
    counts = []
    for number in range(3):
        quota = make_quota(f"vendor{number}", "20 requests per day in UTC\n1,000 rows per day in UTC")
        project = make_project(name=f"project{number}")
        Snapshot.objects.create(project=project, revision="r", content=content(), taken_at=clock.now())
        pipeline = Pipeline.objects.create(project=project, name="report", takes={quota.name: 30})
        create(Wanted(name=f"mornings{number}", pipeline=pipeline, rule=Cron("0 6 * * *"), zone="UTC"), at=clock.now())
        rule = Rule.objects.create(name=f"rule{number}", target=pipeline, created_at=clock.now(), edited_at=clock.now())
        rule.sources.set(Pipeline.objects.all())
        run = ended(pipeline=pipeline)
        settled(quota, run, 12)
        backfill(pipeline, date_parameter="")
        counts.append(len(questions("/week/")))
    page = logged_in("admin").get("/week/").content.decode()
    assert all(f"vendor{number}" in page for number in range(3))
    assert counts[0] == counts[-1] <= MOST, counts


def test_what_a_backfill_takes_of_many_quotas_is_asked_at_once() -> None:
    pipeline = make_pipeline()
    address = f"/backfills/new/?pipeline={pipeline.pk}"
    counts = []
    for number in range(3):
        quota = make_quota(f"vendor{number}", "20 requests per day in UTC\n1,000 rows per day in UTC")
        settled(quota, ended(pipeline=pipeline), 12)
        counts.append(len(questions(address)))
    assert "vendor2" in logged_in("admin").get(address).content.decode()
    assert counts[0] == counts[-1] <= MOST, counts


def settled(quota: Quota, run: Run, requests: int) -> None:
    """A run has used so much of it just now."""
    at = clock.now()
    facts = {"asked_at": at, "taken_at": at, "settled_at": at, "sum_requests": requests, "sum_rows": 0}
    Grant.objects.create(quota=quota, run=run, requests=requests, **facts)
    Quota.objects.filter(pk=quota.pk).update(settled_requests=requests, settled_at=at)


@pytest.mark.parametrize("name", ["rows.csv", "sales 2026-11-28.csv", "notes.txt", "all.zip"])
def test_the_page_of_a_file_asks_no_more_wherever_it_is_kept_and_whoever_has_a_link_to_it(name: str) -> None:
    pipeline = make_pipeline()
    data = b"a,b\n1,2\n"
    rows = [an_artifact(ended(pipeline=pipeline), name, data + bytes([48 + number])) for number in range(3)]
    bad = an_artifact(ended(Status.FAILED, pipeline=pipeline), name, b"bad")
    facts = {"name": name, "path": "x", "host": "elsewhere", "due_at": clock.now(), "created_at": clock.now()}
    for row in (rows[1], bad):
        Upload.objects.create(sha256=row.sha256, size_bytes=row.size_bytes, **facts)
    order = ShareOrder(rows[0], clock.now() + timedelta(days=1), is_newest=True)
    _, token = share(order, at=clock.now(), by=User.objects.first() or make_user("mara", "admin"))
    Pin.objects.create(user=make_user("admin", "admin"), shelf=Shelf.objects.get())
    asked = {row.pk: len(questions(f"/artifacts/{row.uuid}/")) for row in (*rows, bad)}
    asked[0] = len(questions(f"/share/{token}/"))
    assert max(asked.values()) <= MOST, asked


def test_the_pages_of_one_schedule_one_backfill_and_one_form_ask_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)
    pipeline = waiting().pipeline
    own = create(Wanted(name="mornings", pipeline=pipeline, rule=Cron("0 6 * * *"), zone="UTC"), at=clock.now())
    create(Wanted(name="evenings", pipeline=pipeline, rule=Cron("0 6 * * *"), zone="UTC"), at=clock.now())
    busy_quota()
    rule = Rule.objects.create(name="then", target=pipeline, created_at=clock.now(), edited_at=clock.now())
    rule.sources.add(pipeline)
    row = backfill(pipeline, date_parameter="")
    pages = [f"/schedules/{own.pk}/", f"/schedules/{own.pk}/edit/", "/schedules/new/", "/backfills/new/"]
    pages += [f"/backfills/{row.pk}/", f"/rules/{rule.pk}/", f"/rules/{rule.pk}/edit/", "/rules/new/"]
    asked = {page: len(questions(page)) for page in pages}
    assert max(asked.values()) <= MOST, asked


def test_the_pages_of_the_administration_ask_no_more(rf: RequestFactory) -> None:
    failed()
    request = rf.get("/admin/")
    request.user = User.objects.filter(username="admin").first() or make_user("admin", "admin")
    busy_quota()
    asked = {}
    for model, shown in admin.site._registry.items():
        if not shown.has_view_permission(request):
            continue
        meta = model._meta
        listed = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
        asked[listed] = len(questions(listed))
        row = model._default_manager.order_by("-pk").first()
        if row is not None:
            one = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
            asked[one] = len(questions(one))
    assert max(asked.values()) <= MOST, asked
