"""What a run has of the chain that it is in."""

from __future__ import annotations

from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.runs.retry import retry
from jobs.states import Cause, Status
from tests.factories import AT, make_pipeline


def test_a_follower_comes_next_in_the_chain_of_its_root(db):
    pipeline = make_pipeline()
    first = launch(Order(pipeline, Cause.SCHEDULE, due_at=AT), at=AT)
    second = launch(Order(pipeline, Cause.RULE, caused_by=first), at=AT)
    third = launch(Order(pipeline, Cause.RULE, caused_by=second), at=AT)
    assert (first.root_id, first.iteration) == (None, 0)
    assert [(run.root_number, run.iteration, run.due_at) for run in (second, third)] == [
        (first.pk, 1, AT),
        (first.pk, 2, AT),
    ]


def test_a_retry_stands_in_the_place_of_the_old_run(db):
    pipeline = make_pipeline()
    first = launch(Order(pipeline, Cause.MANUAL), at=AT)
    second = launch(Order(pipeline, Cause.RULE, caused_by=first), at=AT)
    second.end(Status.CRASHED, at=AT, by="test")
    again = retry(second, at=AT)
    assert (again.root_number, again.iteration, again.caused_by) == (first.pk, 1, None)


def test_a_retry_of_a_side_job_is_one(db):
    pipeline = make_pipeline()
    first = launch(Order(pipeline, Cause.MANUAL), at=AT)
    second = launch(Order(pipeline, Cause.RULE, caused_by=first, is_side_job=True), at=AT)
    second.end(Status.CRASHED, at=AT, by="test")
    assert retry(second, at=AT).is_side_job
