"""Look ahead: when work will be done under the limits, and what the schedules of the coming week need of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from django.db.models import Sum

from jobs.insight.durations import Lately, first_looked_at, lately, lately_since
from jobs.models import Grant, Pipeline, Quota, Schedule, Window
from jobs.models.quota import REQUESTS
from jobs.quotas.turns import FAR, UNITS, used_in_all
from jobs.schedules.due import next_dues

WEEK = timedelta(days=7)
MOST_FIRES = 10_080
"""Of one schedule in a week: one a minute."""
MOST_DAYS = 3660
NOTHING: Mapping[str, float] = dict.fromkeys(UNITS, 0.0)


@dataclass(frozen=True)
class Standing:
    """How quotas stand at a moment."""

    used: Mapping[int, int]
    """What counts in a window now, by the window's key."""
    in_line: Mapping[tuple[int, str], int]
    """What waits for a quota, by the quota's key and the unit."""


def standing(quotas: Collection[Quota], at: datetime) -> Standing:
    """Of all these quotas, whose windows are known, in two questions."""
    spent = used_in_all((window for quota in quotas for window in quota.windows.all()), at)
    waiting = Grant.objects.waiting().filter(quota__in=quotas).order_by()
    lines = waiting.values_list("quota").annotate(*(Sum(unit) for unit in UNITS))
    in_line = {(key, unit): units or 0 for key, *sums in lines for unit, units in zip(UNITS, sums, strict=True)}
    return Standing(spent, in_line)


def forecast(
    waiting: int,
    quota: Quota,
    at: datetime,
    *,
    requests_each: float = 1.0,
    rows_each: float = 0.0,
    now: Standing | None = None,
) -> datetime | None:
    """When so many waiting items have found room, if nobody else uses the quota; None: not within ten years, or paused.

    `requests_each` may be a fraction: a batch of 100 items in one request is 0.01. How it stands is looked up, unless
    that is known for several quotas (`now`).
    """
    if quota.is_paused(at) and quota.paused_until is None:
        return None
    begin = max(
        at,
        quota.paused_until if quota.is_paused(at) and quota.paused_until else at,
        quota.closed_until if quota.is_closed(at) and quota.closed_until else at,
    )
    needs = {"requests": math.ceil(waiting * requests_each), "rows": math.ceil(waiting * rows_each)}
    now = now or standing([quota], begin)
    ends = [_walk(quota, unit, needs[unit], begin, now) for unit in UNITS if needs[unit] > 0]
    known = [end for end in ends if end is not None]
    return max([begin, *known]) if len(known) == len(ends) else None


def _walk(quota: Quota, unit: str, need: int, at: datetime, standing: Standing) -> datetime | None:
    """Day by day where days are limited; within a day the rolling windows give the pace."""
    windows = [window for window in quota.windows.all() if window.unit == unit]
    days = [window for window in windows if window.seconds is None]
    rolling = [window for window in windows if window.seconds is not None]
    free = {window.pk: max(0, window.allowed - standing.used[window.pk]) for window in windows}
    left = need + standing.in_line.get((quota.pk, unit), 0)
    if not days:
        return _paced(rolling, free, left, at)
    now = at
    for _ in range(MOST_DAYS):
        midnight = min(window.day(now, later=1) for window in days)
        room = min(free[window.pk] for window in days)
        today = min([room, left, *(_pace(window, free[window.pk], midnight - now) for window in rolling)])
        if today >= left:
            return _paced(rolling, free, left, now)
        left -= today
        for window in days:
            free[window.pk] -= today
            if window.day(now, later=1) == midnight:
                free[window.pk] = window.allowed
        now, free = midnight, {**free, **{window.pk: window.allowed for window in rolling}}
    return None


def _pace(window: Window, free: int, span: timedelta) -> int:
    return free + window.allowed * int(span / window.length)


def _paced(rolling: Sequence[Window], free: dict[int, int], need: int, at: datetime) -> datetime | None:
    """When the last of so many finds room in each rolling window, taken at a steady pace after what is free now."""
    end = at
    for window in rolling:
        rounds = max(0, math.ceil((need - free[window.pk]) / window.allowed))
        if rounds * window.length > FAR:
            return None
        end = max(end, at + rounds * window.length)
    return end


@dataclass(frozen=True)
class Need:
    """What the schedules of the coming week usually use of one window's unit, and what it allows them in that time."""

    unit: str
    needed: int
    allowed: int

    @property
    def is_too_much(self) -> bool:
        return self.needed > self.allowed


def needs_of_week(quota: Quota, at: datetime) -> list[Need]:
    """For each unit that is limited and that scheduled pipelines use."""
    uses = _scheduled_uses(quota, at)
    found = []
    for unit in UNITS:
        windows = [window for window in quota.windows.all() if window.unit == unit]
        needed = math.ceil(sum(per_run[unit] * fires for per_run, fires in uses))
        if windows and needed:
            found.append(Need(unit, needed, min(int(window.allowed * (WEEK / window.length)) for window in windows)))
    return found


def _scheduled_uses(quota: Quota, at: datetime) -> list[tuple[Mapping[str, float], int]]:
    """For each schedule what a run of its pipeline usually uses, and how often it fires within a week."""
    going = Schedule.objects.known().exclude(pipeline=None).filter(next_due_at__isnull=False)
    schedules = going.annotate(floor=first_looked_at("pipeline"))[:500]
    pipelines = {each.pipeline_id: each.pipeline for each in schedules if each.pipeline}
    figures = lately_since({each.pipeline_id or 0: vars(each)["floor"] or 0 for each in schedules}, at=at)
    uses = usual_uses(pipelines.values(), [quota], at, figures)
    found = []
    for schedule in schedules:
        if any((per_run := uses[schedule.pipeline_id or 0, quota.pk]).values()):
            due = takewhile(lambda time: time < at + WEEK, next_dues(schedule, MOST_FIRES, at))
            found.append((per_run, sum(1 for _ in due)))
    return found


Uses = Mapping[tuple[int, int], Mapping[str, float]]


def usual_uses(
    pipelines: Iterable[Pipeline], quotas: Iterable[Quota], at: datetime, figures: Mapping[int, Lately] | None = None
) -> Uses:
    """What a run usually uses of a quota, by the keys of pipeline and quota, and by unit: the mean of its newest
    successes; before the first one what it takes at its start. However many there are, asked together."""
    pipelines, quotas = list(pipelines), list(quotas)
    figures = (lately(pipelines, at=at) if figures is None else figures) if quotas else {}
    runs = {each.pk: figures[each.pk].successes for each in pipelines} if quotas else {}
    numbers = [number for some in runs.values() for number in some]
    sums = Grant.objects.settled().filter(quota__in=quotas, run__in=numbers).order_by()
    rows = sums.values_list("run__pipeline_id", "quota_id").annotate(*map(Sum, UNITS)) if numbers else ()
    found: dict[tuple[int, int], Mapping[str, float]] = defaultdict(lambda: NOTHING)
    for pipeline, quota, *totals in rows:
        means = (total / len(runs[pipeline]) for total in totals)
        found[pipeline, quota] = dict(zip(UNITS, means, strict=True))
    new = [each for each in pipelines if quotas and not runs[each.pk]]
    for each in new:
        found |= {(each.pk, row.pk): {**NOTHING, REQUESTS: float(each.takes.get(row.name, 0))} for row in quotas}
    return found
