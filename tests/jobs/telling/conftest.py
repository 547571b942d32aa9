"""A mail server and a webhook receiver that really listen; what is published to Celery is done here and now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from celery import current_app
from django.contrib.auth.models import User

from jobs.models import Channel, Delivery, Pipeline, Subscription, Worker
from jobs.models.channel import Asker
from jobs.telling.deliver import deliver
from jobs.telling.edit import save_channel, save_subscription
from tests.factories import AT, make_user
from tests.receivers import Hook, Mailbox, hook_server, mail_server


@pytest.fixture(scope="module")
def _servers() -> Iterator[tuple[Mailbox, Hook]]:
    with mail_server() as box, hook_server() as hook:
        yield box, hook


@pytest.fixture
def box(_servers: tuple[Mailbox, Hook], settings: Any) -> Mailbox:
    mailbox = _servers[0]
    mailbox.letters.clear()
    mailbox.refusal = ""
    settings.CONSOLE_MAIL_URL = mailbox.url
    settings.CONSOLE_MAIL_FROM = "console@example.org"
    return mailbox


@pytest.fixture
def hook(_servers: tuple[Mailbox, Hook], settings: Any) -> Hook:
    receiver = _servers[1]
    receiver.calls.clear()
    receiver.status, receiver.location = 200, ""
    settings.CONSOLE_CHANNEL_NETWORKS = ["127.0.0.0/8"]
    return receiver


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What Celery was asked to do."""
    messages: list[tuple[str, int]] = []

    def note(name: str, arguments: list[int], **options: Any) -> None:
        messages.append((f"{options.get('queue')}:{name}", arguments[0]))

    monkeypatch.setattr(current_app, "send_task", note)
    return messages


@pytest.fixture
def admin() -> User:
    return make_user("ada", "admin", email="ada@example.org")


@pytest.fixture
def channels(admin: User, box: Mailbox, hook: Hook) -> list[Channel]:
    """A mail and a webhook that everybody's subscriptions may name."""
    mail = Channel(name="ops by mail", kind="mail")
    save_channel(mail, by=Asker.of(admin), at=AT, address="ops@example.org")
    webhook = Channel(name="ops by webhook", kind="webhook")
    save_channel(webhook, by=Asker.of(admin), at=AT, address=hook.url)
    return [mail, webhook]


def subscribed(
    user: User, kinds: str, channels: list[Channel], *, pipeline: Pipeline | None = None, **facts: Any
) -> Subscription:
    made = Subscription(owner=user, pipeline=pipeline, kinds=kinds.split(), zone="Europe/Berlin", **facts)
    save_subscription(made, channels, by=Asker.of(user), at=AT)
    return made


def send_due(at: datetime = AT) -> int:
    """What workers do with the deliveries that are due; how many attempts that were."""
    return sum(deliver(pk, at) for pk in list(Delivery.objects.due(at).order_by("pk").values_list("pk", flat=True)))


def silent_worker(name: str = "worker@test") -> Worker:
    seen = AT - timedelta(minutes=2)
    return Worker.objects.create(name=name, host="h", pid=1, slots=4, started_at=seen, heartbeat_at=seen)
