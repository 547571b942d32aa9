"""A run and its queued steps are committed first; the message goes out after the commit and is only a hint."""

from typing import Any

import pytest
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from jobs.errors import BadParameters, ProjectError, UnknownPipeline, UnknownProject
from jobs.models import NodeRun, Run, Step
from jobs.runs.find import find_pipeline
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.runs.retry import retry
from jobs.states import Cause, Status
from jobs.structure.selection import Selection
from jobs.upkeep.reconcile import PATIENCE
from tests.factories import AT, make_pipeline, make_project, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[int], dict[str, Any]]]:
    """What was handed to the broker (Celery's own method is watched, none of ours)."""
    messages: list[tuple[str, list[int], dict[str, Any]]] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: messages.append((name, args, options)))
    return messages


def test_the_message_goes_out_after_the_commit(sent: list[Any], django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        run = make_run()
        assert sent == []
    (name, args, options) = sent[0]
    step = run.steps.get()
    assert (name, args) == ("jobs.execute", [step.pk])
    assert options["task_id"] == str(step.task_id)
    assert options["queue"] == "default"


def test_the_name_that_is_sent_is_a_task_that_exists() -> None:
    from jobs import tasks  # noqa: F401

    assert {"jobs.execute", "jobs.start", "jobs.snapshot"} <= set(current_app.tasks)


def test_a_launch_that_is_rolled_back_sends_nothing(sent: list[Any], django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        try:
            with transaction.atomic():
                make_run()
                raise RuntimeError
        except RuntimeError:
            pass
    assert sent == []
    assert not Run.objects.exists()


def test_without_a_broker_the_row_waits(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OperationalError("nobody listens")

    monkeypatch.setattr(current_app, "send_task", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        run = make_run()
    assert run.steps.get().sent_at is None
    assert run.steps.unheard(AT, patience=PATIENCE).exists()


def test_a_run_has_its_step_and_nodes_in_order() -> None:
    run = make_run()
    assert run.status == Status.QUEUED
    assert list(run.node_runs.values_list("name", flat=True)) == ["fetch", "process", "write"]
    assert run.nodes_total == 3
    assert run.transitions.get().to_status == Status.QUEUED


def test_the_same_idempotency_key_makes_one_run() -> None:
    pipeline = make_pipeline()
    first = launch(Order(pipeline, Cause.API, idempotency_key="k1"), at=AT)
    again = launch(Order(pipeline, Cause.API, idempotency_key="k1"), at=AT)
    assert first.pk == again.pk
    assert Run.objects.count() == 1


def test_a_choice_of_nodes_runs_only_those() -> None:
    run = make_run(selection=Selection(from_nodes=["process"]))
    assert list(run.node_runs.values_list("name", flat=True)) == ["process", "write"]
    assert run.nodes == ["process", "write"]


@pytest.mark.parametrize(
    ("selection", "nodes"),
    [
        (Selection(to_nodes=["process"]), ["fetch", "process"]),
        (Selection(tags=["io"]), ["fetch", "write"]),
        (Selection(nodes=["write"]), ["write"]),
        (Selection(from_nodes=["process"], to_nodes=["process"]), ["process"]),
    ],
)
def test_nodes_are_chosen_by_name_direction_and_tag(selection: Selection, nodes: list[str]) -> None:
    assert list(make_run(selection=selection).node_runs.values_list("name", flat=True)) == nodes


def test_an_unknown_node_is_named_with_its_neighbours() -> None:
    with pytest.raises(BadParameters, match=r"no node “proces” in this pipeline. Did you mean process"):
        make_run(selection=Selection(nodes=["proces"]))
    with pytest.raises(BadParameters, match=r"no tag “oi” in this pipeline. Known here: io"):
        make_run(selection=Selection(tags=["oi"]))
    with pytest.raises(BadParameters, match="No node matches this choice of nodes and tags"):
        make_run(selection=Selection(nodes=["process"], tags=["io"]))


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"options": {"top": 99}}, "options.top", "maximum"),
        ({"options.top": "many"}, "options.top", "integer"),
        ({"options": {"kind": "pie"}}, "options.kind", "bar"),
        ({"api_url": 7}, "api_url", "Has to be text"),
        ({"api_uri": "x"}, "api_uri", "Did you mean api_url"),
        ({"api_url": "${oc.env:SECRET_KEY}"}, "api_url", "configuration"),
        ({"api_url": "a\x00b"}, "api_url", "not valid text"),
        ({"options": {"ratio": float("nan")}}, "options.ratio", "finite"),
        ({"options": 3}, "options", "object"),
    ],
)
def test_a_bad_parameter_is_refused_by_its_field(given: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(BadParameters) as caught:
        make_run(parameters=given)
    assert words in caught.value.fields[field]
    assert not Run.objects.exists()


def test_monsters_are_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(50):
        deep = {"a": deep}
    with pytest.raises(BadParameters, match="Nested deeper"):
        make_run(parameters={"options": deep})
    with pytest.raises(BadParameters, match="Longer than"):
        make_run(parameters={"api_url": "x" * 300_000})


def test_dotted_names_and_defaults_of_the_pipeline_are_merged() -> None:
    pipeline = make_pipeline(default_parameters={"options": {"top": 5, "kind": "line"}})
    run = launch(Order(pipeline, Cause.MANUAL, parameters={"options.top": 7}), at=AT)
    assert run.parameters == {"options": {"top": 7, "kind": "line"}}
    assert pipeline.default_parameters == {"options": {"top": 5, "kind": "line"}}


def test_an_unknown_pipeline_is_named_with_its_neighbours() -> None:
    make_pipeline()
    with pytest.raises(UnknownPipeline, match=r"no pipeline “reprot”. Did you mean report"):
        find_pipeline("reprot")
    assert find_pipeline("shop/report").name == "report"
    with pytest.raises(UnknownProject):
        find_pipeline("report", project="elsewhere")


def test_a_project_that_was_never_read_says_what_to_do() -> None:
    from jobs.models import Pipeline

    pipeline = Pipeline.objects.create(project=make_project("raw"), name="x")
    with pytest.raises(ProjectError, match="project check raw"):
        launch(Order(pipeline, Cause.MANUAL), at=AT)


def test_a_retry_is_a_new_run_that_names_the_old_one() -> None:
    run = make_run(parameters={"options": {"top": 4}}, selection=Selection(nodes=["fetch"]))
    run.start(at=AT, by="w1")
    run.end(Status.FAILED, at=AT, by="w1")
    again = retry(run, at=AT, by_name="olga")
    assert (again.retry_of, again.cause, again.parameters) == (run, Cause.RETRY, {"options": {"top": 4}})
    assert list(NodeRun.objects.filter(run=again).values_list("name", flat=True)) == ["fetch"]
    run.refresh_from_db()
    assert run.status == Status.FAILED
    assert Step.objects.filter(run=again).count() == 1
