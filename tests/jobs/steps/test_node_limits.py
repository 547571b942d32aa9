"""Which limit counts for which node."""

from __future__ import annotations

import pytest
from celery import current_app

from jobs.steps.node_limits import NodeLimits
from jobs.steps.request_for_child import structure_of
from tests.factories import make_run, node
from tests.jobs.runs.forks import fork

pytestmark = pytest.mark.django_db


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> NodeLimits:
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: None)
    nodes = [node("a", [], ["x"]), node("b", [], ["y"], tags=["timeout-3"]), node("c", [], ["z"], tags=["timeout-0"]),
             node("d", [], ["u"], tags=["timeout-soon", "timeout:9"])]  # fmt: skip
    run = make_run(fork(nodes, node_time_limit_seconds=60))
    return NodeLimits(run.pipeline.node_time_limit_seconds, structure_of(run).limits)


def test_a_tag_overrides_the_limit_of_the_pipeline(limits: NodeLimits) -> None:
    assert [limits.of(name) for name in ("a", "b", "c", "d", "unknown")] == [60, 3, 0, 9, 60]


def test_the_first_to_be_late_is_waited_for_and_named(limits: NodeLimits) -> None:
    since = {"a": 100.0, "b": 101.0, "c": 1.0}
    assert limits.seconds_left(since, 103.5, most=10) == 0.5
    assert limits.seconds_left(since, 120.0, most=10) == 0
    assert limits.seconds_left({"c": 1.0}, 120.0, most=10) == 10
    assert (limits.overdue(since, 103.5), limits.overdue(since, 104.0)) == ("", "b")
