"""The inbox of failed requests, one of them, a run's tab, and what can be done."""

from __future__ import annotations

import re
from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client
from django.urls import reverse

from jobs.models import Replay, RequestCount, RequestRecord, Resend
from jobs.resends.replay import start_replay
from jobs.states import ReplayStatus, RequestStatus, ResendStatus
from tests.factories import AT, make_run
from tests.records import MARK, a_request
from tests.views.scenes import ended, logged_in

pytestmark = pytest.mark.django_db


def page(address: str, role: str = "operator", **more: Any) -> str:
    answer = logged_in(role).get(address, **more)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture(autouse=True)
def no_broker() -> Any:
    with patch("celery.app.base.Celery.send_task") as sent:
        yield sent


def test_the_inbox_groups_by_host_and_reason_with_the_number_in_the_question() -> None:
    run = make_run()
    for _ in range(3):
        a_request(run)
    a_request(run, host="else.example.com", reason="ConnectError", status_code=0)
    a_request(run, status=RequestStatus.RECOVERED)
    text = page(reverse("requests"))
    assert "4 requests" in text and "All 3" not in text and "Replay all 3" in text
    assert "Send 3 requests to api.example.com again?" in text and "Dismiss 3 requests" in text
    assert "ConnectError" in text and text.index("else.example.com") < text.index("api.example.com")
    a_request(run, host="s3", reason="403", is_signed=True)
    assert page(reverse("requests")).count("Replay it") == text.count("Replay it")
    assert MARK not in text and "•••" in text and 'class="kc-masked"' in text


def test_an_empty_inbox_says_what_lands_there() -> None:
    assert "even if the node swallowed the error" in page(reverse("requests"))


def test_a_group_is_a_list_that_pages_by_key() -> None:
    run = make_run()
    for number in range(55):
        a_request(run, url=f"https://api.example.com/{number}/")
    address = f"{reverse('requests')}?host=api.example.com&reason=503"
    first = page(address)
    assert "/54/" in first and "/4/<" not in first
    older = first.split("before=")[1].split('"')[0]
    assert "/4/" in page(f"{address}&before={older}")


def test_a_request_shows_what_was_sent_what_came_and_where_it_belongs() -> None:
    record = a_request(ended(), message="no <script>alert(1)</script> answer", body='{"q": 1}')
    text = page(record.get_absolute_url())
    assert f"run #{record.run_id}" in text and "?node=fetch" in text
    assert "Retry-After" in text and "&lt;b&gt;busy&lt;/b&gt;" in text and "<script>alert" not in text
    assert "{&quot;q&quot;: 1}" in text and "1 attempt" in text and MARK not in text
    assert "task_id=" not in text  # the operator is no staff: the admin is not for them


def test_staff_find_the_celery_task_of_the_step() -> None:
    record = a_request()
    text = logged_in("admin").get(record.get_absolute_url()).content.decode()
    assert f"task_id={record.step.task_id}" in text


def test_a_replay_takes_all_like_this_and_its_page_tells_the_progress(django_capture_on_commit_callbacks: Any) -> None:
    run = make_run()
    for _ in range(3):
        a_request(run)
    a_request(run, is_signed=True)
    with django_capture_on_commit_callbacks(execute=True):
        answer = logged_in("operator").post(reverse("requests_replay"), {"host": "api.example.com", "reason": "503"})
    replay = Replay.objects.get()
    assert answer["Location"] == replay.get_absolute_url() and replay.total == 3
    assert "0 of 3 answered" in page(replay.get_absolute_url())
    fragment = page(replay.get_absolute_url(), headers={"HX-Request": "true"})
    assert fragment.lstrip().startswith('<div id="replay"') and "every 2s" in fragment
    logged_in("operator").post(reverse("replay_cancel", args=[replay.pk]))
    replay.refresh_from_db()
    assert replay.status == ReplayStatus.CANCELLED
    assert "every 2s" not in page(replay.get_absolute_url())


def test_what_cannot_be_sent_again_says_why() -> None:
    record = a_request(is_signed=True)
    assert "signed for AWS" in page(record.get_absolute_url())
    answer = logged_in("operator").post(reverse("requests_replay"), {"request": record.pk}, follow=True)
    assert "None of these requests is open and can be sent again" in answer.content.decode()


def test_dismissing_asks_for_a_reason_and_keeps_it() -> None:
    record = a_request()
    answer = logged_in("operator").post(reverse("requests_dismiss"), {"request": record.pk, "why": " "}, follow=True)
    assert "Say why" in answer.content.decode()
    logged_in("operator").post(reverse("requests_dismiss"), {"request": record.pk, "why": "known outage"})
    record.refresh_from_db()
    assert (record.status, record.settled_why) == (RequestStatus.DISMISSED, "known outage")
    assert "known outage" in page(record.get_absolute_url())


def test_viewers_see_and_operators_act() -> None:
    record = a_request()
    for address in (reverse("requests"), record.get_absolute_url()):
        assert Client().get(address).status_code == 302
        text = page(address, "viewer")
        assert "Dismiss" not in text and "Replay all" not in text
    for name in ("requests_replay", "requests_dismiss", "requests_ignore", "requests_heed"):
        answer = logged_in("analyst").post(reverse(name), {"request": record.pk, "why": "x", "host": record.host})
        assert answer.status_code == 403
    assert RequestRecord.objects.open().count() == 1 and not Replay.objects.exists()


def test_the_tab_of_a_run_counts_and_lists() -> None:
    run = make_run()
    facts = {"run": run, "step": run.steps.get(), "node": "fetch", "host": "api.example.com"}
    RequestCount.objects.create(status_code=200, count=1234, seconds=12.34, **facts)
    RequestCount.objects.create(status_code=0, count=1, seconds=1, **facts)
    a_request(run)
    text = page(f"{run.get_absolute_url()}?tab=requests")
    assert "1,234" in text and "10ms" in text and "no answer" in text
    assert 'Requests <span class="kc-pill kc-bad">1</span>' in text
    assert "No request was made yet" in page(f"{make_run().get_absolute_url()}?tab=requests")


def answered(node: str = "process") -> Resend:
    record = a_request(ended(), node=node)
    replay = start_replay([record], at=AT)
    Resend.objects.update(status=ResendStatus.SUCCEEDED, status_code=200, response="fine", size_bytes=4)
    Replay.objects.update(status=ReplayStatus.FINISHED, finished_at=AT, done=1)
    return replay.resends.get()


@pytest.mark.parametrize(
    ("done", "failed", "look", "widths"),
    [(0, 3, "failed", "0 100"), (1, 2, "cancelled", "33 67"), (3, 0, "finished", "100 0")],
)
def test_the_bar_of_a_replay_is_green_as_far_as_it_was_answered(done: int, failed: int, look: str, widths: str) -> None:
    replay = start_replay([a_request(make_run()) for _ in range(3)], at=AT)
    Replay.objects.update(status=ReplayStatus.FINISHED, finished_at=AT, done=done, failed=failed)
    text = page(replay.get_absolute_url())
    assert f'aria-valuenow="{done}"' in text and f'class="kc-badge kc-is-{look}"' in text
    shares = [re.search(rf'kc-is-{part}" style="width: ([0-9.]+)%', text) for part in ("succeeded", "failed")]
    assert " ".join(f"{float(share[1]):.0f}" for share in shares if share) == widths


def test_a_replay_that_got_answers_leads_to_the_run_that_uses_them() -> None:
    turn = answered()
    run = turn.record.run
    address = reverse("run_follow_up", args=[run.pk])
    assert address in page(turn.replay.get_absolute_url())
    text = page(address)
    assert "2 nodes will run" in text and "Made the request that was replayed." in text and "1 answer" in text
    answer = logged_in("operator").post(address)
    turn.refresh_from_db()
    new = turn.followed_by
    assert new is not None and answer["Location"] == new.get_absolute_url()
    assert (new.retry_of, new.cause, new.nodes) == (run, "retry", ["process", "write"])
    assert "answer has already been used" in page(address)


def test_what_is_kept_nowhere_is_made_again() -> None:
    turn = answered("write")
    text = page(reverse("run_follow_up", args=[turn.record.run_id]))
    assert "Makes processed_data, which is kept nowhere." in text and "2 nodes will run" in text


def test_answers_are_for_those_who_may_download() -> None:
    turn = answered()
    address = reverse("replay_answer", args=[turn.pk])
    assert logged_in("viewer").get(address).status_code == 403
    assert logged_in("analyst").get(address).status_code == 404


def test_a_host_is_ignored_until_that_is_undone() -> None:
    record = a_request()
    client = logged_in("operator")
    ignored = client.post(reverse("requests_ignore"), {"host": record.host}, follow=True).content.decode()
    assert "api.example.com is ignored; 1 open request left the inbox." in ignored
    assert "Ignored hosts" in ignored and not RequestRecord.objects.open().exists()
    again = client.post(reverse("requests_ignore"), {"host": record.host}, follow=True).content.decode()
    assert "is already ignored" in again
    heeded = client.post(reverse("requests_heed"), {"host": record.host}, follow=True).content.decode()
    assert "no longer ignored; 1 request is open" in heeded and "Ignored hosts" not in heeded
