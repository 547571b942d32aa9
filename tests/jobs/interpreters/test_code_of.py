"""A run names every code that it ran, and from which node on."""

from __future__ import annotations

import pytest

from jobs.models import Run, Step
from jobs.states import NodeStatus
from jobs.steps.collect import Collector
from kedro_console import wire
from tests.factories import AT, make_run

pytestmark = pytest.mark.django_db


def begun(run: Run, revision: str, packages: str = "p1", *, attempt: int = 1) -> Run:
    """The run after a child of its step started with this code."""
    step = run.steps.order_by("attempt").last()
    assert step
    if step.attempt < attempt:
        step = Step.objects.create(run=run, attempt=attempt, nodes=step.nodes, queue=step.queue, ready_at=AT)
    if not step.lease_token:
        step.claim(at=AT, worker_name="w1", lease=AT - AT)
        step.refresh_from_db()
    assert step.lease_token
    collector = Collector(step, step.lease_token, frozenset())
    collector.take(wire.ChildStarted(0.0, 1, "fork", revision, "1.7.0", "3.11.7", packages=packages))
    collector.writer.flush()
    step.refresh_from_db()
    assert (step.revision, step.packages) == (revision, packages)
    return Run.objects.get(pk=run.pk)


def test_a_run_of_one_piece_has_one_revision() -> None:
    run = begun(begun(make_run(), "r1"), "r1")
    assert (run.revision, run.revisions, run.code_change, run.begun_with) == ("r1", ["r1"], "", "r1/p1")


def test_other_code_is_named_with_the_node_from_which_on_it_ran() -> None:
    run = begun(begun(begun(make_run(), "r1"), "r2"), "r1")
    node = run.node_runs.order_by("position").first()
    assert node and run.revision == "r1" and run.revisions == ["r1", "r2"]
    assert run.code_change == f"From node {node.name} on it ran on other code: r2 instead of r1."


def test_other_packages_are_other_code_too() -> None:
    run = begun(begun(make_run(), "r1"), "r1", "p2")
    assert run.revisions == ["r1"] and run.code_change.endswith("on it ran with other packages installed.")


def test_another_attempt_on_other_code_says_so() -> None:
    run = begun(begun(make_run(), "r1"), "r2", attempt=2)
    assert run.code_change.startswith("Attempt 2, from node ") and run.code_change.endswith("r2 instead of r1.")


def test_what_a_resumed_run_takes_from_other_code_is_named() -> None:
    old = begun(make_run(), "r1")
    new = make_run(retry_of=old)
    new.node_runs.filter(position=0).update(status=NodeStatus.REUSED, taken_from=old)
    new = begun(new, "r2")
    assert new.revisions == ["r2", "r1"]
    assert new.code_change == f"What it takes from run #{old.pk} was made on other code: r1 instead of r2."
