"""The page of what one is told, its forms and the bell: each person's own, and no address in any of them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from jobs import clock
from jobs.models import Act, Channel, Delivery, News, Notice, Subscription
from jobs.models.channel import Asker
from jobs.states import Status
from jobs.telling.edit import save_channel, save_subscription, send_test
from tests.factories import make_pipeline, make_user
from tests.jobs.chains import ended
from tests.views.scenes import HTMX, logged_in

pytestmark = pytest.mark.django_db

FORM = {
    "kinds": ["failing", "recovered"], "every": 10, "waits_minutes": 15, "expected_days": list("1234567"),
    "zone": "Europe/Berlin", "is_enabled": "on",
}  # fmt: skip


def person(role: str, **facts: Any) -> User:
    return User.objects.filter(username=role).first() or make_user(role, role, **facts)


def told(role: str = "viewer", times: int = 1) -> None:
    """This person has unread news."""
    user, at = person(role), clock.now()
    for number in range(times):
        news = News.objects.create(kind="failing", key=f"k{number}", title=f"<b>news {number}</b>", at=at, last_at=at)
        Notice.objects.create(user=user, news=news, at=at)


def a_channel(**facts: Any) -> Channel:
    row = Channel(**{"name": "ops", "kind": "webhook", **facts})
    save_channel(row, by=Asker(person("admin"), True), at=clock.now(), address="https://example.org/canary-4711")
    return row


def test_the_bell_counts_what_one_has_not_read_and_forgets_it() -> None:
    told("viewer", 3)
    client = logged_in("viewer")
    page = client.get(reverse("notifications")).content.decode()
    assert "Notifications: 3 unread" in page and "&lt;b&gt;news 0" in page and "<b>news" not in page
    assert "unread" not in logged_in("analyst").get(reverse("bell")).content.decode()
    newest = Notice.objects.order_by("-pk")[1].pk
    client.post(reverse("notices_read"), {"up_to": newest})
    assert Notice.objects.filter(read_at=None).count() == 1, "what came since the page was shown is unread"
    client.get(reverse("notice", args=[Notice.objects.order_by("-pk")[0].pk]))
    assert "unread" not in client.get(reverse("bell")).content.decode()


def test_nobody_reads_what_another_is_told() -> None:
    told("viewer")
    row = Notice.objects.get()
    assert logged_in("admin").get(reverse("notice", args=[row.pk])).status_code == 404 and row.read_at is None


def test_one_button_on_the_pipeline_subscribes_and_then_leads_to_it() -> None:
    pipeline = make_pipeline()
    client, address = logged_in("analyst"), reverse("pipeline", args=[pipeline.pk])
    assert "Notify me" in client.get(address).content.decode()
    for _ in range(2):
        answer = client.post(reverse("pipeline_notify", args=[pipeline.pk]), follow=True).content.decode()
        assert "You are told of shop / report: started failing, recovered" in answer
    row = Subscription.objects.get()
    assert f'href="/notifications/subscriptions/{row.pk}/"' in answer and "Notifying you" in answer
    ended(pipeline, Status.FAILED)
    assert Notice.objects.get().user.username == "analyst"


def test_the_form_makes_and_changes_a_subscription() -> None:
    pipeline, client = make_pipeline(), logged_in("viewer")
    new = client.get(reverse("subscription_new"), {"file": "report-*.pptx", "pipeline": pipeline.pk}).content.decode()
    assert 'value="report-*.pptx"' in new
    sent = {**FORM, "pipeline": pipeline.pk, "kinds": ["file"], "file_name": "report-*.pptx"}
    assert client.post(reverse("subscription_new"), sent).status_code == 302
    row = Subscription.objects.get()
    assert (row.owner.username, row.kinds, row.pipeline, row.waits_seconds) == ("viewer", ["file"], pipeline, 900)
    address = row.get_absolute_url()
    assert "report-*.pptx" in client.get(address).content.decode()
    client.post(address, {**sent, "waits_minutes": 5, "quiet_from": "22:00", "quiet_until": "07:00"})
    row.refresh_from_db()
    assert (row.waits_seconds, str(row.quiet_from), Act.objects.order_by("-id")[0].verb) == (300, "22:00:00", "changed")
    assert logged_in("admin").get(address).status_code == 404
    client.post(reverse("subscription_delete", args=[row.pk]))
    assert not Subscription.objects.exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kinds": []}, "Choose what you want to be told of."),
        ({"kinds": ["file"]}, "Write the name of the file."),
        ({"kinds": ["late"], "expected_by": "06:00"}, "Choose the pipeline that is expected by then."),
        ({"subject": "{pipelne}"}, "Did you mean pipeline"),
        ({"zone": "Nowhere"}, "Write a time zone such as Europe/Berlin."),
        ({"quiet_from": "22:00"}, "Quiet hours need both a beginning and an end."),
    ],
)
def test_what_cannot_be_is_said_at_its_field(changes: dict[str, Any], sentence: str) -> None:
    answer = logged_in("viewer").post(reverse("subscription_new"), {**FORM, **changes})
    assert answer.status_code == 422 and sentence in answer.content.decode().replace("&#x27;", "'")
    assert not Subscription.objects.exists()


def test_a_preview_is_of_a_real_run() -> None:
    pipeline, client = make_pipeline(), logged_in("viewer")
    run = ended(pipeline, Status.FAILED)
    body = client.post(reverse("subscription_preview"), {**FORM, "subject": "{pipeline} <{status}>"}, **HTMX)
    text = body.content.decode()
    assert "report &lt;failed&gt;" in text and f"/runs/{run.pk}/" in text and "It did not work." in text
    text = client.post(reverse("subscription_preview"), {**FORM, "body": "{eror}"}, **HTMX).content.decode()
    assert "Did you mean error?" in text
    assert "no such run" in client.post(reverse("subscription_preview"), {**FORM, "with_run": "#99"}).content.decode()


def test_a_subscription_is_muted_and_speaks_again() -> None:
    row = Subscription(owner=person("viewer"), kinds=["failing"])
    save_subscription(row, [], by=Asker(row.owner), at=clock.now())
    client = logged_in("viewer")
    text = client.post(reverse("subscription_mute", args=[row.pk]), {"hours": "8"}, follow=True).content.decode()
    assert "muted until" in text and "Tell me again" in text
    assert "muted until" not in client.post(reverse("subscription_mute", args=[row.pk]), follow=True).content.decode()
    assert logged_in("admin").post(reverse("subscription_mute", args=[row.pk])).status_code == 404


def test_an_admin_makes_a_webhook_and_sees_its_secret_once() -> None:
    client = logged_in("admin")
    sent = {"name": "hook", "kind": "webhook", "address": "https://example.org/canary-4711", "is_shared": "on"}
    page = client.post(reverse("channel_new"), {**sent, "is_enabled": "on"}, follow=True).content.decode()
    row = Channel.objects.get()
    assert row.secret in page and "canary" not in page and row.owner is None
    assert row.secret not in client.get(reverse("notifications")).content.decode()
    edit = client.get(row.get_absolute_url()).content.decode()
    assert "canary" not in edit and row.secret not in edit and "https://example.org/…" in edit
    client.post(row.get_absolute_url(), {"name": "renamed", "address": "", "is_shared": "on", "is_enabled": "on"})
    row.refresh_from_db()
    assert (row.name, row.address) == ("renamed", sent["address"])


def test_who_is_no_admin_adds_mail_to_the_own_address() -> None:
    person("viewer", email="vera@example.org")
    client = logged_in("viewer")
    form = client.get(reverse("channel_new")).content.decode()
    assert "vera@example.org" in form and "webhook" not in form
    sent = {"name": "me", "kind": "mail", "is_enabled": "on"}
    assert client.post(reverse("channel_new"), {**sent, "address": "boss@example.org"}).status_code == 422
    assert (
        client.post(reverse("channel_new"), {**sent, "kind": "webhook", "address": "https://x.org"}).status_code == 422
    )
    assert client.post(reverse("channel_new"), {**sent, "address": "vera@example.org"}).status_code == 302
    assert Channel.objects.get().owner == person("viewer")
    assert client.get(reverse("channel", args=[a_channel().pk])).status_code == 404


def test_a_dead_channel_is_a_banner_for_those_whom_it_concerns_and_its_deliveries_are_shown() -> None:
    row = a_channel()
    send_test(row, by="ada", at=clock.now())
    Delivery.objects.update(attempts=3, answer="HTTP 503: <b>", status="waiting")
    Channel.objects.update(failing_since=clock.now(), failures=3, last_error="HTTP 503: <b>")
    page = logged_in("admin").get(reverse("notifications")).content.decode()
    assert "The channel ops does not work: HTTP 503: &lt;b&gt;" in page and "3 attempts" in page
    assert "does not work" not in logged_in("operator").get(reverse("pipelines")).content.decode()
    mine = Subscription(owner=person("operator"), kinds=["failing"])
    save_subscription(mine, [row], by=Asker(mine.owner, may_share=True), at=clock.now())
    assert "does not work" in logged_in("operator").get(reverse("pipelines")).content.decode()
