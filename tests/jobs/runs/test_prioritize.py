"""What waits of a run goes before others, or after them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from redis import Redis

from jobs.errors import NotNow, RequestError
from jobs.models import Run, Step
from jobs.runs.cancel import cancel_step
from jobs.runs.prioritize import prioritize
from jobs.states import Status
from jobs.steps.dispatch import messages_in
from tests.factories import AT, make_run
from tests.jobs.at_work import running

pytestmark = pytest.mark.django_db


def test_a_run_that_waits_is_told_again_at_its_new_priority(
    broker: Redis, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        run = make_run()
    with django_capture_on_commit_callbacks(execute=True):
        assert prioritize(run, 0, at=AT, by="olga") == 1
    assert run.steps.get().priority == 0
    assert broker.llen("kc:default") == 1, "the list that is read first"
    assert messages_in(["default"]) == {"default": 2}, "the old message will be refused"
    move = run.transitions.latest("pk")
    assert (move.by, move.reason, move.to_status) == ("olga", "Priority 0 instead of 5.", Status.QUEUED)


def test_what_runs_goes_on_and_the_steps_after_it_are_moved(broker: Redis) -> None:
    run = make_run()
    running(run)
    Step.objects.create(run=run, position=1, needs=[0], queue="default")
    assert prioritize(run, 9, at=AT, by="olga") == 1
    assert list(run.steps.order_by("position").values_list("priority", flat=True)) == [5, 9]
    assert broker.llen("kc:default\x06\x169") == 0, "it is told when the step before it has ended"


def test_where_nothing_waits_and_for_any_other_number_a_sentence_says_so(broker: Redis) -> None:
    run = make_run()
    with pytest.raises(RequestError, match="from 0, which goes first, to 9"):
        prioritize(run, 10, at=AT, by="olga")
    running(run)
    with pytest.raises(NotNow, match="No step of run #"), transaction.atomic():
        prioritize(run, 0, at=AT, by="olga")


def test_a_revoked_task_is_a_wish_to_stop_its_run(broker: Redis) -> None:
    run = make_run()
    cancel_step(str(run.steps.get().task_id), at=AT, by="a revoked task")
    assert Run.objects.get(pk=run.pk).error == "Cancelled by a revoked task."
    cancel_step(str(run.steps.get().task_id), at=AT, by="a revoked task")
    cancel_step(str(uuid4()), at=AT, by="a revoked task")
