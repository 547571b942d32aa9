"""Lists cost the same however many rows there are."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_celery_beat.models import PeriodicTask
from django_celery_results.models import TaskResult

from console.admin import lists
from console.admin.lists import UncountedPaginator
from jobs.models import Artifact, Event, LogChunk, NodeRun, Pipeline, Run, Snapshot, Step, Transition, Worker
from jobs.runs.cancel import cancel
from tests.admin.rows import make_artifact, make_crontab, make_worker
from tests.factories import AT, content, make_pipeline, make_project, make_run


def grow(count: int) -> None:
    """This many more rows of everything that grows."""
    start = Run.objects.count()
    for number in range(start, start + count):
        project = make_project(f"project-{number}")
        Snapshot.objects.create(project=project, revision="r", content=content(), taken_at=AT)
        run = make_run(make_pipeline("report", project))
        step = run.steps.get()
        make_artifact(run)
        make_worker(f"celery@{number}")
        Event.objects.create(run=run, step=step, seq=1, at=AT, kind="node_started")
        LogChunk.objects.create(run=run, step=step, first_seq=2, last_seq=2, content=[])
        TaskResult.objects.create(task_id=str(step.task_id), task_name="jobs.execute", status="SUCCESS")
        kwargs = f'{{"pipeline_id": {run.pipeline_id}, "parameters": {{}}}}'
        PeriodicTask.objects.create(name=f"s{number}", task="jobs.start", kwargs=kwargs, crontab=make_crontab())


def queries(page: Client, address: str) -> list[str]:
    page.get(address)  # what is asked once in a session is not the list's
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert page.get(address).status_code == 200
    return [query["sql"] for query in captured]


LISTS = [Run, Step, NodeRun, Transition, Event, LogChunk, Artifact, Snapshot, Worker, Pipeline, TaskResult,
         PeriodicTask]  # fmt: skip


def test_no_list_asks_more_for_more_rows_and_none_counts_a_table(admin_page: Client) -> None:
    addresses = [reverse(f"admin:{m._meta.app_label}_{m._meta.model_name}_changelist") for m in LISTS]
    addresses.append(reverse("admin:jobs_project_changelist"))
    grow(3)
    few = {address: queries(admin_page, address) for address in addresses}
    grow(197)
    for address in addresses:
        asked = queries(admin_page, address)
        assert len(asked) == len(few[address]), (address, asked[-3:])
        assert len(asked) <= 9, (address, asked)
        assert not [sql for sql in asked if "COUNT(*)" in sql.upper()]


def test_a_list_of_runs_reads_no_parameters_results_or_secrets(admin_page: Client) -> None:
    grow(2)
    rows = next(sql for sql in queries(admin_page, reverse("admin:jobs_run_changelist")) if "pipeline" in sql)
    for column in ("parameters", "results", "versions", "environment"):
        assert f'"{column}"' not in rows


def test_the_page_of_a_run_shows_a_page_of_its_nodes(admin_page: Client) -> None:
    run = make_run()
    NodeRun.objects.bulk_create(NodeRun(run=run, name=f"node {n}", position=n + 10) for n in range(200))
    address = reverse("admin:jobs_run_change", args=[run.pk])
    asked = queries(admin_page, address)
    assert len(asked) <= 25
    page = admin_page.get(address).content.decode()
    assert "node 40" in page
    assert "node 60" not in page
    assert "node 60" in admin_page.get(f"{address}?node_runs-page=2").content.decode()


def test_pages_follow_one_another_and_end(admin_page: Client) -> None:
    run = make_run()
    NodeRun.objects.all().delete()
    NodeRun.objects.bulk_create(NodeRun(run=run, name=f"node {n:03}", position=n) for n in range(101))
    address = reverse("admin:jobs_noderun_changelist")
    pages = (admin_page.get(f"{address}?p={number}").content.decode() for number in (1, 2, 3))
    first, second, third = (" ".join(page.split()) for page in pages)
    assert "1–50 and more" in first and 'rel="prev"' not in first
    assert 'rel="next"' in second and 'rel="prev"' in second
    assert "101–101 of 101" in third and 'rel="next"' not in third
    assert admin_page.get(f"{address}?p=4").status_code == 302


@pytest.mark.parametrize("text", ["x", "0", "-1", "1e9", "", "9223372036854775807", "9" * 300])
def test_a_page_that_is_none_is_refused_and_harms_nothing(text: str, admin_page: Client) -> None:
    make_run()
    assert admin_page.get(f"{reverse('admin:jobs_run_changelist')}?p={text}").status_code in (200, 302)


def test_an_autocomplete_pages_without_counting(admin_page: Client) -> None:
    for number in range(25):
        make_pipeline(f"p{number:02}")
    paginator = UncountedPaginator(Pipeline.objects.order_by("name"), 20)
    assert paginator.page(1).has_next()
    assert not paginator.page(2).has_next()


def test_runs_are_found_by_number_pipeline_and_person(admin_page: Client, boss: Any) -> None:
    run = make_run(by=boss)
    other = make_run(make_pipeline("__default__"))
    address = reverse("admin:jobs_run_changelist")

    def found(text: str) -> set[int]:
        return {row.pk for row in admin_page.get(address, {"q": text}).context["cl"].result_list}

    assert found(f"#{run.pk}") == {run.pk}
    assert found("default") == {other.pk}
    assert found("boss") == {run.pk}
    assert found("shop") == {run.pk, other.pk}
    assert found("nothing like it") == set()
    assert found("9" * 30) == set()


def test_facts_are_found_by_the_number_of_their_run(admin_page: Client) -> None:
    run, other = make_run(), make_run()
    for model in (Step, NodeRun, Transition):
        address = reverse(f"admin:jobs_{model._meta.model_name}_changelist")
        rows = admin_page.get(address, {"q": f"#{other.pk}"}).context["cl"].result_list
        assert {row.run_id for row in rows} == {other.pk} != {run.pk}
        assert not admin_page.get(address, {"q": "text"}).context["cl"].result_list


def test_a_part_of_a_name_is_looked_for_among_the_newest_and_the_page_says_so(
    admin_page: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "WINDOW", 2)
    runs = [make_run() for _ in range(4)]
    for run in runs:
        Artifact.objects.filter(pk=make_artifact(run).pk).update(name=f"sales of {run.pk}.csv")
    address = reverse("admin:jobs_artifact_changelist")

    def found(query: str) -> list[int]:
        page = admin_page.get(f"{address}?{query}").content.decode()
        assert "among the newest 20,000" in page
        return [run.pk for run in runs if f"sales of {run.pk}.csv" in page]

    numbers = [run.pk for run in runs]
    assert found("q=sales") == found("type=csv") == numbers[-2:]
    assert found("") == numbers and found("q=nothing") == []
    assert found(f"q=%23{numbers[0]}") == numbers[:1], "an index finds it however old it is"


def test_what_waits_or_runs_is_found_among_the_runs_under_way(admin_page: Client) -> None:
    ended, live = make_run(), make_run()
    cancel(ended, at=AT, by="ann")
    for model, waits in ((Step, "queued"), (NodeRun, "waiting")):
        address = reverse(f"admin:jobs_{model._meta.model_name}_changelist")

        def found(status: str, at: str = address) -> set[int]:
            return {row.run_id for row in admin_page.get(at, {"status__exact": status}).context["cl"].result_list}

        assert found(waits) == {live.pk} and found("cancelled") == {ended.pk}
        assert found("running") == found("nonsense") == set()


def test_results_of_tasks_are_found_by_id_schedule_and_worker(admin_page: Client) -> None:
    facts = {"task_name": "jobs.start", "status": "SUCCESS", "worker": "celery@a", "periodic_task_name": "Mornings"}
    one = TaskResult.objects.create(task_id=str(uuid.uuid4()), **facts)
    other = TaskResult.objects.create(task_id=str(uuid.uuid4()), task_name="jobs.start", status="FAILURE")
    address = reverse("admin:django_celery_results_taskresult_changelist")

    def found(**asked: str) -> list[int]:
        return [row.pk for row in admin_page.get(address, asked).context["cl"].result_list]

    assert found(q=one.task_id) == found(q="Mornings") == found(q="celery@a") == found(state="SUCCESS") == [one.pk]
    assert found(q="Morn") == found(q=str(uuid.uuid4())) == []
    assert set(found(task="jobs.start")) == {one.pk, other.pk}
