"""Due times of the sun: beside Celery's own, on days without them, and the same whoever asks."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from celery import schedules as celerys

from jobs.schedules.dues import Sun, dues, last_due
from jobs.schedules.rules import EVENTS
from jobs.schedules.words import sentence

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
OSLO = ZoneInfo("Europe/Oslo")
PLACES = {
    "Berlin": (52.52, 13.40, "Europe/Berlin"),
    "Quito": (-0.18, -78.47, "America/Guayaquil"),
    "Tromsø": (69.65, 18.96, "Europe/Oslo"),
    "Longyearbyen": (78.22, 15.64, "Arctic/Longyearbyen"),
    "McMurdo": (-77.85, 166.67, "Antarctica/McMurdo"),
    "Auckland": (-36.85, 174.76, "Pacific/Auckland"),
    "Kiritimati": (1.87, -157.40, "Pacific/Kiritimati"),
}
TROMSO = (69.65, 18.96)


def celery_says(event: str, latitude: float, longitude: float) -> list[datetime]:
    """A year of it; what its search gives back at its end is no event, and is not due."""
    found: list[datetime] = []
    asked: Any = celerys
    sun, moment = asked.solar(event, latitude, longitude), BEGIN
    while moment < END:
        sun.nowfun = partial(moment.astimezone, UTC)
        moment = (moment + sun.remaining_estimate(moment)).astimezone(UTC)
        found.append(moment)
    return [due for due in found if due < END]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("place", PLACES)
def test_a_year_of_each_event_is_as_celery_has_it(place: str, event: str) -> None:
    latitude, longitude, zone = PLACES[place]
    ours = list(dues(Sun(event, latitude, longitude), ZoneInfo(zone), BEGIN, END))
    theirs = celery_says(event, latitude, longitude)
    assert len(ours) == len(theirs) > 100
    assert all(abs(mine - its) <= SECOND for mine, its in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(("event", "months"), [("sunrise", {12}), ("sunset", {6, 12}), ("dawn_astronomical", {6})])
def test_a_day_without_the_event_has_no_due_time(event: str, months: set[int]) -> None:
    """Tromsø has no sunrise from the end of November to the middle of January, and from May to July none either."""
    found = {due.astimezone(OSLO).date() for due in dues(Sun(event, *TROMSO), OSLO, BEGIN, END)}
    assert not any(day.month in months for day in found)
    assert {date(2026, 3, 1), date(2026, 10, 1)} <= found


def test_the_next_one_is_sought_through_the_whole_polar_night_and_the_last_one_too() -> None:
    rule, night = Sun("sunrise", *TROMSO), datetime(2026, 12, 24, tzinfo=UTC)
    following, last = next(dues(rule, OSLO, night)), last_due(rule, OSLO, night)
    assert following.date() == date(2027, 1, 15)
    assert last is not None and last.date() == date(2026, 11, 27)


@pytest.mark.parametrize("latitude", [90, -90, 89.9])
def test_the_sun_rises_at_a_pole_once_a_year(latitude: float) -> None:
    rises, sets = (list(dues(Sun(event, latitude, 0), OSLO, BEGIN, END)) for event in ("sunrise", "sunset"))
    assert len(rises) == len(sets) == 1
    assert {rises[0].month, sets[0].month} == {3, 9}


@pytest.mark.parametrize("seed", range(12))
def test_looking_in_two_halves_sees_the_same_moments(seed: int) -> None:
    draw = random.Random(seed)
    left_out = ((date(2026, 3, 1), date(2026, 3, 20)),) if seed % 2 else ()
    rule = Sun(draw.choice(EVENTS), draw.uniform(-90, 90), draw.uniform(-180, 180), left_out=left_out)
    zone = ZoneInfo(draw.choice([zone for _, _, zone in PLACES.values()]))
    begin = BEGIN + timedelta(seconds=draw.randrange(100 * 86_400))
    end = begin + timedelta(days=draw.randint(1, 90))
    whole = list(dues(rule, zone, begin, end))
    for middle in (begin + (end - begin) * draw.random(), *whole[:1]):
        assert whole == [*dues(rule, zone, begin, middle), *dues(rule, zone, middle, end)]
    assert whole == sorted(set(whole)) and not any(rule.leaves_out(due.astimezone(zone).date()) for due in whole)


def test_what_is_left_out_for_ever_is_never_due() -> None:
    rule = Sun("sunset", 52.52, 13.4, left_out=((date(2020, 1, 1), date(2199, 1, 1)),))
    assert next(dues(rule, OSLO, BEGIN), None) is None


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Sun("sunrise", 52.52, 13.4), "At sunrise at 52.52° north, 13.4° east"),
        (Sun("dusk_civil", -33.45, -70.66), "At civil dusk at 33.45° south, 70.66° west"),
        (Sun("solar_noon", 78.22, 15.64), "At solar noon at 78.22° north, 15.64° east"),
        (Sun("sunrise", *TROMSO), "At sunrise at 69.65° north, 18.96° east, on days that have one"),
        (Sun("dawn_astronomical", 52.52, 13.4),
         "At astronomical dawn at 52.52° north, 13.4° east, on days that have one"),
        (Sun("sunset", 0, 0, left_out=((date(2026, 12, 24), date(2026, 12, 24)),)),
         "At sunset at 0° north, 0° east, but not on 24 December 2026, Europe/Oslo"),
    ],
)  # fmt: skip
def test_the_sentence_says_where_and_whether_each_day_has_one(rule: Sun, words: str) -> None:
    assert sentence(rule, OSLO) == words
    days = {due.date() for due in dues(rule, ZoneInfo("UTC"), BEGIN, END)}
    assert ("on days that have one" in words) is (len(days) < 360)


def test_the_first_ten_are_those_that_follow_one_by_one() -> None:
    rule, moment = Sun("sunset", 52.52, 13.4), BEGIN
    for due in islice(dues(rule, OSLO, BEGIN), 10):
        moment = next(dues(rule, OSLO, moment))
        assert moment == due
