"""When times of the wall are due: the one function for previews, for beat, for what was missed, and for what comes.

A time of the wall that the clocks leave out is due at the first moment after; one that comes twice is due once, at the
first. A rule for every hour, or every so many hours, follows elapsed time instead: in an hour that comes twice it is
due twice as often.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

EVERY_MONTH: Final = frozenset(range(1, 13))
LAST_WEEK: Final = -1
"""The last Friday of a month is the -1st."""
HORIZON: Final = timedelta(days=8 * 366 + 2)
"""From one 29 February to the next, over a century that has none: what is not due within it never is."""
DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Days:
    """Which days count: every condition that is given has to hold, and the day must not be left out.

    ISO weekdays, 1 is Monday; `nth` are (which, weekday), such as (1, 1) for the first Monday and (-1, 5) for the last
    Friday of a month.
    """

    months: frozenset[int] = EVERY_MONTH
    weekdays: frozenset[int] = frozenset()
    days_of_month: frozenset[int] = frozenset()
    is_last: bool = False
    nth: frozenset[tuple[int, int]] = frozenset()
    left_out: tuple[tuple[date, date], ...] = ()

    def count(self, day: date) -> bool:
        if day.month not in self.months or any(first <= day <= last for first, last in self.left_out):
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
class AtTimes:
    """Times of the wall on some days; `is_elapsed` where the hours are all of them, or every so many."""

    zone: ZoneInfo
    times: tuple[time, ...]
    days: Days = field(default_factory=Days)
    is_elapsed: bool = False


def dues(rule: AtTimes, begin: datetime, end: datetime | None = None) -> Iterator[datetime]:
    """The due times after `begin`, up to and with `end`, UTC, each later than the one before.

    Without an `end` they go on forever, or end where the rule has none within eight years.
    """
    for due in _at_times(rule, begin):
        if end is not None and due > end:
            return
        if due > begin:
            yield due


def last_due(rule: AtTimes, at: datetime) -> datetime | None:
    """The newest due time until then, UTC; None when there is none within eight years."""
    day = at.astimezone(rule.zone).date() + DAY
    while _start_of(day, rule.zone) > at - HORIZON:
        if found := [due for due in _dues_of(rule, day) if due <= at]:
            return max(found)
        day -= DAY
    return None


def is_last_day(day: date) -> bool:
    return (day + DAY).day == 1


def _places(day: date) -> frozenset[tuple[int, int]]:
    """Which weekday of its month a day is, from the first and from the last."""
    weekday = day.isoweekday()
    from_first = {((day.day - 1) // 7 + 1, weekday)}
    return frozenset(from_first | ({(LAST_WEEK, weekday)} if (day + 7 * DAY).month != day.month else set()))


def _at_times(rule: AtTimes, begin: datetime) -> Iterator[datetime]:
    """In order; the end of one day may be the beginning of the next where a whole day is left out."""
    day = begin.astimezone(rule.zone).date() - 2 * DAY
    last_found, newest = begin, begin - 3 * DAY
    while _start_of(day, rule.zone) <= last_found + HORIZON:
        for due in _dues_of(rule, day):
            if due > newest:
                newest = last_found = due
                yield due
        day += DAY


def _start_of(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _dues_of(rule: AtTimes, day: date) -> list[datetime]:
    """Those of one day of the wall, in order and each once."""
    if not rule.days.count(day):
        return []
    moments = _elapsed if rule.is_elapsed else _on_the_wall
    return sorted({due for each in rule.times for due in moments(datetime.combine(day, each), rule.zone)})


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
