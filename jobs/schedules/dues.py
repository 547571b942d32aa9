"""When a rule is due: the one function for previews, for beat, for what was missed, for backfills, for what comes.

A time of the wall that the clocks leave out is due at the first moment after; one that comes twice is due once, at the
first. A rule for every hour, or every so many hours, follows elapsed time instead: in an hour that comes twice it is
due twice as often.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from math import floor
from typing import Any, Final
from zoneinfo import ZoneInfo

from celery import schedules

from jobs.schedules.sun import Place, happens
from jobs.structure.cron import DAYS, FIELDS, CronError
from jobs.structure.cron import Cron as Fields
from jobs.structure.cron import read as read_cron

EVERY_MONTH: Final = frozenset(range(1, 13))
LAST_WEEK: Final = -1
"""The last Friday of a month is the -1st."""
CELERYS: Final[Any] = schedules
HORIZON: Final = timedelta(days=8 * 366 + 2)
"""From one 29 February to the next, over a century that has none: what is not due within it never is."""
DAY: Final = timedelta(days=1)
MOST_DAYS: Final = 31


Span = tuple[date, date]
"""The first and the last day of what is left out."""


@dataclass(frozen=True)
class _Rule:
    left_out: tuple[Span, ...] = field(default=(), kw_only=True)
    """Days of the schedule's zone on which nothing is due."""

    def leaves_out(self, day: date) -> bool:
        return any(first <= day <= last for first, last in self.left_out)


@dataclass(frozen=True)
class Every(_Rule):
    """Each so many seconds after the anchor, whatever the clocks show."""

    seconds: float
    anchor: datetime


@dataclass(frozen=True)
class Cron(_Rule):
    """Five fields, as `jobs.structure.cron` reads them."""

    text: str


@dataclass(frozen=True)
class Once(_Rule):
    at: datetime


@dataclass(frozen=True)
class Sun(_Rule):
    """An event of the sun at a place, by the names that Celery has for them; on a day without it nothing is due."""

    event: str
    latitude: float
    longitude: float


@dataclass(frozen=True)
class Days:
    """Which days count: every condition that is given has to hold.

    ISO weekdays, 1 is Monday; `nth` are (which, weekday), such as (1, 1) for the first Monday and (-1, 5) for the last
    Friday of a month.
    """

    months: frozenset[int] = EVERY_MONTH
    weekdays: frozenset[int] = frozenset()
    days_of_month: frozenset[int] = frozenset()
    is_last: bool = False
    nth: frozenset[tuple[int, int]] = frozenset()

    def count(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        if self.weekdays and day.isoweekday() not in self.weekdays:
            return False
        if self.nth and not self.nth & _places(day):
            return False
        return self._is_day_of_month(day)

    def _is_day_of_month(self, day: date) -> bool:
        """The last day is one more of them."""
        if not (self.days_of_month or self.is_last):
            return True
        return day.day in self.days_of_month or (self.is_last and is_last_day(day))


@dataclass(frozen=True)
class AtTimes(_Rule):
    """Times of the wall on some days; `is_elapsed` where the hours are all of them, or every so many."""

    times: tuple[time, ...]
    days: Days = field(default_factory=Days)
    is_elapsed: bool = False


Rule = Every | Cron | Once | Sun | AtTimes


def dues(rule: Rule, zone: ZoneInfo, begin: datetime, end: datetime | None = None) -> Iterator[datetime]:
    """The due times after `begin`, up to and with `end`, UTC, each later than the one before.

    Without an `end` they go on forever, or end where the rule has none within eight years.
    """
    for due in _in_order(rule, zone, begin):
        if end is not None and due > end:
            return
        if due > begin:
            yield due


def last_due(rule: Rule, zone: ZoneInfo, at: datetime) -> datetime | None:
    """The newest due time until then, UTC; None when there is none within eight years."""
    if not isinstance(rule, Cron | AtTimes):
        return _last_by_looking(rule, zone, at)
    day = at.astimezone(zone).date() + DAY
    while _start_of(day, zone) > at - HORIZON:
        if found := [due for due in _dues_of(rule, zone, day) if due <= at]:
            return max(found)
        day -= DAY
    return None


def _last_by_looking(rule: Rule, zone: ZoneInfo, at: datetime) -> datetime | None:
    """In ever longer looks back, each of which has few due times or none."""
    if isinstance(rule, Once):
        return next(dues(rule, zone, rule.at - DAY, at), None)
    back = timedelta(seconds=rule.seconds) if isinstance(rule, Every) else DAY
    while back < HORIZON:
        if found := list(dues(rule, zone, at - back, at)):
            return found[-1]
        back *= 2
    return None


def walls(rule: Rule) -> AtTimes | None:
    """A rule of times of the wall as days and times; None for one of another kind."""
    if isinstance(rule, Cron):
        return _at_times(rule)
    return rule if isinstance(rule, AtTimes) else None


@lru_cache(maxsize=4_096)
def _at_times(rule: Cron) -> AtTimes:
    """A field with a star holds every value of it. What only Celery understands is read by Celery."""
    try:
        return _of_cron(read_cron(rule.text), rule.left_out)
    except CronError:
        return _of_celery(rule)


def _of_cron(cron: Fields, left_out: tuple[Span, ...]) -> AtTimes:
    weekdays, dates = cron.numbers("day_of_week"), cron.days_of_month
    is_each = len(dates) == MOST_DAYS
    return AtTimes(
        _times(cron.numbers("hour"), cron.numbers("minute")),
        Days(
            months=cron.numbers("month_of_year"),
            weekdays=_iso(weekdays),
            days_of_month=frozenset() if is_each else dates,
            is_last=cron.has_last_day and not is_each,
            nth=cron.nth,
        ),
        is_elapsed=cron.is_elapsed,
        left_out=left_out,
    )


def _of_celery(rule: Cron) -> AtTimes:
    words = rule.text.split()
    if len(words) != len(FIELDS):
        raise CronError("Write five fields: minute, hour, day of the month, month, day of the week.")
    found = CELERYS.crontab(**dict(zip((each.name for each in FIELDS), words, strict=True)))
    dates = frozenset(found.day_of_month)
    return AtTimes(
        _times(found.hour, found.minute),
        Days(
            months=frozenset(found.month_of_year),
            weekdays=_iso(found.day_of_week),
            days_of_month=frozenset() if len(dates) == MOST_DAYS else dates,
        ),
        is_elapsed="*" in words[1],
        left_out=rule.left_out,
    )


def _times(hours: Iterable[int], minutes: Iterable[int]) -> tuple[time, ...]:
    past = sorted(minutes)
    return tuple(time(hour, minute) for hour in sorted(hours) for minute in past)


def _iso(weekdays: Iterable[int]) -> frozenset[int]:
    """None where each counts; Sunday is 7."""
    found = frozenset(day or len(DAYS) for day in weekdays)
    return frozenset() if len(found) == len(DAYS) else found


def _in_order(rule: Rule, zone: ZoneInfo, begin: datetime) -> Iterator[datetime]:
    if isinstance(rule, Cron | AtTimes):
        return _on_days(rule, zone, begin)
    if isinstance(rule, Every):
        return _each_so_often(rule, zone, begin)
    if isinstance(rule, Sun):
        return _of_the_sun(rule, zone, begin)
    due = rule.at.astimezone(UTC)
    return iter(() if rule.leaves_out(due.astimezone(zone).date()) else (due,))


def _each_so_often(rule: Every, zone: ZoneInfo, begin: datetime) -> Iterator[datetime]:
    """From the anchor on; over days that are left out it goes in one step."""
    last_found, count = begin, _count_until(rule, begin) + 1
    while (due := (rule.anchor + count * timedelta(seconds=rule.seconds)).astimezone(UTC)) < last_found + HORIZON:
        day = due.astimezone(zone).date()
        spans = [last for first, last in rule.left_out if first <= day <= last]
        if not spans:
            last_found = due
            yield due
            count += 1
        else:
            count = max(count + 1, _count_until(rule, _start_of(max(spans) + DAY, zone)))


def _count_until(rule: Every, moment: datetime) -> int:
    """How many due times there were by then."""
    return max(0, floor((moment - rule.anchor) / timedelta(seconds=rule.seconds)))


def _of_the_sun(rule: Sun, zone: ZoneInfo, begin: datetime) -> Iterator[datetime]:
    place, last_found = Place(rule.latitude, rule.longitude), begin
    day = place.day_of(begin) - 1
    while place.begin_of(day) <= last_found + HORIZON:
        for due in happens(rule.event, place, day):
            if not rule.leaves_out(due.astimezone(zone).date()):
                last_found = due
                yield due
        day += 1


def is_last_day(day: date) -> bool:
    return (day + DAY).day == 1


def _places(day: date) -> frozenset[tuple[int, int]]:
    """Which weekday of its month a day is, from the first and from the last."""
    weekday = day.isoweekday()
    from_first = {((day.day - 1) // 7 + 1, weekday)}
    return frozenset(from_first | ({(LAST_WEEK, weekday)} if (day + 7 * DAY).month != day.month else set()))


def _on_days(rule: Cron | AtTimes, zone: ZoneInfo, begin: datetime) -> Iterator[datetime]:
    """In order; the end of one day may be the beginning of the next where a whole day is left out."""
    day = begin.astimezone(zone).date() - 2 * DAY
    last_found, newest = begin, begin - 3 * DAY
    while _start_of(day, zone) <= last_found + HORIZON:
        for due in _dues_of(rule, zone, day):
            if due > newest:
                newest = last_found = due
                yield due
        day += DAY


def _start_of(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


@lru_cache(maxsize=1_024)
def _dues_of(rule: Cron | AtTimes, zone: ZoneInfo, day: date) -> list[datetime]:
    """Those of one day of the wall, in order and each once."""
    wall = _at_times(rule) if isinstance(rule, Cron) else rule
    if wall.leaves_out(day) or not wall.days.count(day):
        return []
    moments = _elapsed if wall.is_elapsed else _on_the_wall
    return sorted({due for each in wall.times for due in moments(datetime.combine(day, each), zone)})


def _on_the_wall(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    first = wall.replace(tzinfo=zone, fold=0)
    return [first.astimezone(UTC) if _exists(first) else _first_after(wall, zone)]


def _elapsed(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    both = (wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    return [each.astimezone(UTC) for each in both if _exists(each)]


def _exists(local: datetime) -> bool:
    back = local.astimezone(UTC).astimezone(local.tzinfo)
    return back.replace(tzinfo=None, fold=0) == local.replace(tzinfo=None, fold=0)


def _first_after(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment at which the clocks jump over this time, to the second."""
    low = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)  # by the clock after the jump: before it
    high = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    before = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == before:
            low = max(middle, low + timedelta(seconds=1))
        else:
            high = middle
    return high if low.astimezone(zone).utcoffset() == before else low
