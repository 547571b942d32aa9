"""Runs that wait for a quota: queued, with the reason and the time, and called when it is their turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from django.core.exceptions import ValidationError

from jobs.insight.explain import why_waiting
from jobs.models import Grant, Pipeline, Quota, Run, Step
from jobs.quotas.quotas import grant_settled, grant_taken, pause, reopen
from jobs.runs.cancel import cancel
from jobs.states import Status
from jobs.steps.admit import bring_forward
from jobs.steps.advance import Outcome, finish
from jobs.steps.hand_on import claim
from jobs.upkeep.reconcile import PATIENCE
from kedro_console import wire
from tests.factories import AT, make_pipeline, make_quota, make_run

pytestmark = pytest.mark.django_db


def claim_at(run: Run, seconds: float) -> bool:
    """Whether the run's step could be claimed then; IllegalMove when it is another's already."""
    step = Step.objects.filter(status=Status.QUEUED).select_related("run__pipeline").get(run=run)
    return claim(step, at=AT + timedelta(seconds=seconds), worker_name="w") is not None


def waiting(run: Run) -> Run:
    return Run.objects.get(pk=run.pk)


@pytest.fixture
def pipeline() -> Pipeline:
    make_quota()
    return make_pipeline(takes={"chat": 1})


def test_a_run_that_lacks_its_grant_is_not_claimed_and_says_why(pipeline: Pipeline) -> None:
    first, second = make_run(pipeline), make_run(pipeline)
    assert claim_at(first, 0)
    finish(first.steps.get(), Outcome(Status.SUCCEEDED), token=None, at=AT + timedelta(seconds=1), by="w")
    assert not claim_at(second, 2)
    step, run = second.steps.get(), waiting(second)
    assert (step.status, run.status) == (Status.QUEUED, Status.QUEUED)
    assert step.eligible_at == run.eligible_at == AT + timedelta(seconds=3)
    assert run.wait_reason == step.wait_reason == "The quota chat is used up: it allows 1 request per 2 seconds."
    reason = next(reason for reason in why_waiting(run, AT + timedelta(seconds=2)) if reason.quota)
    assert reason.sentence == "Quota chat: used up, it allows 1 request per 2 seconds. It opens"
    assert reason.at == AT + timedelta(seconds=3)
    assert claim_at(second, 3)
    assert not waiting(second).wait_reason


def test_a_crowd_is_called_one_by_one_and_none_of_it_comes_in_vain(pipeline: Pipeline) -> None:
    runs = [make_run(pipeline) for _ in range(20)]
    refused = sum(not claim_at(run, 0) for run in runs)
    assert refused == 19
    asked = 0
    for seconds in range(60):
        at = AT + timedelta(seconds=seconds)
        for step in Step.objects.unheard(at, patience=PATIENCE).filter(eligible_at__isnull=False).order_by("pk"):
            asked += 1
            if claim_at(step.run, seconds):
                finish(Step.objects.get(pk=step.pk), Outcome(Status.SUCCEEDED), token=None, at=at, by="w")
        if seconds == 0:
            finish(runs[0].steps.get(), Outcome(Status.SUCCEEDED), token=None, at=at, by="w")
    started = list(Run.objects.order_by("started_at").values_list("pk", "started_at"))
    assert [pk for pk, _ in started] == [run.pk for run in runs]
    assert [at for _, at in started] == [AT + timedelta(seconds=2 * number) for number in range(20)]
    assert asked == 19


def test_who_leaves_the_line_brings_the_others_forward(pipeline: Pipeline) -> None:
    runs = [make_run(pipeline) for _ in range(4)]
    for run in runs:
        claim_at(run, 0)
    finish(runs[0].steps.get(), Outcome(Status.SUCCEEDED), token=None, at=AT, by="w")
    cancel(waiting(runs[1]), at=AT, by="olga")
    assert bring_forward(AT + timedelta(seconds=1)) == 2
    assert [waiting(run).eligible_at for run in runs[2:]] == [AT + timedelta(seconds=2), AT + timedelta(seconds=4)]
    assert bring_forward(AT + timedelta(seconds=1)) == 0


def test_a_run_under_a_paused_quota_waits_for_whoever_opens_it(pipeline: Pipeline) -> None:
    run = make_run(pipeline)
    pause("chat", at=AT, by="olga", reason="over budget")
    assert not claim_at(run, 0)
    assert waiting(run).eligible_at is None
    sentences = [reason.sentence for reason in why_waiting(waiting(run), AT) if reason.quota]
    assert sentences == ["Quota chat: paused by olga: over budget. It waits until somebody opens it."]
    reopen("chat")
    assert bring_forward(AT + timedelta(seconds=1)) == 1
    assert claim_at(run, 1)


def test_a_run_takes_all_its_quotas_or_none(pipeline: Pipeline) -> None:
    make_quota("mail", "1 request per minute")
    pipeline.takes = {"chat": 1, "mail": 1}
    pipeline.save()
    first, second = make_run(pipeline), make_run(pipeline)
    assert claim_at(first, 0)
    finish(first.steps.get(), Outcome(Status.SUCCEEDED), token=None, at=AT, by="w")
    assert not claim_at(second, 10)
    assert waiting(second).eligible_at == AT + timedelta(seconds=60)
    assert not Grant.objects.held().exists()
    other = make_run(make_pipeline("__default__", takes={"chat": 1}))
    assert claim_at(other, 10)  # who waits elsewhere does not stand in the way


def test_a_run_leaves_the_line_of_a_quota_that_its_pipeline_takes_no_more(pipeline: Pipeline) -> None:
    run = make_run(pipeline)
    pause("chat", at=AT, by="olga")
    assert not claim_at(run, 0)
    make_quota("mail")
    Pipeline.objects.update(takes={"mail": 1})
    assert claim_at(run, 1)
    assert [grant.quota.name for grant in Grant.objects.all()] == ["mail"]


def test_a_further_attempt_takes_again(pipeline: Pipeline) -> None:
    run = make_run(pipeline)
    assert claim_at(run, 0)
    crash = Outcome(Status.CRASHED, "lost", may_retry=True)
    finish(run.steps.get(), crash, token=None, at=AT + timedelta(seconds=1), by="w")
    assert not claim_at(run, 2)
    assert waiting(run).status == Status.RUNNING
    assert waiting(run).wait_reason.startswith("The quota chat is used up")
    assert claim_at(run, 3)


def test_a_run_whose_quota_is_gone_waits_and_says_what_to_do(pipeline: Pipeline) -> None:
    run = make_run(pipeline)
    Quota.objects.all().delete()
    assert not claim_at(run, 0)
    assert "There is no quota “chat”" in waiting(run).wait_reason


def one_after_another(pipeline: Pipeline, *, asks_after: float) -> list[float]:
    """Four runs whose node asks so long after its start; when each was claimed."""
    claimed, now = [], 0.0
    for _ in range(4):
        run = make_run(pipeline, at=AT + timedelta(seconds=now))
        while not claim_at(run, now):
            step = run.steps.get()
            assert step.eligible_at and not step.sent_at
            now = (step.eligible_at - AT).total_seconds()
        claimed.append(round(now, 2))
        now += asks_after
        step, asked = run.steps.get(), wire.TakeGrant("chat", node="ask")
        while isinstance(reply := grant_taken(step, asked, AT + timedelta(seconds=now)), wire.InLine):
            asked, now = replace(asked, place=reply.place), now + reply.seconds
        grant_settled(step, wire.SettleGrant(reply.grant), AT + timedelta(seconds=now))
        finish(step, Outcome(Status.SUCCEEDED), token=None, at=AT + timedelta(seconds=now), by="w")
    return claimed


def test_a_run_whose_node_asks_starts_so_early_that_it_asks_in_its_turn(pipeline: Pipeline) -> None:
    claimed = one_after_another(pipeline, asks_after=0.3)
    assert claimed == [0, 1.98, 3.98, 5.98]
    times = list(Grant.objects.order_by("pk").values_list("settled_at", flat=True))
    gaps = [late - early for early, late in pairwise(times) if early and late]
    assert all(timedelta(seconds=2) <= gap < timedelta(seconds=2.001) for gap in gaps)
    assert not Grant.objects.filter(settled_at=None).exists()


def test_a_run_that_started_early_and_never_asked_has_used_its_grant(pipeline: Pipeline) -> None:
    one_after_another(pipeline, asks_after=0.3)
    run = make_run(pipeline, at=AT + timedelta(seconds=7))
    assert not claim_at(run, 7)
    assert claim_at(run, 8.1)
    finish(run.steps.get(), Outcome(Status.SUCCEEDED), token=None, at=AT + timedelta(seconds=9), by="w")
    assert Grant.objects.get(run=run).settled_at == AT + timedelta(seconds=9)
    assert Quota.objects.get().settled_requests == 5


@pytest.mark.parametrize("takes", [{"nobody": 1}, {"chat": 0}, {"chat": 2}, {"chat": "1"}, {"chat": True}, ["chat"]])
def test_what_a_pipeline_takes_has_to_be_possible(pipeline: Pipeline, takes: object) -> None:
    pipeline.takes = takes
    with pytest.raises(ValidationError, match="takes"):
        pipeline.full_clean()
