from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask

from console.drawing.graph import element_id
from jobs import clock
from jobs.insight.durations import LOOKED_AT, SHOWN, lately
from jobs.models import NodeRun, Pipeline, Project, Snapshot
from jobs.schedules.due import by_pipeline
from jobs.states import NodeStatus, Status
from tests import large_pipelines as large
from tests.factories import AT, content, make_pipeline, make_project, make_run, node
from tests.views.scenes import HTMX, ended, logged_in, running

pytestmark = pytest.mark.django_db


def show(pipeline: Pipeline, role: str = "viewer", **query: str) -> str:
    response = logged_in(role).get(reverse("pipeline", args=[pipeline.pk]), query)
    assert response.status_code == 200
    return response.content.decode()


def listing(role: str = "viewer") -> str:
    return logged_in(role).get(reverse("pipelines")).content.decode()


def a_schedule(pipeline: Pipeline, **facts: Any) -> PeriodicTask:
    arguments = facts.pop("kwargs", json.dumps({"pipeline_id": pipeline.pk}))
    return PeriodicTask.objects.create(task="jobs.start", kwargs=arguments, **{"name": "mornings", **facts})


def at_seven(zone: str = "Europe/Berlin") -> CrontabSchedule:
    return CrontabSchedule.objects.create(minute="0", hour="7", timezone=zone)


def test_strangers_are_sent_to_the_login_and_everyone_else_sees() -> None:
    pipeline = make_pipeline()
    for address in (reverse("pipelines"), reverse("pipeline", args=[pipeline.pk])):
        assert Client().get(address)["Location"].startswith("/login/")
        for role in ("viewer", "analyst", "operator", "admin"):
            assert logged_in(role).get(address).status_code == 200


def test_who_may_not_start_has_no_run_button() -> None:
    pipeline = make_pipeline()
    address = reverse("pipeline_run", args=[pipeline.pk])
    for role, is_there in (("viewer", False), ("analyst", False), ("operator", True)):
        assert (address in listing(role)) is is_there
        assert (address in show(pipeline, role)) is is_there


def test_the_schedule_button_is_for_those_who_make_schedules() -> None:
    pipeline = make_pipeline()
    assert "Schedule…" not in show(pipeline, "operator")
    assert reverse("schedule_new_for", args=[pipeline.pk]) in show(pipeline, "admin")


def test_no_project_is_said_with_the_command_that_adds_one() -> None:
    assert "python manage.py project add PATH" in listing()


def test_pipelines_stand_below_their_project_with_its_problems() -> None:
    pipeline = make_pipeline()
    problem = {"severity": "error", "subject": "x", "sentence": "openpyxl is missing: pip install openpyxl."}
    Snapshot.objects.create(
        project=pipeline.project, revision="r", taken_at=AT, content=content(problems=[{**problem, "failure": None}])
    )
    assert "openpyxl is missing: pip install openpyxl." in listing()
    assert "openpyxl is missing" in show(pipeline)


def test_a_pipeline_that_is_no_longer_registered_leaves_the_list_and_keeps_its_page() -> None:
    make_pipeline()
    gone = make_pipeline("gone", is_registered=False)
    assert reverse("pipeline", args=[gone.pk]) not in listing()
    assert "no longer has a pipeline of this name" in show(gone)


def test_the_list_asks_the_same_few_questions_for_any_number_of_pipelines() -> None:
    def questions() -> int:
        client = logged_in("viewer")
        with CaptureQueriesContext(connection) as asked:
            client.get(reverse("pipelines"))
        return len(asked)

    ended(pipeline=make_pipeline())
    few = questions()
    for number in range(6):
        ended(pipeline=make_pipeline(project=make_project(f"more-{number}")))
    assert questions() == few


def test_the_last_runs_are_bars_oldest_first() -> None:
    pipeline = make_pipeline()
    runs = [ended(Status.FAILED if n == 2 else Status.SUCCEEDED, seconds=10 * (n + 1)) for n in range(4)]
    told = lately([pipeline], at=clock.now())[pipeline.pk]
    assert [bar.number for bar in told.bars] == [run.pk for run in runs]
    assert [bar.height for bar in told.bars] == [25, 50, 75, 100]
    assert told.success_percent == 75
    assert told.usual_seconds == 20
    page = show(pipeline)
    assert all(reverse("run", args=[run.pk]) in page for run in runs)


def test_a_cancelled_run_counts_neither_as_good_nor_as_bad() -> None:
    pipeline = make_pipeline()
    for status in (Status.SUCCEEDED, Status.CANCELLED):
        ended(status)
    assert lately([pipeline], at=clock.now())[pipeline.pk].success_percent == 100


def test_a_pipeline_that_never_ran_has_no_figures() -> None:
    pipeline = make_pipeline()
    told = lately([pipeline], at=clock.now())[pipeline.pk]
    assert (told.bars, told.success_percent, told.usual_seconds, told.last) == ([], None, None, None)
    assert "Never ran" in listing()


def test_only_the_newest_runs_are_shown_and_looked_at() -> None:
    pipeline = make_pipeline()
    slow = ended(seconds=500)
    for _ in range(LOOKED_AT):
        ended(seconds=10)
    told = lately([pipeline], at=clock.now())[pipeline.pk]
    assert len(told.bars) == SHOWN
    assert told.slow_seconds == 10
    assert slow.pk not in [bar.number for bar in told.bars]


def test_a_run_under_way_longer_than_all_others_does_not_flatten_them() -> None:
    pipeline = make_pipeline()
    ended(seconds=10)
    running(at=clock.now() - timedelta(hours=5))
    assert [bar.height for bar in lately([pipeline], at=clock.now())[pipeline.pk].bars] == [100, 100]


def test_the_grid_has_a_row_a_node_and_a_column_a_run() -> None:
    pipeline = make_pipeline()
    run = ended(Status.FAILED)
    NodeRun.objects.filter(run=run, name="process").update(status=NodeStatus.FAILED)
    page = show(pipeline, tab="runs")
    assert f'aria-label="process in run {run.pk}: failed"' in page
    assert page.index('<th scope="row" title="fetch">') < page.index('<th scope="row" title="process">')


def test_the_page_shows_parameters_with_their_help_and_the_code_of_nodes() -> None:
    pipeline = make_pipeline()
    nodes = [node("fetch", ["params:options"], ["x"], file="src/nodes.py", line_start=7, source="def fetch():\n    1")]
    row = {"name": "report", "nodes": nodes, "inputs": [], "outputs": ["x"], "parameters": ["options"]}
    Snapshot.objects.create(project=pipeline.project, revision="r2", taken_at=AT, content=content(pipelines=[row]))
    assert "How many groups." in show(pipeline, tab="parameters")
    page = show(pipeline, tab="code")
    assert "src/nodes.py:7" in page
    assert f'id="code-{element_id("fetch")}"' in page
    assert '<span data-line="8">    1' in page


def test_the_details_of_a_node_are_its_code_its_parameters_and_how_it_went() -> None:
    pipeline = make_pipeline()
    nodes = [node("fetch", ["params:options"], ["x"], file="src/nodes.py", line_start=7, source="def fetch():\n    1")]
    row = {"name": "report", "nodes": nodes, "inputs": [], "outputs": ["x"], "parameters": ["options"]}
    Snapshot.objects.create(project=pipeline.project, revision="r2", taken_at=AT, content=content(pipelines=[row]))
    run = ended()
    NodeRun.objects.filter(run=run, name="fetch").update(status=NodeStatus.SUCCEEDED, seconds=3.0)
    page = show(pipeline, node="fetch")
    drawer = page.partition('id="drawer"')[2].partition("</aside>")[0]
    assert "src/nodes.py:7" in drawer and "def fetch" in drawer and "options.top" in drawer
    assert "Usually takes 3.0s" in drawer and f"fetch in run {run.pk}: succeeded" in page
    assert f'href="/runs/{run.pk}/?node=fetch"' in page


def test_the_grid_of_a_large_pipeline_is_folded_as_its_tree_and_shows_the_worst_of_a_box() -> None:
    pipeline = large.sixty_nodes()
    run = ended(pipeline=pipeline)
    run.node_runs.update(status=NodeStatus.SUCCEEDED, seconds=1.0)
    NodeRun.objects.filter(run=run, name="emea.uk.load.step_2").update(status=NodeStatus.FAILED)
    page = show(pipeline, tab="runs")
    assert f'aria-label="emea in run {run.pk}: failed"' in page
    assert f'aria-label="apac in run {run.pk}: succeeded"' in page
    page = show(pipeline, tab="runs", unfold="emea.uk.load")
    assert f'aria-label="emea.uk.load.step_2 in run {run.pk}: failed"' in page


def test_hostile_names_and_code_are_escaped() -> None:
    evil = "</title><script>alert(1)</script>"
    pipeline = make_pipeline(evil, description=evil)
    nodes = [node(evil, [f"params:{evil}"], [evil], source=evil, tags=[evil])]
    row = {"name": evil, "nodes": nodes, "inputs": [], "outputs": [evil], "parameters": [evil]}
    raw = content(pipelines=[row], parameters={evil: evil}, schemas={evil: {"type": "string", "description": evil}})
    Snapshot.objects.create(project=pipeline.project, revision=evil, taken_at=AT, content=raw)
    make_run(pipeline)
    form = logged_in("operator").get(reverse("pipeline_run", args=[pipeline.pk])).content.decode()
    panes = [show(pipeline, tab=tab, node=evil) for tab in ("graph", "runs", "parameters", "code")]
    for page in (show(pipeline, parameters="1"), *panes, listing(), form):
        assert "<script>alert" not in page


def test_htmx_gets_the_graph_alone_with_or_without_parameters() -> None:
    pipeline = make_pipeline()
    address = reverse("pipeline", args=[pipeline.pk])
    folded = logged_in("viewer").get(address, **HTMX).content.decode()
    unfolded = logged_in("viewer").get(address, {"parameters": "1"}, **HTMX).content.decode()
    assert "<html" not in folded
    assert "kc-node-parameter" not in folded and "kc-node-parameter" in unfolded


def test_a_project_that_was_never_read_has_a_page_that_says_so() -> None:
    pipeline = Pipeline.objects.create(project=make_project(), name="report")
    assert "python manage.py project check shop" in show(pipeline)


def test_the_next_start_is_when_beat_will_send_it() -> None:
    pipeline = make_pipeline()
    a_schedule(pipeline, crontab=at_seven())
    at = clock.now()
    (fire,) = by_pipeline(at)[pipeline.pk]
    assert fire.next_at is not None and at <= fire.next_at <= at + timedelta(days=1, hours=1)
    local = fire.next_at.astimezone(ZoneInfo("Europe/Berlin"))
    assert (local.hour, local.minute, local.second) == (7, 0, 0)
    assert "mornings" in show(pipeline)
    assert fire.next_at.isoformat()[:16] in listing()


def test_a_paused_schedule_is_shown_and_starts_nothing() -> None:
    pipeline = make_pipeline()
    a_schedule(pipeline, crontab=at_seven(), enabled=False)
    (fire,) = by_pipeline(clock.now())[pipeline.pk]
    assert fire.next_at is None
    assert "paused" in show(pipeline)


def test_schedules_of_every_kind_are_read_soonest_first() -> None:
    pipeline = make_pipeline()
    later = ClockedSchedule.objects.create(clocked_time=datetime(2090, 1, 1, tzinfo=UTC))
    a_schedule(pipeline, name="once", clocked=later, one_off=True)
    a_schedule(pipeline, name="often", interval=IntervalSchedule.objects.create(every=5, period="minutes"))
    by_place = json.dumps([pipeline.pk])
    a_schedule(pipeline, name="daily", crontab=at_seven("UTC"), kwargs="{}", args=by_place)
    assert [fire.name for fire in by_pipeline(clock.now())[pipeline.pk]] == ["often", "daily", "once"]


@pytest.mark.parametrize("arguments", ["{nonsense", "[]", "null", '{"pipeline_id": "x"}', '{"pipeline_id": null}'])
def test_a_schedule_typed_wrong_by_hand_breaks_no_page(arguments: str) -> None:
    pipeline = make_pipeline()
    a_schedule(pipeline, crontab=at_seven(), kwargs=arguments)
    assert by_pipeline(clock.now()) == {}
    assert "Nothing starts this pipeline by itself." in show(pipeline)


def test_a_project_that_cannot_be_read_says_so_instead_of_offering_a_run() -> None:
    row = make_pipeline()
    problem = {"severity": "error", "subject": "import", "sentence": "No module named not_there_yet."}
    Project.objects.update(trouble=[problem], unread=["*"])
    client = logged_in("operator")
    for address in (reverse("pipelines"), reverse("pipeline", args=[row.pk])):
        page = client.get(address).content.decode()
        assert "No module named not_there_yet." in page and "last good picture" in page
        assert "Cannot run" in page and "play_arrow" not in page


def a_large_one(count: int = 60) -> Pipeline:
    nodes = [node(f"emea.n{i}", [], [f"d{i}"], namespace="emea" if i % 2 else "apac") for i in range(count)]
    report = {"name": "report", "nodes": nodes, "inputs": [], "outputs": [], "parameters": []}
    project = make_project()
    Snapshot.objects.create(project=project, revision="r", taken_at=AT, content=content(pipelines=[report]))
    return make_pipeline(project=project)


def test_a_large_pipeline_is_shown_folded_and_the_address_unfolds_it() -> None:
    pipeline = a_large_one()
    folded = show(pipeline)
    assert "Unfold emea: 30 nodes" in folded
    assert f'id="{element_id("emea.n1")}"' not in folded
    opened = show(pipeline, unfold="emea")
    assert "Fold emea: 30 nodes" in opened
    assert "Unfold apac: 30 nodes" in opened
    assert f'id="{element_id("emea.n1")}"' in show(pipeline, unfold="*")


def test_htmx_gets_the_graph_alone_with_the_folds_that_it_asks_for() -> None:
    pipeline = a_large_one()
    address = reverse("pipeline", args=[pipeline.pk])
    page = logged_in("viewer").get(address, {"unfold": "emea/part:1"}, **HTMX).content.decode()
    assert 'data-folds="unfold=emea%2Fpart%3A1"' in page
    assert "<main" not in page
