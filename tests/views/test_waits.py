"""What a run waits for, what its page offers about it, and to whom."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from jobs import clock
from jobs.insight.explain import Act, Reason, why_waiting
from jobs.models import Act as RecordedAct
from jobs.models import Event, Grant, Quota, Run, Step, Worker
from jobs.quotas.quotas import in_line, pause
from jobs.quotas.turns import Amount, Turn
from jobs.states import Runner, Wanted
from tests.factories import make_pipeline, make_quota, make_run
from tests.views.scenes import HTMX, a_worker, ended, logged_in, page_of, running

pytestmark = pytest.mark.django_db


def reasons(run: Run) -> list[Reason]:
    return why_waiting(Run.objects.get(pk=run.pk), clock.now())


def text(run: Run, role: str = "operator", **headers: str) -> str:
    return logged_in(role).get(page_of(run), **headers).content.decode()


def behind_a_busy_slot() -> tuple[Run, Run]:
    """A run at work for 60 of its usual 80 seconds, and one that waits behind another for the only slot."""
    pipeline = make_pipeline()
    ended(pipeline=pipeline, seconds=80)
    a_worker(slots=1, busy=1)
    first = running(pipeline=pipeline)
    make_run(pipeline)
    return first, make_run(pipeline)


def test_a_run_that_waits_for_a_slot_names_the_run_that_makes_room_first_and_offers_what_helps() -> None:
    first, waits = behind_a_busy_slot()
    reason = reasons(waits)[0]
    assert reason.acts == (Act.RAISE_SLOTS, Act.GO_FIRST)
    assert reason.first and reason.first.run == first and 15 < (reason.first.seconds or 0) <= 20
    page = text(waits)
    assert f'href="/runs/{first.pk}/">#{first.pk}</a> ends in about' in page
    assert 'data-confirm="Raise the slots of worker@test from 1 to 2?"' in page
    assert f'data-confirm="Let run #{waits.pk} go first?' in page
    assert "data-confirm" not in text(waits, "viewer")


def test_who_lets_it_go_first_or_raises_the_slots_is_led_back_and_recorded() -> None:
    _, waits = behind_a_busy_slot()
    client, worker = logged_in("admin"), Worker.objects.get()
    answer = client.post(f"/runs/{waits.pk}/priority/", {"priority": "0"})
    assert answer["Location"] == page_of(waits)
    assert Act.GO_FIRST not in reasons(waits)[0].acts, "it is first by now"
    answer = client.post(f"/workers/{worker.pk}/slots/", {"slots": "2", "next": page_of(waits)})
    assert answer["Location"] == page_of(waits)
    worker.refresh_from_db()
    assert worker.wanted_slots == 2
    assert set(RecordedAct.objects.values_list("verb", flat=True)) >= {"prioritized", "resized"}
    elsewhere = client.post(f"/workers/{worker.pk}/slots/", {"slots": "2", "next": "http://evil.example/"})
    assert elsewhere["Location"] == "/workers/"


def test_paused_workers_are_named_and_resumed_one_by_one() -> None:
    worker = a_worker(is_taking=False, wanted_state=Wanted.PAUSED, wanted_by="ada")
    waits = make_run()
    page = text(waits, "admin")
    assert "Every worker of the queue default is paused or draining." in page
    assert 'data-confirm="Let worker@test take steps again? ada stopped it."' in page
    logged_in("admin").post(f"/workers/{worker.pk}/resume/", {"next": page_of(waits)})
    worker.refresh_from_db()
    assert worker.wanted_state == Wanted.WORKING


def waiting_for(quota: Quota) -> Run:
    run = make_run()
    in_line(Grant(quota=quota, run=run, is_reserved=True), Amount(1), Turn(None), clock.now())
    return run


def test_a_paused_quota_is_opened_and_a_full_one_raised_by_whom_may() -> None:
    a_worker()
    quota = make_quota()
    waits = waiting_for(quota)
    pause(quota.name, at=clock.now(), by="ada", reason="")
    assert reasons(waits)[0].acts == (Act.OPEN_QUOTA,)
    assert f'action="/quotas/{quota.pk}/open/"' in text(waits, "operator")
    assert f'action="/quotas/{quota.pk}/open/"' not in text(waits, "viewer")
    answer = logged_in("operator").post(f"/quotas/{quota.pk}/open/", {"next": page_of(waits)})
    assert answer["Location"] == page_of(waits)
    Quota.objects.filter(pk=quota.pk).update(open_requests=1)
    assert reasons(waits)[0].acts == (Act.RAISE_QUOTA,)
    assert f'href="/quotas/{quota.pk}/edit/"' in text(waits, "admin")


def test_a_run_that_waits_for_another_offers_to_cancel_that_one() -> None:
    pipeline = make_pipeline(overlap="wait")
    first = running(pipeline=pipeline)
    waits = make_run(pipeline)
    assert reasons(waits)[0].run == first and reasons(waits)[0].acts == (Act.CANCEL_OTHER,)
    assert f'data-confirm="Cancel run #{first.pk}, so that #{waits.pk} can start?' in text(waits)
    assert "so that" not in text(waits, "viewer")
    answer = logged_in("operator").post(f"/runs/{first.pk}/cancel/", {"next": page_of(waits)})
    assert answer["Location"] == page_of(waits)
    first.refresh_from_db()
    assert first.cancel_requested_at


def test_the_start_of_the_process_is_a_state_with_its_usual_time_until_the_process_speaks() -> None:
    pipeline = make_pipeline()
    for seconds in (7, 8, 30):
        before = ended(pipeline=pipeline)
        step = before.steps.get()
        assert step.started_at
        at = step.started_at + timedelta(seconds=seconds)
        Event.objects.create(run=before, step=step, seq=1, at=at, kind="child_started")
    run = running(pipeline=pipeline)
    assert re.search("Starting the project&#x27;s process \\(usually 8.0s\\) · <", text(run))
    Run.objects.filter(pk=run.pk).update(begun_with="abc/1")
    assert reasons(run) == []


def test_without_an_earlier_run_the_start_claims_no_usual_time() -> None:
    assert [each.sentence for each in reasons(running())] == ["Starting the project's process"]


def test_what_many_watch_holds_no_token_of_one_of_them() -> None:
    _, waits = behind_a_busy_slot()
    shared = logged_in("admin").get(page_of(waits) + "?poll=1&tab=nodes", **HTMX).content.decode()
    panes = shared[shared.index('id="waits"') :]
    assert "Go first" in panes and "csrfmiddlewaretoken" not in panes
    assert "csrfmiddlewaretoken" in text(waits, "admin").partition('id="waits"')[2]


def test_the_api_tells_the_same_waits_and_acts() -> None:
    first, waits = behind_a_busy_slot()
    answer = logged_in("viewer").get(f"/api/v1/jobs/{waits.uuid}/waits").json()
    assert answer[0]["acts"] == ["raise_slots", "go_first"]
    assert (answer[0]["workers"], answer[0]["first"], answer[0]["run"]) == (["worker@test"], first.pk, None)
    assert 15 < answer[0]["first_seconds"] <= 20
    assert logged_in("viewer").get(f"/api/v1/jobs/{first.uuid}/waits").json()[0]["since"]


def distributed() -> Run:
    """One of two steps, whose first node has begun a minute ago."""
    run = make_run(at=clock.now() - timedelta(minutes=1))
    at = clock.now() - timedelta(seconds=50)
    first = run.steps.order_by("position")[0]
    first.claim(at=at, worker_name="worker@test", lease=timedelta(hours=1))
    run.start(at=at, by="worker@test")
    run.steps.filter(pk=first.pk).update(revision="files-1")
    Run.objects.filter(pk=run.pk).update(begun_with="files-1/x", runner=Runner.DISTRIBUTED)
    Step.objects.create(run=run, position=1, nodes=["process"], queue="default")
    return run


def test_a_node_of_a_distributed_run_that_waits_for_a_slot_says_so_with_what_makes_room() -> None:
    a_worker(slots=1, busy=1)
    run = distributed()
    second = run.steps.order_by("position")[1]
    run.steps.filter(pk=second.pk).update(ready_at=clock.now() - timedelta(seconds=30))
    (reason,) = reasons(run)
    assert reason.sentence.startswith(f"Node {second.nodes[0]} is ready. All 1 slots of the queue default are busy")
    assert reason.first and reason.first.run == run and Act.RAISE_SLOTS in reason.acts
    assert "Raise the slots of worker@test from 1 to 2?" in text(run)


def test_a_step_that_is_taken_soon_is_not_spoken_of() -> None:
    a_worker(slots=1, busy=1)
    run = distributed()
    run.steps.filter(position=1).update(ready_at=clock.now())
    assert reasons(run) == []


def test_a_later_process_of_a_distributed_run_shows_that_it_starts_as_the_first_does() -> None:
    a_worker(slots=4, busy=2)
    run = distributed()
    second = run.steps.order_by("position")[1]
    run.steps.filter(pk=second.pk).update(ready_at=clock.now() - timedelta(seconds=9))
    second.refresh_from_db()
    at = clock.now() - timedelta(seconds=8)
    second.claim(at=at, worker_name="worker@test", lease=timedelta(hours=1))
    (reason,) = reasons(run)
    assert (reason.sentence, reason.since) == (f"Starting another process, for node {second.nodes[0]}", at)
    run.steps.filter(pk=second.pk).update(revision="files-1")
    assert reasons(run) == []
