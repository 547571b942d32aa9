from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from jobs import clock
from jobs.models import Pipeline, Quota
from jobs.quotas.quotas import close_until, pause
from tests.factories import make_pipeline, make_quota
from tests.views.scenes import HTMX, busy_quota, logged_in

pytestmark = pytest.mark.django_db


def body(role: str, name: str, *args: object, **query: str) -> str:
    answer = logged_in(role).get(reverse(name, args=args), query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_page_shows_what_is_used_left_held_and_waiting() -> None:
    busy_quota()
    shown = body("viewer", "quotas")
    assert "2 requests per minute" in shown and "1,000 rows per day in UTC" in shown
    assert "2 of 2 used" in shown and "10 of 1,000 used" in shown and "used up" in shown
    assert "1 grant held" in shown and "1 waiting" in shown


def test_without_a_quota_the_page_says_what_one_is_for() -> None:
    assert "No quota yet" in body("viewer", "quotas")
    assert reverse("quota_new") in body("admin", "quotas")


def test_one_quota_shows_who_holds_who_waits_and_what_the_api_refused() -> None:
    quota = busy_quota()
    shown = body("viewer", "quota", quota.pk)
    assert "the whole run" in shown and "&lt;b&gt;" in shown and "<b>" not in shown
    assert "429" in shown and "Retry-After 30s" in shown
    assert "1 request</span>" in shown  # what a run of the pipeline takes
    fragment = logged_in("viewer").get(quota.get_absolute_url(), **HTMX).content.decode()
    assert fragment.lstrip().startswith('<div id="usage"') and "<html" not in fragment


def test_a_forecast_answers_what_the_address_asks() -> None:
    quota = make_quota()
    assert "30 items: the last request may start" in body("viewer", "quota", quota.pk, items="30", each="1")
    for nonsense in ("-1", "x", "9" * 40, "0"):
        assert "the last request may start" not in body("viewer", "quota", quota.pk, items=nonsense)


def test_an_operator_pauses_with_a_reason_and_opens_again() -> None:
    quota, client = make_quota(), logged_in("operator")
    answer = client.post(
        reverse("quota_pause", args=[quota.pk]), {"reason": "over <budget>", "minutes": "60"}, follow=True
    )
    assert "paused by operator: over &lt;budget&gt;." in answer.content.decode()
    quota.refresh_from_db()
    assert quota.paused_until and quota.paused_at and quota.paused_until - quota.paused_at == timedelta(hours=1)
    answer = client.post(reverse("quota_open", args=[quota.pk]), follow=True)
    assert "is open" in answer.content.decode()
    assert not Quota.objects.get().is_paused(clock.now())


def test_a_closure_by_the_api_is_shown_and_can_be_ended() -> None:
    quota = make_quota()
    close_until(quota, clock.now() + timedelta(minutes=5), "it answered 429")
    assert "closed by its API: it answered 429." in body("operator", "quota", quota.pk)
    logged_in("operator").post(reverse("quota_open", args=[quota.pk]))
    assert not Quota.objects.get().is_closed(clock.now())


def test_an_admin_makes_and_edits_windows_in_plain_words() -> None:
    client = logged_in("admin")
    form = {
        "name": "mail",
        "description": "",
        "windows_in_words": "10 requests per minute\n500 rows per day in Europe/Berlin",
    }
    answer = client.post(reverse("quota_new"), form, follow=True)
    assert "500 rows per day in Europe/Berlin" in answer.content.decode()
    quota = Quota.objects.get()
    Quota.objects.update(open_requests=3)  # meanwhile
    client.post(reverse("quota_edit", args=[quota.pk]), {**form, "windows_in_words": "1 request per hour"})
    assert [str(window) for window in quota.windows.all()] == ["1 request per hour"]
    assert Quota.objects.get().open_requests == 3
    assert LogEntry.objects.count() == 2


@pytest.mark.parametrize(
    "wrong", [{"windows_in_words": "ten a minute"}, {"name": "a b"}, {"name": ""}, {"name": "chat"}]
)
def test_a_wrong_form_comes_back_with_a_sentence_and_what_was_written(wrong: dict[str, str]) -> None:
    make_quota()
    form = {"name": "mail", "description": "kept words", "windows_in_words": "10 requests per minute", **wrong}
    shown = logged_in("admin").post(reverse("quota_new"), form).content.decode()
    assert "kc-bad" in shown and "kept words" in shown
    assert Quota.objects.count() == 1


@pytest.mark.parametrize("role", ["viewer", "analyst", "operator"])
def test_roles_may_do_no_more_than_is_theirs(role: str) -> None:
    quota, client = make_quota(), logged_in(role)
    may_pause = role == "operator"
    assert client.post(reverse("quota_pause", args=[quota.pk])).status_code == (302 if may_pause else 403)
    assert client.post(reverse("quota_open", args=[quota.pk])).status_code == (302 if may_pause else 403)
    assert client.get(reverse("quota_new")).status_code == 403
    assert client.post(reverse("quota_edit", args=[quota.pk]), {"name": "x"}).status_code == 403
    assert (reverse("quota_pause", args=[quota.pk]) in body(role, "quota", quota.pk)) == may_pause


def test_the_run_form_says_what_a_run_takes_and_whether_it_will_wait() -> None:
    quota = make_quota()
    make_pipeline(takes={"chat": 1})
    pause("chat", at=clock.now(), by="olga")
    shown = body("operator", "pipeline_run", Pipeline.objects.get().pk)
    assert "Takes 1 request of the quota" in shown and quota.get_absolute_url() in shown
    assert "paused by olga" in shown
