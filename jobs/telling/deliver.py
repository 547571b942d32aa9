"""Send one delivery: an attempt with its answer, the next try when it failed, and what becomes of the channel."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.urls import reverse

from jobs import clock
from jobs.models import Channel, Delivery, Subscription
from jobs.states import DeliveryStatus, NewsKind
from jobs.telling.tell import Tidings, begin, is_over, ring, send
from jobs.telling.ways import NotTaken, message_of, speak
from jobs.telling.words import written
from kedro_console.wire import clean

FIRST_WAIT: Final = 5.0
LONGEST_WAIT: Final = 1800.0
MOST_TRIES: Final = 16
"""The last one comes after about five hours."""


def deliver(delivery_id: int, at: datetime) -> bool:
    """One attempt; False when it is another's, not due, or was sent. It takes seconds, never minutes."""
    delivery = _found(delivery_id)
    if delivery is None or not delivery.claim(at):
        return False
    if not delivery.channel.is_enabled:
        _give_up(delivery, "The channel is off.")
        return True
    if not delivery.subject:
        delivery.subject, delivery.body = written(delivery.news, delivery.subscription)
        delivery.save(update_fields=["subject", "body"])
    began = time.monotonic()
    try:
        answer = speak(delivery.channel, message_of(delivery), at.timestamp())
    except NotTaken as refusal:
        _failed(delivery, str(refusal), time.monotonic() - began, at)
        return True
    _sent(delivery, answer, time.monotonic() - began)
    return True


def _found(delivery_id: int) -> Delivery | None:
    rows = Delivery.objects.select_related("channel", "subscription", "news__run", "news__pipeline__project")
    return rows.filter(pk=delivery_id).first()


def _give_up(delivery: Delivery, why: str) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(status=DeliveryStatus.FAILED, answer=why)


def _sent(delivery: Delivery, answer: str, seconds: float) -> None:
    at = clock.now()
    with transaction.atomic():
        facts = {"answer": _stored(answer), "seconds": seconds, "sent_at": at}
        Delivery.objects.filter(pk=delivery.pk).update(status=DeliveryStatus.SENT, **facts)
        if delivery.channel.note_sent(at):
            is_over(_key(delivery.channel), at)
            waiting = Delivery.objects.filter(channel=delivery.channel, status=DeliveryStatus.WAITING, attempts__gt=0)
            waiting.update(due_at=at, told_at=None)


def _failed(delivery: Delivery, why: str, seconds: float, at: datetime) -> None:
    """Again after a while that doubles; what else waits for a dead channel waits with it."""
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(delivery.attempts - 1, 20))
    again = at + timedelta(seconds=wait)
    is_last = delivery.attempts >= MOST_TRIES
    with transaction.atomic():
        Delivery.objects.filter(pk=delivery.pk).update(
            status=DeliveryStatus.FAILED if is_last else DeliveryStatus.WAITING,
            answer=_stored(why),
            seconds=seconds,
            due_at=again,
            told_at=None,
        )
        if delivery.channel.note_failure(_stored(why), at):
            _tell_of_dead(delivery.channel, why, at)
        if delivery.channel.failures:
            others = Delivery.objects.filter(channel=delivery.channel, status=DeliveryStatus.WAITING, due_at__lt=again)
            others.exclude(pk=delivery.pk).update(due_at=again, told_at=None)


def _key(channel: Channel) -> str:
    return f"channel:{channel.pk}"


def _tell_of_dead(channel: Channel, why: str, at: datetime) -> None:
    """Whoever counts on it hears so: under the bell, and over the other channels of theirs that work."""
    title = f"The channel {channel} does not work: {why}"
    news, _ = begin(Tidings(NewsKind.CHANNEL, _key(channel), title, path=reverse("notifications")), at)
    users = set(channel.subscriptions.values_list("owner_id", flat=True)) | set(_keepers(channel))
    ring(news, users, at)
    named = Q(subscriptions__in=Subscription.objects.filter(channels=channel)) | Q(owner__in=users)
    others = Channel.objects.filter(named, is_enabled=True, failing_since=None).exclude(pk=channel.pk).distinct()
    send(news, [(other, None) for other in others], at)


def _keepers(channel: Channel) -> list[int]:
    """Who can mend it: its owner, or for a shared one the admins."""
    if channel.owner_id:
        return [channel.owner_id]
    admins = User.objects.filter(Q(is_superuser=True) | Q(groups__name="admin"), is_active=True)
    return list(admins.distinct().values_list("pk", flat=True))


def _stored(text: str) -> str:
    return str(clean(text))[:500]
