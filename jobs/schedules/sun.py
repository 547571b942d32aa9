"""When something happens to the sun at a place: its height is ephem's, the search for the moment is ours.

A due time has to be the same whoever asks, and from whenever on. What ephem finds depends by some microseconds on where
it begins, and Celery's schedule of the sun takes it as it comes; here each day of the sun is cut at fixed moments, and
searched by halves down to the second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import import_module
from itertools import pairwise
from typing import Final, Protocol

NOON: Final = "solar_noon"
RISES: Final = frozenset({"dawn_astronomical", "dawn_nautical", "dawn_civil", "sunrise"})
TWILIGHTS: Final = {"astronomical": -18.0, "nautical": -12.0, "civil": -6.0}
"""Degrees of the sun's centre over the horizon."""
HORIZON: Final = -34 / 60
"""Degrees of the sun's upper rim where it rises and sets, as the air lifts it."""
TILT: Final = 23.5
DOUBT: Final = 1.0
"""Degrees by which the air and the sun's breadth may change what its tilt alone says."""
ZERO: Final = datetime(1970, 1, 1, tzinfo=UTC)
DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)
"""The sun is never further ahead of its mean, or behind it."""
PARTS: Final = 4
"""Of each half of a day: near a pole the sun may rise at any hour of it."""
EXACT: Final = timedelta(milliseconds=50)


@dataclass(frozen=True)
class Place:
    """Degrees to the north and to the east."""

    latitude: float
    longitude: float

    def day_of(self, moment: datetime) -> int:
        """The number of a day of the mean sun, which begins in the middle of the night."""
        return (moment + self._ahead - ZERO) // DAY

    def begin_of(self, day: int) -> datetime:
        return ZERO + day * DAY - self._ahead

    @property
    def _ahead(self) -> timedelta:
        """By how much its mean sun is ahead of UTC."""
        return timedelta(hours=self.longitude / 15)


@lru_cache(maxsize=4_096)
def happens(event: str, place: Place, day: int) -> tuple[datetime, ...]:
    """When it does on this day of the sun, UTC, to the second: mostly once, near a pole on some days never."""
    look = _Look(place)
    night, noon, next_night = look.lowest(day), look.highest(day), look.lowest(day + 1)
    if event == NOON:
        return (_to_second(noon),)
    moments = [*_parts(night, noon), *_parts(noon, next_night), next_night]
    sides = [look.is_above(event, moment) for moment in moments]
    rises = event in RISES
    found = []
    for (begin, was_above), (end, is_above) in pairwise(zip(moments, sides, strict=True)):
        if was_above != is_above and is_above == rises:
            found.append(_to_second(_crossed(look, event, begin, end)))
    return tuple(found)


def is_daily(event: str, latitude: float) -> bool:
    """Whether no day of the year is without it, for sure."""
    return event == NOON or abs(latitude) < 90 - TILT - DOUBT + _height(event)


class _Date(Protocol):
    """A moment as ephem gives it."""

    def datetime(self) -> datetime: ...


class _Look:
    """From one place at the sun, as if there were no air; ephem's observers belong to one thread."""

    def __init__(self, place: Place) -> None:
        ephem = import_module("ephem")  # loaded where there is such a schedule
        self._place, self._date, self._sun = place, ephem.Date, ephem.Sun()
        self._observer = ephem.Observer()
        self._observer.lat, self._observer.lon = str(place.latitude), str(place.longitude)
        self._observer.elevation = self._observer.pressure = 0

    def lowest(self, day: int) -> datetime:
        """The middle of the night with which this day begins."""
        begin = self._date(_naive(self._place.begin_of(day) - HOUR))
        return _aware(self._observer.next_antitransit(self._sun, start=begin))

    def highest(self, day: int) -> datetime:
        begin = self._date(_naive(self._place.begin_of(day) + DAY / 2 - HOUR))
        return _aware(self._observer.next_transit(self._sun, start=begin))

    def is_above(self, event: str, moment: datetime) -> bool:
        """Whether the sun is over the height that counts for this event; of one that rises or sets it is its rim."""
        self._observer.date = _naive(moment)
        self._sun.compute(self._observer)
        height = _degrees(self._sun.alt)
        if event in ("sunrise", "sunset"):
            height += _degrees(self._sun.radius)
        return height > _height(event)


def _height(event: str) -> float:
    return TWILIGHTS.get(event.partition("_")[2], HORIZON)


def _parts(begin: datetime, end: datetime) -> list[datetime]:
    return [begin + (end - begin) * part / PARTS for part in range(PARTS)]


def _crossed(look: _Look, event: str, begin: datetime, end: datetime) -> datetime:
    """Between these two, of which one is above and one below."""
    side = look.is_above(event, begin)
    while end - begin > EXACT:
        middle = begin + (end - begin) / 2
        if look.is_above(event, middle) == side:
            begin = middle
        else:
            end = middle
    return end


def _to_second(moment: datetime) -> datetime:
    return (moment + timedelta(milliseconds=500)).replace(microsecond=0)


def _degrees(angle: float) -> float:
    return math.degrees(float(angle))


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _aware(date: _Date) -> datetime:
    return date.datetime().replace(tzinfo=UTC)
