"""How a quota stands: what its windows hold, who uses it, who waits, and what the API said lately."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from django.db.models import Count, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from jobs.models import Grant, Pipeline, Quota, Window
from jobs.quotas.quotas import resets_at
from jobs.quotas.turns import closure, used_in_all

SHOWN: Final = 20
"""How many holders, waiters and refusals are shown; the counts include all."""
SLICES: Final = 24
SHORTEST_SPAN: Final = timedelta(minutes=1)
DAY: Final = timedelta(days=1)
NEAR: Final = 0.8
"""The share of a window from which on its end is near."""


@dataclass(frozen=True)
class WindowUse:
    """What one window holds now; `resets_at` is when nothing of it counts any more, None when nothing does."""

    window: Window
    used: int
    resets_at: datetime | None

    @property
    def left(self) -> int:
        return max(0, self.window.allowed - self.used)

    @property
    def is_full(self) -> bool:
        return self.left == 0

    @property
    def is_near_end(self) -> bool:
        return self.used >= NEAR * self.window.allowed


@dataclass(frozen=True)
class Usage:
    """One quota as its page shows it; `closed` says why it lets nothing through, whatever its windows say."""

    quota: Quota
    windows: list[WindowUse]
    closed: str
    is_paused: bool
    waiting: int
    held: int
    waiters: list[Grant] = field(default_factory=list)
    holders: list[Grant] = field(default_factory=list)
    refusals: list[Grant] = field(default_factory=list)
    spark: Spark | None = None

    @property
    def is_full(self) -> bool:
        return any(window.is_full for window in self.windows)

    @property
    def is_near_end(self) -> bool:
        """Somebody waits already, or soon will."""
        return bool(self.closed or self.waiting) or any(window.is_near_end for window in self.windows)


@dataclass(frozen=True)
class Spark:
    """What was used in each slice of a span that ends now, the newest last."""

    span: timedelta
    unit: str
    counts: list[int]

    @property
    def peak(self) -> int:
        return max(self.counts, default=0)

    @property
    def slice(self) -> timedelta:
        return self.span / len(self.counts)

    @property
    def heights(self) -> list[tuple[int, float, int]]:
        """Of each slice its place, its share of the highest in percent, and its count."""
        return [(place, 100 * count / (self.peak or 1), count) for place, count in enumerate(self.counts)]


def usages(at: datetime) -> list[Usage]:
    """All quotas in short, by name."""
    quotas = _counted(Quota.objects.all())
    spent = used_in_all((window for quota in quotas for window in quota.windows.all()), at)
    return [_usage(quota, at, spent) for quota in quotas]


def usage(quota: Quota, at: datetime) -> Usage:
    """One quota with everything."""
    (counted,) = _counted(Quota.objects.filter(pk=quota.pk))
    grants = quota.grants.select_related("run__pipeline")
    return _usage(
        counted,
        at,
        used_in_all(counted.windows.all(), at),
        waiters=list(grants.waiting()[:SHOWN]),
        holders=list(grants.held()[:SHOWN]),
        refusals=list(grants.filter(status__gte=400).order_by("-pk")[:SHOWN]),
        spark=_spark(counted, at),
    )


def _counted(quotas: QuerySet[Quota]) -> list[Quota]:
    """With how many grants wait and are held: only those that are not settled are looked at."""
    unsettled = Grant.objects.filter(quota=OuterRef("pk"), settled_at__isnull=True).order_by()

    def count(**which: object) -> Coalesce:
        counted = unsettled.filter(**which).values("quota").annotate(count=Count("pk"))
        return Coalesce(Subquery(counted.values("count")), 0)

    annotated = quotas.annotate(waiting=count(taken_at__isnull=True), held=count(taken_at__isnull=False))
    return list(annotated.prefetch_related("windows"))


def _usage(quota: Quota, at: datetime, spent: dict[int, int], **more: object) -> Usage:
    windows = [_window_use(quota, window, at, spent[window.pk]) for window in quota.windows.all()]
    counts = {"waiting": quota.waiting, "held": quota.held}  # type: ignore[attr-defined]
    return Usage(quota, windows, closure(quota, at), quota.is_paused(at), **counts, **more)  # type: ignore[arg-type]


def _window_use(quota: Quota, window: Window, at: datetime, count: int) -> WindowUse:
    return WindowUse(window, count, resets_at(quota, window, at) if count else None)


def _spark(quota: Quota, at: datetime) -> Spark:
    """By the sums at the edges of the slices: a row each, however many grants are between."""
    windows = list(quota.windows.all())
    spans = [max(row.length, min(6 * row.length, DAY)) for row in windows]
    span = max([SHORTEST_SPAN, *spans])
    unit = windows[0].unit if windows else Window.Unit.REQUESTS.value
    sums = _sums(quota, unit, [at - span + number * span / SLICES for number in range(SLICES + 1)])
    return Spark(span, unit, [max(0, late - early) for early, late in pairwise(sums)])


def _sums(quota: Quota, unit: str, times: list[datetime]) -> list[int]:
    """All that was settled up to each of these, in one question."""
    whole = quota.settled_of(unit)
    firsts = (quota.grants.filter(settled_at__gt=at).order_by("settled_at") for at in times)
    before = [Subquery(first.values(before=F(f"sum_{unit}") - F(unit))[:1]) for first in firsts]
    found = Quota.objects.filter(pk=quota.pk).values_list(*before).get()
    return [whole if each is None else each for each in found]


def taken_by(pipeline: Pipeline, at: datetime) -> list[tuple[str, int, Quota | None, str]]:
    """What a run of it takes: the name, so many requests, the quota when there is one, and why it is closed."""
    known = {quota.name: quota for quota in Quota.objects.filter(name__in=pipeline.takes)} if pipeline.takes else {}
    rows = [(name, requests, known.get(name)) for name, requests in sorted(pipeline.takes.items())]
    return [(name, requests, quota, closure(quota, at) if quota else "") for name, requests, quota in rows]
