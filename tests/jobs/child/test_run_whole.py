"""A pipeline that has other nodes in its process than in the picture runs with those, in one step."""

from __future__ import annotations

import uuid

import pytest

from jobs.child.run_whole import take_all, was_taken
from jobs.models import Run, Step
from jobs.states import NodeStatus, Runner, Status
from jobs.steps.collect import Collector
from kedro_console import wire
from tests.factories import AT, make_pipeline, make_run

pytestmark = pytest.mark.django_db


def claimed(step: Step) -> tuple[Step, uuid.UUID]:
    Step.objects.filter(pk=step.pk).update(ready_at=AT)
    step.refresh_from_db()
    return step, step.claim(at=AT, worker_name="w1", lease=AT - AT)


@pytest.fixture
def fan() -> Run:
    """A distributed run of several steps."""
    pipeline = make_pipeline()
    pipeline.runner = Runner.DISTRIBUTED
    pipeline.save()
    run = make_run(pipeline)
    step = run.steps.get()
    for position in (1, 2):
        Step.objects.create(run=run, position=position, nodes=step.nodes, queue=step.queue)
    return run


def test_of_two_that_are_refused_one_runs_all_and_the_other_has_ended(fan: Run) -> None:
    (first, one), (second, two) = (claimed(step) for step in fan.steps.filter(position__lt=2).order_by("position"))
    assert take_all(first, one, at=AT, by="w1") and not take_all(second, two, at=AT, by="w1")
    assert was_taken(second, two, at=AT, by="w1")
    fan.refresh_from_db()
    assert fan.runner == Runner.SEQUENTIAL and fan.plan_reason.startswith("1 step instead of 3. ")
    assert first.nodes == list(fan.node_runs.order_by("position").values_list("name", flat=True))
    assert list(fan.steps.order_by("position").values_list("status", "merged_into")) == [
        (Status.RUNNING, None), (Status.CANCELLED, 0), (Status.CANCELLED, 0),
    ]  # fmt: skip


def test_a_run_that_has_begun_stays_divided(fan: Run) -> None:
    Run.objects.filter(pk=fan.pk).update(begun_with="r1/p1")
    step, token = claimed(fan.steps.get(position=0))
    assert not take_all(step, token, at=AT, by="w1") and not was_taken(step, token, at=AT, by="w1")


def test_the_nodes_of_the_process_take_the_place_of_the_planned_ones() -> None:
    run = make_run()
    step, token = claimed(run.steps.get())
    planned = list(run.node_runs.order_by("position").values_list("name", flat=True))
    kept = planned[0]
    collector = Collector(step, token, frozenset())
    collector.take(wire.RunStarted(0.0, ["new", kept], {}, {}, is_whole=True, outputs=["total"]))
    collector.take(wire.NodeStarted(1.0, "new"))
    collector.take(wire.NodeFinished(2.0, "new", 1.0))
    collector.writer.flush()
    run.refresh_from_db()
    rows = dict(run.node_runs.values_list("name", "status"))
    assert rows == {"new": NodeStatus.SUCCEEDED, kept: NodeStatus.WAITING}
    assert (run.nodes_done, run.nodes_total) == (1, 2) and "total" in collector.heard.outputs
    assert run.graph_change == (
        f"The pipeline's nodes are not those it had when the project was read: 1 new, {len(planned) - 1} gone."
    )


def test_a_part_of_the_pipeline_drops_no_nodes() -> None:
    run = make_run()
    step, token = claimed(run.steps.get())
    count = run.node_runs.count()
    collector = Collector(step, token, frozenset())
    collector.take(wire.RunStarted(0.0, step.nodes[:1], {}, {}))
    collector.writer.flush()
    run.refresh_from_db()
    assert run.node_runs.count() == count and run.graph_change == ""
