"""Tell people: news are written once, and handed to those who asked for them, with whatever brought them about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from django.db import IntegrityError, transaction
from django.db.models import F

from jobs.models import Channel, Delivery, News, Notice, Pipeline, Run, Subscription
from jobs.states import NewsKind
from jobs.steps.dispatch import publish
from kedro_console.wire import Json, clean

QUEUE = "news"
"""The Celery queue of deliveries: they never stand in the line of steps."""


@dataclass(frozen=True)
class Tidings:
    """What is worth telling, before it is known whether it was told already."""

    kind: NewsKind
    key: str
    title: str
    pipeline: Pipeline | None = None
    run: Run | None = None
    path: str = ""
    facts: Mapping[str, Json] = field(default_factory=dict)


def begin(tidings: Tidings, at: datetime) -> tuple[News, bool]:
    """The news of this key that go on, and whether they began just now. Of two that begin them, one does."""
    if found := _going_on(tidings.key):
        return found, False
    try:
        with transaction.atomic():
            return _written(tidings, at), True
    except IntegrityError:
        found = _going_on(tidings.key)
        if found is None:
            raise
        return found, False


def count_on(news: News, run: Run, at: datetime) -> None:
    """It happened again while it goes on."""
    News.objects.filter(pk=news.pk).update(times=F("times") + 1, last_at=at)
    news.refresh_from_db(fields=["times", "last_at"])


def is_over(key: str, at: datetime) -> News | None:
    """End the news of this key, so that they can be news again; those that were going on until now."""
    found = _going_on(key)
    if found is None or not News.objects.filter(pk=found.pk, ended_at=None).update(ended_at=at):
        return None
    return found


def _going_on(key: str) -> News | None:
    return News.objects.filter(key=key, ended_at=None).first()


def _written(tidings: Tidings, at: datetime) -> News:
    return News.objects.create(
        kind=tidings.kind,
        key=tidings.key,
        title=str(clean(tidings.title))[:300],
        pipeline=tidings.pipeline,
        run=tidings.run,
        path=tidings.path,
        facts=dict(tidings.facts),
        at=at,
        last_at=at,
    )


def hand_out(news: News, subscriptions: Iterable[Subscription], at: datetime) -> None:
    """Put it under the bell of whoever did not hear it yet, and on its way over their channels.

    Whoever is muted hears it when it is still going on afterwards.
    """
    awake = [each for each in subscriptions if not each.is_muted(at)]
    owners = {each.owner_id for each in awake}
    if not owners:
        return
    known = set(Notice.objects.filter(news=news, user__in=owners).values_list("user_id", flat=True))
    fresh = sorted((each for each in awake if each.owner_id not in known), key=_narrowest)
    if fresh:
        ring(news, owners - known, at)
        send(news, _channels_of(fresh), at)


def ring(news: News, users: Iterable[int], at: datetime) -> None:
    """Under the bell of these people."""
    Notice.objects.bulk_create((Notice(user_id=user, news=news, at=at) for user in users), ignore_conflicts=True)


def send(news: News, channels: Sequence[tuple[Channel, Subscription | None]], at: datetime) -> None:
    """Over each of these channels once; where two subscriptions name one, in the words of the first."""
    known = set(Delivery.objects.filter(news=news).values_list("channel_id", flat=True))
    rows: dict[int, Delivery] = {}
    for channel, subscription in channels:
        if channel.pk not in known and channel.pk not in rows:
            due = subscription.speaks_at(at) if subscription else at
            rows[channel.pk] = Delivery(
                news=news, channel=channel, subscription=subscription, due_at=due, created_at=at
            )
    if rows:
        Delivery.objects.bulk_create(rows.values(), ignore_conflicts=True)
        transaction.on_commit(partial(publish_all, news.pk, at))


def publish_all(news_id: int, at: datetime) -> None:
    """Tell a worker of each of its deliveries that is due; the reconciler tells of those that this forgot."""
    for pk in list(Delivery.objects.due(at).filter(news=news_id, told_at=None).values_list("pk", flat=True)):
        if not ask_to_deliver(pk, at):
            return


def ask_to_deliver(delivery_id: int, at: datetime) -> bool:
    """Hint to a worker that this one is due; False with the broker away."""
    Delivery.objects.filter(pk=delivery_id).update(told_at=at)
    if publish("jobs.deliver", [delivery_id], queue=QUEUE):
        return True
    Delivery.objects.filter(pk=delivery_id, told_at=at).update(told_at=None)
    return False


def _narrowest(subscription: Subscription) -> tuple[bool, bool, int]:
    """What is about one pipeline before what is about a project, and that before the rest."""
    return (subscription.pipeline_id is None, subscription.project_id is None, subscription.pk)


def _channels_of(subscriptions: Sequence[Subscription]) -> list[tuple[Channel, Subscription]]:
    """Channels that are on, in the order of the subscriptions that name them."""
    by_key = {each.pk: each for each in subscriptions}
    named = Subscription.channels.through.objects.filter(subscription__in=by_key, channel__is_enabled=True)
    pairs = [(each.channel, by_key[each.subscription_id]) for each in named.select_related("channel").order_by("pk")]
    places = {key: place for place, key in enumerate(by_key)}
    return sorted(pairs, key=lambda pair: places[pair[1].pk])


Look = Callable[[list[Subscription], datetime], int]
"""Looks for one kind of news for these subscriptions; how many began."""
