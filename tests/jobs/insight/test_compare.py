"""What differs between two runs, and how a failure stands among the runs before it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs.insight.compare import Difference, Subject, differences, history, last_success
from jobs.models import Run, Snapshot
from jobs.states import Status
from jobs.structure.selection import Selection
from tests.factories import AT, content, make_pipeline, make_project, make_run, node

pytestmark = pytest.mark.django_db


def done(status: Status = Status.SUCCEEDED, *, error: str = "", parameters: dict[str, Any] | None = None) -> Run:
    run = make_run(parameters=parameters or {})
    run.start(at=AT, by="w1")
    run.end(status, at=AT + timedelta(seconds=5), by="w1", error=error)
    return run


def loaded(run: Run, dataset: str, **facts: Any) -> None:
    step, number = run.steps.get(), run.events.count() + 1
    data = {"dataset": dataset, **facts}
    run.events.create(step=step, seq=number, at=AT, kind="dataset_loaded", node="fetch", data=data)


def test_two_runs_of_the_same_do_not_differ() -> None:
    one, other = done(), done()
    for run in (one, other):
        loaded(run, "rates", rows=5, size_bytes=100)
    assert differences(one, other) == []


def test_parameters_differ_leaf_by_leaf_as_kedro_resolved_them() -> None:
    one, other = done(), done()
    one.resolved_parameters = {"options": {"top": 10, "kind": "bar"}, "gone": 1}
    other.resolved_parameters = {"options": {"top": 5, "kind": "bar"}}
    assert differences(one, other) == [
        Difference(Subject.PARAMETER, "gone", 1, "not there"),
        Difference(Subject.PARAMETER, "options.top", 10, 5),
    ]


def test_a_run_that_kedro_never_began_is_compared_by_what_was_asked_for() -> None:
    one, other = done(), done(Status.CRASHED, parameters={"options": {"top": 5}})
    one.resolved_parameters = content()["parameters"]
    assert differences(one, other) == [Difference(Subject.PARAMETER, "options.top", 10, 5)]


def test_code_differs_by_the_nodes_that_changed_came_and_went() -> None:
    one = done()
    nodes = [
        node("fetch", ["params:api_url"], ["raw_data"], tags=["io"], source="another"),
        node("new", ["raw_data"], ["x"]),
    ]
    report = {**content()["pipelines"][0], "nodes": nodes}
    project = one.pipeline.project
    Snapshot.objects.create(project=project, revision="r2", content=content(pipelines=[report]), taken_at=AT)
    project.__dict__.pop("snapshot", None)
    other = make_run(one.pipeline, at=AT)
    one.revision, other.revision = "r1", "r2"
    assert differences(one, other) == [
        Difference(Subject.CODE, "fetch", "as it was", "changed"),
        Difference(Subject.CODE, "new", "not there", "new"),
        Difference(Subject.CODE, "process", "as it was", "not there"),
        Difference(Subject.CODE, "write", "as it was", "not there"),
    ]


def test_code_beside_the_nodes_differs_by_its_revision() -> None:
    one, other = done(), done()
    one.revision, other.revision = "r1", "r2"
    assert differences(one, other) == [Difference(Subject.CODE, "revision", "r1", "r2")]
    other.revision = ""
    assert differences(one, other) == [], "it ended before it told its revision"


def test_packages_and_the_runner_differ() -> None:
    one, other = done(), done()
    one.versions, other.versions = {"pandas": "2.2", "numpy": "2.0"}, {"pandas": "3.0", "numpy": "2.0"}
    other.runner = "distributed"
    assert [(each.subject, each.name) for each in differences(one, other)] == [
        (Subject.PACKAGE, "pandas"),
        (Subject.RUNNER, "runner"),
    ]


def test_data_from_outside_differs_by_its_size_and_what_a_run_made_itself_does_not_count() -> None:
    nodes = [
        node("fetch", ["params:top", "rates", "late"], ["made"]),
        node("write", ["made", "parameters"], ["zip_file"]),
    ]
    report = {**content()["pipelines"][0], "nodes": nodes}
    Snapshot.objects.create(project=make_project(), revision="r", content=content(pipelines=[report]), taken_at=AT)
    one, other = done(), done(Status.FAILED)
    loaded(one, "rates", rows=3376, columns=4, size_bytes=120_000)
    loaded(other, "rates", rows=12, columns=4, size_bytes=500)
    for run, rows in ((one, 1), (other, 2)):
        for name in ("made", "params:top", "parameters"):
            loaded(run, name, rows=rows)
    loaded(one, "late", rows=7)
    assert differences(one, other) == [
        Difference(Subject.DATA, "rates", "3,376 rows, 4 columns, 120,000 bytes", "12 rows, 4 columns, 500 bytes")
    ]


def test_of_chosen_nodes_what_the_others_would_make_comes_from_outside() -> None:
    make_run()  # fetch → process → write
    one, other = make_run(selection=Selection(nodes=["process"])), make_run(selection=Selection(nodes=["process"]))
    loaded(one, "raw_data", rows=1)
    loaded(other, "raw_data", rows=2)
    assert differences(one, other) == [Difference(Subject.DATA, "raw_data", "1 row", "2 rows")]


def test_a_failure_knows_when_its_error_was_first_seen_and_the_last_success() -> None:
    first = done(Status.FAILED, error="ValueError: no.")
    good = done()
    done(Status.FAILED, error="another")
    make_run(make_pipeline("__default__"))
    done(Status.CANCELLED)
    last = done(Status.FAILED, error="ValueError: no.")
    done()
    past = history(last)
    assert (past.last_success, past.in_a_row, past.alike, past.first) == (good, 2, 2, first)


def test_a_first_failure_has_no_past() -> None:
    only = done(Status.CRASHED, error="gone")
    past = history(only)
    assert (past.last_success, past.in_a_row, past.alike, past.first) == (None, 1, 1, only)
    assert last_success(only) is None


def test_the_last_success_is_of_the_same_pipeline() -> None:
    make_project("other")
    run = done(Status.FAILED)
    other = make_run(make_pipeline("__default__"))
    other.start(at=AT, by="w")
    other.end(Status.SUCCEEDED, at=AT, by="w")
    assert last_success(done(Status.FAILED)) is None and last_success(run) is None
