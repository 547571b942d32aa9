"""A run whose workers could not hand data on to each other is refused before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.errors import NoSharedStore
from jobs.insight.examine import examine_workers
from jobs.interpreters import stores
from jobs.models import Pipeline, Project, Run, Snapshot
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.states import Cause, Runner, Status
from tests.factories import AT, content, make_pipeline, make_project, node
from tests.views.scenes import a_worker

pytestmark = pytest.mark.django_db

SENTENCE = (
    "The steps of this run would not find each other's data: the workers a@one and b@two do not share "
    "{folder}. Set CONSOLE_RUN_STORE for all of them to an address such as s3://bucket/runs or to a folder that each "
    "mounts, or start the run in one process (runner sequential or threads)."
)


@pytest.fixture
def wide() -> Pipeline:
    """Three steps when it is distributed: two that start at once, and one after both."""
    nodes = [node("left", [], ["l"]), node("right", [], ["r"]), node("join", ["l", "r"], ["joined"])]
    report = {"name": "report", "nodes": nodes, "inputs": [], "outputs": ["joined"], "parameters": []}
    project = make_project()
    Snapshot.objects.create(project=project, revision="x", content=content(pipelines=[report]), taken_at=AT)
    return make_pipeline(project=project, runner=Runner.DISTRIBUTED)


def started(pipeline: Pipeline, cause: Cause = Cause.MANUAL, **facts: Any) -> Run:
    return launch(Order(pipeline, cause, **facts), at=AT)


def two_workers(**marks: str) -> None:
    a_worker(AT, name="a@one", runs_mark="1", **marks)
    a_worker(AT, name="b@two", runs_mark="2", **marks)


def test_workers_without_a_common_folder_are_named_and_the_way_out_is_said(wide: Pipeline, settings: Any) -> None:
    two_workers()
    with pytest.raises(NoSharedStore) as refused:
        started(wide)
    assert str(refused.value) == SENTENCE.format(folder=f"{settings.VAR}/runs")
    assert not Run.objects.exists()


def test_what_needs_no_common_folder_starts(wide: Pipeline, settings: Any) -> None:
    two_workers()
    assert started(wide, runner=Runner.SEQUENTIAL).status == Status.QUEUED
    settings.CONSOLE_RUN_STORE = "s3://bucket/runs"
    run = started(wide)
    assert run.store_url == f"s3://bucket/runs/{run.uuid}"
    settings.CONSOLE_RUN_STORE = ""
    Project.objects.update(store_url="s3://own/runs")
    wide.project.refresh_from_db()
    assert started(wide).store_url.startswith("s3://own/runs/")


@pytest.mark.parametrize(
    "other",
    [
        {"runs_mark": "1"},
        {"runs_mark": ""},
        {"runs_mark": "2", "queues": ["gpu"]},
        {"runs_mark": "2", "stopped_at": AT},
    ],
    ids=["same folder", "older release", "another queue", "stopped"],
)
def test_workers_that_share_or_do_not_matter_are_no_reason(wide: Pipeline, other: dict[str, Any]) -> None:
    a_worker(AT, name="a@one", runs_mark="1")
    a_worker(AT, name="b@two", **other)
    assert started(wide).status == Status.QUEUED


def test_a_folder_of_the_setting_is_compared_too(wide: Pipeline, settings: Any, tmp_path: Path) -> None:
    settings.CONSOLE_RUN_STORE = str(tmp_path)
    a_worker(AT, name="a@one", runs_mark="1", store_mark="m")
    worker = a_worker(AT, name="b@two", runs_mark="2", store_mark="n")
    with pytest.raises(NoSharedStore, match=f"a@one and b@two do not share {tmp_path}"):
        started(wide)
    worker.store_mark = "m"
    worker.save()
    run = started(wide)
    assert run.store_url == stores.place_of(run) == f"{tmp_path}/{run.uuid}"


def test_a_due_time_leaves_a_failed_run_that_says_so(wide: Pipeline) -> None:
    two_workers()
    run = started(wide, Cause.SCHEDULE, due_at=AT)
    assert run.status == Status.FAILED and "do not share" in run.error


def test_the_checks_say_it_before_anybody_starts_a_run() -> None:
    from jobs import clock

    a_worker(clock.now(), name="a@one", runs_mark="1")
    a_worker(clock.now(), name="b@two", runs_mark="2")
    finding = next(found for found in examine_workers(clock.now()) if found.subject == "run store")
    assert not finding.is_ok and "a@one and b@two share no folder" in finding.sentence


def test_a_folder_has_one_mark_for_all_who_reach_it_by_whatever_path(settings: Any, tmp_path: Path) -> None:
    settings.VAR, settings.CONSOLE_RUN_STORE = tmp_path / "one", str(tmp_path / "shared")
    first = stores.marks()
    (tmp_path / "link").symlink_to(tmp_path / "one")
    settings.VAR = tmp_path / "link"
    assert stores.marks() == first and all(first)
    settings.VAR = tmp_path / "other"
    assert stores.marks()[0] != first[0] and stores.marks()[1] == first[1]
    settings.CONSOLE_RUN_STORE = "s3://bucket/runs"
    assert stores.marks()[1] == "s3://bucket/runs"


def test_a_store_in_a_folder_is_read_shared_and_dropped_without_the_project(
    wide: Pipeline, settings: Any, tmp_path: Path
) -> None:
    settings.CONSOLE_RUN_STORE = str(tmp_path)
    old, new = started(wide), started(wide)
    folder = Path(old.store_url)
    folder.mkdir()
    (folder / "l.data").write_text("moon")
    assert stores.names(old) == {"l.data"}
    stores.share(old, new, ["l"])
    assert (Path(new.store_url) / "l.data").read_text() == "moon"
    stores.drop(wide.project, [old.store_url])
    assert not folder.exists() and Path(new.store_url).exists()
