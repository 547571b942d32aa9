"""Look for what no end of a run brings: what is late, slow, waits, is used up or lost. Cheap while nobody listens."""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Count, Min
from django.urls import reverse

from jobs.models import Delivery, News, Pipeline, Run, Subscription, Tick, Worker
from jobs.models.subscription import wanting
from jobs.models.worker import SILENT_AFTER
from jobs.quotas.usage import NEAR, Usage, WindowUse, usages
from jobs.reconnect import AWAY
from jobs.states import NewsKind, Status, TickDecision
from jobs.telling.on_run_end import in_scope, slow_key, tell_slow, too_slow
from jobs.telling.tell import Look, Tidings, ask_to_deliver, begin, hand_out, is_over
from kedro_console.wire import Json

logger = logging.getLogger(__name__)

STILL_LATE: Final = timedelta(hours=6)
"""Whoever looks for the first time so long after a due moment says nothing any more."""
BEFORE: Final = timedelta(hours=12)
"""What began so long before the moment at which it is expected counts, or since midnight if that is earlier."""
LONG: Final = timedelta(hours=1)
"""A window that is shorter fills and empties all the time: that is no news."""
LEFT_AGAIN: Final = 0.6
RECENT: Final = timedelta(hours=1)
"""What was lost or missed earlier is no news to whoever begins to listen."""
PATIENCE: Final = timedelta(seconds=15)
BATCH: Final = 200
MISSED: Final = "missed:"


def sweep(at: datetime) -> int:
    """Write the news that are there to be found, and have due deliveries sent that no worker knows of; how many."""
    listeners = list(Subscription.objects.looked_for().select_related("pipeline__project", "project"))
    found = sum(_found(kind, wanting(kind, listeners), at) for kind in LOOKS) if listeners else 0
    return found + send_unheard(at)


def send_unheard(at: datetime) -> int:
    """Tell workers of due deliveries, of retries too; how many."""
    sent = 0
    for pk in list(Delivery.objects.unheard(at, PATIENCE).order_by("due_at").values_list("pk", flat=True)[:BATCH]):
        if not ask_to_deliver(pk, at):
            break
        sent += 1
    return sent


def _found(kind: NewsKind, listeners: list[Subscription], at: datetime) -> int:
    """How many of this kind began; one kind that cannot be looked for does not keep the others back."""
    if not listeners:
        return 0
    try:
        with transaction.atomic():
            return LOOKS[kind](listeners, at)
    except AWAY:
        raise
    except Exception:
        logger.exception("It could not be seen whether there are news of the kind %s.", kind)
        return 0


# ---- late


def _late(listeners: list[Subscription], at: datetime) -> int:
    return sum(_is_late(each, each.pipeline, at) for each in listeners if each.pipeline and each.expected_by)


def _is_late(subscription: Subscription, pipeline: Pipeline, at: datetime) -> bool:
    """Tell once a day that nothing has succeeded by the moment at which it was expected."""
    moment = expected_at(subscription, at)
    if moment is None or moment <= subscription.created_at or at - moment > STILL_LATE:
        return False
    midnight = datetime.combine(moment.date(), time.min, moment.tzinfo)
    since = min(midnight, moment - BEFORE)
    runs = Run.objects.filter(pipeline=pipeline, created_at__gte=since)
    if runs.filter(status=Status.SUCCEEDED).exists():
        return False
    last = runs.newest().first()
    state = f"its run #{last.pk} is {last.status}" if last else "no run of it began"
    title = f"{pipeline} is late: expected by {moment:%H:%M}, but {state}"
    key = f"late:{pipeline.pk}:{moment.astimezone(UTC).isoformat()}"
    path = "" if last else reverse("pipeline", args=[pipeline.pk])
    news, is_new = begin(Tidings(NewsKind.LATE, key, title, pipeline, last, path), at)
    hand_out(news, [subscription], at)
    return is_new


def expected_at(subscription: Subscription, at: datetime) -> datetime | None:
    """The last moment up to now at which it was expected, in its own zone; None when that is no day of it."""
    here = at.astimezone(ZoneInfo(subscription.zone))
    assert subscription.expected_by is not None  # noqa: S101 - only those are asked for
    moment = datetime.combine(here.date(), subscription.expected_by, here.tzinfo)
    if moment > here:
        moment = datetime.combine(here.date() - timedelta(days=1), subscription.expected_by, here.tzinfo)
    return moment if str(moment.isoweekday()) in subscription.expected_days else None


# ---- slower than usual, while it still runs


def _slow(listeners: list[Subscription], at: datetime) -> int:
    """Runs that go on for too long; one piece of news for each pipeline until one is as quick as usual."""
    running = Run.objects.filter(status=Status.RUNNING, started_at__isnull=False).select_related("pipeline__project")
    told = set(News.objects.filter(kind=NewsKind.SLOW, ended_at=None).values_list("key", flat=True))
    found, seen = 0, set[int]()
    for run in running.order_by("id")[:BATCH]:  # of each pipeline the oldest alone: it is the slowest
        concerned = in_scope(run.pipeline, listeners)
        is_known = run.pipeline_id in seen or slow_key(run.pipeline_id) in told
        seen.add(run.pipeline_id)
        if not concerned or is_known or run.started_at is None:
            continue
        if clause := too_slow(run, (at - run.started_at).total_seconds()):
            found += tell_slow(run, clause, concerned, at)
    return found


# ---- waits longer than N


def _waiting(listeners: list[Subscription], at: datetime) -> int:
    by_patience: dict[int, list[Subscription]] = defaultdict(list)
    for each in listeners:
        by_patience[each.waits_seconds].append(each)
    return sum(_wait_longer(seconds, some, at) for seconds, some in by_patience.items())


def _wait_longer(seconds: int, listeners: list[Subscription], at: datetime) -> int:
    """One piece of news for each pipeline of which any run waits so long, until none does."""
    queued = Run.objects.filter(status=Status.QUEUED, created_at__lt=at - timedelta(seconds=seconds))
    counted = queued.order_by().values("pipeline").annotate(count=Count("pk"), oldest=Min("pk"))
    late = {row["pipeline"]: row for row in counted}
    prefix = f"waiting:{seconds}:"
    _end_others(NewsKind.WAITING, prefix, {f"{prefix}{pipeline}" for pipeline in late}, at)
    found = 0
    for pipeline in Pipeline.objects.select_related("project").filter(pk__in=late):
        if concerned := in_scope(pipeline, listeners):
            row = late[pipeline.pk]
            found += _tell_wait(prefix, pipeline, Run.objects.get(pk=row["oldest"]), row["count"], concerned, at)
    return found


def _tell_wait(
    prefix: str, pipeline: Pipeline, run: Run, count: int, listeners: list[Subscription], at: datetime
) -> bool:
    minutes = max(1, round((at - run.created_at).total_seconds() / 60))
    more = f" (and {count - 1:,} more)" if count > 1 else ""
    reason = f": {run.wait_reason}" if run.wait_reason else ""
    title = f"Run #{run.pk}{more} of {pipeline} has been waiting for {minutes:,} min{reason}"
    news, is_new = begin(Tidings(NewsKind.WAITING, f"{prefix}{pipeline.pk}", title, pipeline, run), at)
    hand_out(news, listeners, at)
    return is_new


# ---- quotas near their end


def _quotas(listeners: list[Subscription], at: datetime) -> int:
    uses = [(usage, use) for usage in usages(at) for use in usage.windows if use.window.length >= LONG]
    found = 0
    for usage, use in uses:
        share, key = use.used / use.window.allowed, f"quota:{usage.quota.pk}:{use.window.pk}"
        if share < LEFT_AGAIN:
            is_over(key, at)
        elif share >= NEAR:
            found += _tell_quota(usage, use, key, listeners, at)
    return found


def _tell_quota(usage: Usage, use: WindowUse, key: str, listeners: list[Subscription], at: datetime) -> bool:
    """To those about everything, and about a pipeline (or one of a project) that takes it at its start."""
    name = usage.quota.name
    title = f"Quota {name} is near its end: {use.used:,} of {use.window} used"
    facts: dict[str, Json] = {"quota": name, "used": use.used, "allowed": use.window.allowed}
    tidings = Tidings(NewsKind.QUOTA, key, title, path=usage.quota.get_absolute_url(), facts=facts)
    takers = [each for each in Pipeline.objects.exclude(takes={}) if name in each.takes]
    concerned = [each for each in listeners if any(each.concerns(taker) for taker in (None, *takers))]
    news, is_new = begin(tidings, at)
    hand_out(news, concerned, at)
    return is_new


# ---- workers lost


def _workers(listeners: list[Subscription], at: datetime) -> int:
    silent = Worker.objects.filter(stopped_at=None, heartbeat_at__lt=at - SILENT_AFTER)
    lost = {f"worker:{worker.name}"[:300]: worker for worker in silent.order_by("name")[:BATCH]}
    _end_others(NewsKind.WORKER, "worker:", set(lost), at)
    found = 0
    for key, worker in lost.items():
        if worker.heartbeat_at < at - RECENT:
            continue
        title = f"The worker {worker.name} was lost: its last sign was at {worker.heartbeat_at:%H:%M:%S} UTC"
        news, is_new = begin(Tidings(NewsKind.WORKER, key, title, path=reverse("workers")), at)
        hand_out(news, [each for each in listeners if each.concerns(None)], at)
        found += is_new
    return found


# ---- due times of schedules that started nothing


def _missed(listeners: list[Subscription], at: datetime) -> int:
    """One piece of news for each schedule, however many due times it misses, until one starts something again."""
    troubled = (
        Tick.objects.troubled()
        .filter(decided_at__gte=at - RECENT)
        .select_related("schedule__periodic_task", "schedule__pipeline__project")
    )
    newest: dict[int, Tick] = {}
    for tick in troubled.order_by("-due_at")[:BATCH]:
        newest.setdefault(tick.schedule_id, tick)
    going_on = News.objects.filter(kind=NewsKind.MISSED, ended_at=None).values_list("key", flat=True)
    for key in list(going_on):
        if _starts_again(int(key.removeprefix(MISSED))):
            is_over(key, at)
    return sum(_tell_missed(tick, listeners, at) for pk, tick in newest.items() if not _starts_again(pk))


def _starts_again(schedule_id: int) -> bool:
    """Whether its newest due time that says anything is no trouble; also when there is no such schedule any more."""
    says_nothing = (TickDecision.DUE, TickDecision.DUPLICATE, TickDecision.PAUSED)
    ticks = Tick.objects.filter(schedule=schedule_id).exclude(decision__in=says_nothing)
    last = ticks.order_by("-due_at").first()
    is_trouble = last is not None and last.decision in (TickDecision.REFUSED, TickDecision.MISSED)
    return not is_trouble or (last is not None and last.dismissed_at is not None)


def _tell_missed(tick: Tick, listeners: list[Subscription], at: datetime) -> bool:
    schedule, pipeline = tick.schedule, tick.schedule.pipeline
    verb = "was refused" if tick.decision == TickDecision.REFUSED else "was missed"
    reason = f": {tick.reason}" if tick.reason else ""
    title = f"The schedule {schedule} {verb} at {tick.due_at:%Y-%m-%d %H:%M} UTC{reason}"
    path = reverse("schedule_tick", args=[schedule.pk, tick.pk])
    tidings = Tidings(NewsKind.MISSED, f"{MISSED}{schedule.pk}", title, pipeline, tick.run, path)
    news, is_new = begin(tidings, at)
    hand_out(news, [each for each in listeners if each.concerns(pipeline)], at)
    return is_new


def _end_others(kind: NewsKind, prefix: str, still: set[str], at: datetime) -> None:
    """What went on and is not there any more is over."""
    open_now = News.objects.filter(kind=kind, ended_at=None, key__startswith=prefix)
    over = [pk for pk, key in open_now.values_list("pk", "key") if key not in still]
    if over:
        News.objects.filter(pk__in=over, ended_at=None).update(ended_at=at)


LOOKS: Final[dict[NewsKind, Look]] = {
    NewsKind.LATE: _late,
    NewsKind.SLOW: _slow,
    NewsKind.WAITING: _waiting,
    NewsKind.QUOTA: _quotas,
    NewsKind.WORKER: _workers,
    NewsKind.MISSED: _missed,
}
