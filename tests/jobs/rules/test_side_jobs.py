"""Side jobs: beside the main run, at its end or at a node's, and never to its harm."""

from __future__ import annotations

from typing import Any

import pytest
from celery import current_app

from jobs.errors import LeaseLost
from jobs.models import Firing, Run, Step
from jobs.runs.cancel import cancel
from jobs.states import Decision, Occasion, Status
from jobs.steps.advance import Outcome, finish
from jobs.steps.collect import Collector
from kedro_console import wire
from tests.factories import AT, make_run
from tests.jobs.at_work import running
from tests.jobs.chains import decisions, end, ended, followers, make_rule, pipelines

pytestmark = pytest.mark.django_db
NOW = AT.timestamp()


@pytest.fixture(autouse=True)
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


def finished(node: str) -> wire.NodeFinished:
    return wire.NodeFinished(NOW, node=node, seconds=0.5)


def failed(node: str) -> wire.NodeFailed:
    failure = wire.Failure("ValueError", "no", frames=[])
    return wire.NodeFailed(NOW, node=node, seconds=0.5, failure=failure)


def saved(dataset: str, rows: int) -> wire.DatasetSaved:
    return wire.DatasetSaved(NOW, node="process", dataset=dataset, type="pandas.CSVDataset", rows=rows, seconds=0.1)


def collecting(run: Run) -> tuple[Collector, Step]:
    step = running(run)
    assert step.lease_token
    return Collector(step, step.lease_token, {"zip_file", "processed_data"}), step


def test_a_side_job_that_fails_leaves_the_main_run_as_it_is() -> None:
    a, b, *_ = pipelines()
    make_rule([a], b, is_side_job=True)
    main = ended(a)
    (side,) = followers(b)
    end(side, Status.FAILED, error="no")
    main.refresh_from_db()
    assert (side.is_side_job, main.status, main.error) == (True, Status.SUCCEEDED, "")
    assert Firing.objects.get().is_side_job


def test_it_may_start_at_a_nodes_end_while_the_main_run_goes_on() -> None:
    a, b, *_ = pipelines()
    make_rule(
        [a], b, is_side_job=True, node="process", condition="node.status == 'succeeded' && run.status == 'running'",
        mapping={"options.top": "results.processed_data.rows"},
    )  # fmt: skip
    main = make_run(a)
    seen, step = collecting(main)
    seen.take(finished("fetch"))
    seen.writer.flush()
    assert followers(b) == []
    seen.take(saved("processed_data", 12))
    seen.take(finished("process"))
    seen.writer.flush()
    (side,) = followers(b)
    assert (side.parameters, side.caused_by, Run.objects.get(pk=main.pk).status) == (
        {"options": {"top": 12}},
        main,
        Status.RUNNING,
    )
    assert side.cause_detail == f"rule to b after process of run #{main.pk}"
    seen.writer.flush()
    finish(step, Outcome(Status.SUCCEEDED), token=step.lease_token, at=AT, by="w1")
    assert len(followers(b)) == 1


def test_a_node_that_fails_starts_the_one_that_waits_for_that() -> None:
    a, b, c, _ = pipelines()
    make_rule([a], b, is_side_job=True, node="fetch", outcome=Occasion.FAILED)
    make_rule([a], c, is_side_job=True, node="fetch", outcome=Occasion.SUCCEEDED)
    seen, _ = collecting(make_run(a))
    seen.take(failed("fetch"))
    seen.writer.flush()
    assert (len(followers(b)), len(followers(c))) == (1, 0)


def test_a_node_whose_process_was_lost_is_noticed_at_the_runs_end() -> None:
    a, b, *_ = pipelines(crash_retries=0)
    make_rule([a], b, is_side_job=True, node="fetch", outcome=Occasion.FAILED)
    run = make_run(a)
    seen, step = collecting(run)
    seen.take(wire.NodeStarted(NOW, node="fetch"))
    seen.writer.flush()
    finish(step, Outcome(Status.CRASHED, "gone"), token=step.lease_token, at=AT, by="w1")
    assert len(followers(b)) == 1


def test_a_node_that_never_began_ends_nothing() -> None:
    a, b, *_ = pipelines()
    make_rule([a], b, is_side_job=True, node="write", outcome=Occasion.FINISHED)
    run = make_run(a)
    step = running(run)
    cancel(run, at=AT, by="olga")
    finish(step, Outcome(Status.CANCELLED), token=step.lease_token, at=AT, by="w1")
    assert run.node_runs.get(name="write").status == Status.CANCELLED
    assert followers(b) == []


def test_a_supervisor_that_lost_its_lease_starts_nothing() -> None:
    a, b, *_ = pipelines()
    make_rule([a], b, is_side_job=True, node="fetch")
    seen, step = collecting(make_run(a))
    Step.objects.filter(pk=step.pk).update(lease_token="00000000-0000-0000-0000-000000000000")
    seen.take(finished("fetch"))
    with pytest.raises(LeaseLost):
        seen.writer.flush()
    assert (followers(b), decisions()) == ([], [])


def test_what_goes_wrong_at_a_nodes_end_does_not_stop_the_collecting(monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.rules import fire

    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("oops")

    a, b, *_ = pipelines()
    make_rule([a], b, is_side_job=True, node="fetch")
    monkeypatch.setattr(fire, "launch", broken)
    run = make_run(a)
    seen, _ = collecting(run)
    seen.take(finished("fetch"))
    seen.writer.flush()
    assert run.node_runs.get(name="fetch").status == Status.SUCCEEDED
    assert decisions()[0][0] == Decision.FAILED
