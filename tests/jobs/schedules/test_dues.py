"""Due times: beside two independent cron libraries over ten years in twelve zones, and by what must always hold."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from cronsim import CronSim

from jobs.schedules.dues import AtTimes, Cron, Days, Every, Once, Rule, dues, last_due

ZONES = (
    "UTC", "Europe/Berlin", "Europe/London", "America/New_York", "America/Sao_Paulo", "America/St_Johns",
    "Australia/Lord_Howe", "Australia/Sydney", "Asia/Tehran", "Asia/Kolkata", "Africa/Casablanca", "Pacific/Auckland",
)  # fmt: skip
FIXED = ("0 6 * * *", "30 2 * * *", "0 0 1 * *", "15 1,3 * * mon-fri", "0 12 * jan,jul *", "5 4 29 2 *")
FLOWING = ("*/20 * * * *", "0 */6 * * *")
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("text", FIXED)
@pytest.mark.parametrize("zone", ZONES)
def test_fixed_times_are_those_of_cronsim_for_ten_years(zone: str, text: str) -> None:
    end = BEGIN.replace(year=2030)
    ours = list(dues(Cron(text), ZoneInfo(zone), BEGIN, end))
    theirs = CronSim(text, BEGIN.astimezone(ZoneInfo(zone)))
    assert ours == list(dict.fromkeys(islice((due.astimezone(UTC) for due in theirs), len(ours))))
    assert len(ours) >= 2


@pytest.mark.parametrize("text", FLOWING)
@pytest.mark.parametrize("zone", [zone for zone in ZONES if zone != "Australia/Lord_Howe"])
def test_flowing_times_are_those_of_cronsim_through_a_year(zone: str, text: str) -> None:
    begin, end = BEGIN.replace(year=2025), BEGIN.replace(year=2026)
    ours = list(dues(Cron(text), ZoneInfo(zone), begin, end))
    theirs = CronSim(text, begin.astimezone(ZoneInfo(zone)))
    assert ours == list(islice((due.astimezone(UTC) for due in theirs), len(ours)))


def test_a_change_of_half_an_hour_leaves_no_hour_out() -> None:
    """Where cronsim, which counts the hours on in UTC, does not see 06:00 on that day."""
    zone = ZoneInfo("Australia/Lord_Howe")
    begin = datetime(2025, 4, 5, 12, tzinfo=zone)
    found = islice(dues(Cron("0 */6 * * *"), zone, begin), 5)
    assert [due.astimezone(zone).hour for due in found] == [18, 0, 6, 12, 18]


@pytest.mark.parametrize("text", ["0 6 * * *", "0 12 * jan,jul *", "45 17 1,15 * *"])
@pytest.mark.parametrize("zone", ZONES)
def test_times_of_the_day_are_those_of_croniter_too(zone: str, text: str) -> None:
    end = BEGIN.replace(year=2030)
    ours = list(dues(Cron(text), ZoneInfo(zone), BEGIN, end))
    theirs = croniter(text, BEGIN.astimezone(ZoneInfo(zone)))
    assert ours == [theirs.get_next(datetime).astimezone(UTC) for _ in ours]


def at(wall: str, left_out: tuple[tuple[date, date], ...] = (), **days: object) -> AtTimes:
    return AtTimes((time.fromisoformat(wall),), Days(**days), left_out=left_out)  # type: ignore[arg-type]


def test_a_time_that_the_clocks_leave_out_is_due_at_the_first_moment_after() -> None:
    first = next(dues(at("02:30"), BERLIN, datetime(2026, 3, 28, 12, tzinfo=UTC)))
    assert first == datetime(2026, 3, 29, 1, tzinfo=UTC)  # 03:00 in Berlin


def test_a_day_that_is_left_out_is_made_up_for_once() -> None:
    """Samoa had no 30 December 2011: it went from the 29th to the 31st."""
    apia = ZoneInfo("Pacific/Apia")
    found = list(dues(at("00:00"), apia, datetime(2011, 12, 29, 12, tzinfo=UTC), datetime(2012, 1, 1, 12, tzinfo=UTC)))
    assert [due.astimezone(apia).date() for due in found] == [date(2011, 12, 31), date(2012, 1, 1), date(2012, 1, 2)]


def test_a_time_that_comes_twice_is_due_once_and_at_first() -> None:
    found = list(
        dues(at("02:30"), BERLIN, datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 25, 12, tzinfo=UTC))
    )
    assert found == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]


def test_every_five_minutes_goes_on_through_the_hour_that_comes_twice() -> None:
    rule = Cron("*/5 * * * *")
    found = list(dues(rule, BERLIN, datetime(2026, 10, 24, 23, 59, tzinfo=UTC), datetime(2026, 10, 25, 2, tzinfo=UTC)))
    assert len(found) == 25 and {b - a for a, b in pairwise(found)} == {timedelta(minutes=5)}


def test_the_last_day_the_nth_weekday_and_what_is_left_out() -> None:
    begin, end = datetime(2028, 1, 1, tzinfo=UTC), datetime(2028, 7, 1, tzinfo=UTC)
    last = [due.astimezone(BERLIN).day for due in dues(at("06:00", is_last=True), BERLIN, begin, end)]
    assert last == [31, 29, 31, 30, 31, 30]
    friday = dues(at("06:00", nth=frozenset({(-1, 5), (1, 1)})), BERLIN, begin, datetime(2028, 2, 29, tzinfo=UTC))
    assert [due.day for due in friday] == [3, 28, 7, 25]
    left_out = ((date(2028, 1, 2), date(2028, 1, 30)),)
    assert [due.day for due in islice(dues(at("06:00", left_out=left_out), BERLIN, begin), 3)] == [1, 31, 1]


def test_what_never_comes_ends() -> None:
    rule = at("06:00", months=frozenset({2}), days_of_month=frozenset({30}))
    assert list(dues(rule, BERLIN, BEGIN)) == [] and last_due(rule, BERLIN, BEGIN) is None


def _drawn(draw: random.Random) -> Rule:
    """A rule of any kind, some with days that are left out."""
    first = date(2025, 1, 1) + timedelta(days=draw.randrange(500))
    left_out = ((first, first + timedelta(days=draw.randrange(60))),) if draw.random() < 0.5 else ()
    if draw.random() < 0.4:
        anchor = datetime(2024, 12, 1, tzinfo=UTC) + timedelta(seconds=draw.randrange(86_400))
        return Every(draw.choice([90 * 60, 86_400, 5 * 86_400, 3_333.5]), anchor, left_out=left_out)
    times = tuple(time(draw.randrange(24), draw.randrange(60)) for _ in range(draw.randint(1, 4)))
    return AtTimes(times, Days(), is_elapsed=draw.random() < 0.3, left_out=left_out)


@pytest.mark.parametrize("seed", range(40))
def test_looking_in_two_halves_sees_what_one_look_sees_and_the_last_is_the_newest(seed: int) -> None:
    draw = random.Random(seed)
    zone = ZoneInfo(draw.choice(ZONES))
    rule = _drawn(draw)
    begin = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=draw.randrange(300 * 86_400))
    end = begin + timedelta(days=draw.randint(1, 200))
    middle = begin + (end - begin) * draw.random()
    whole = list(dues(rule, zone, begin, end))
    assert whole == [*dues(rule, zone, begin, middle), *dues(rule, zone, middle, end)]
    assert whole == sorted(set(whole)) and all(begin < due <= end for due in whole)
    assert last_due(rule, zone, end) == (whole[-1] if whole else last_due(rule, zone, begin))


def test_an_interval_counts_from_its_anchor_and_jumps_over_what_is_left_out() -> None:
    rule = Every(90 * 60, BEGIN, left_out=((date(2020, 1, 1), date(2027, 1, 1)),))
    assert next(dues(rule, BERLIN, BEGIN)) == datetime(2027, 1, 2, tzinfo=UTC)  # 01:00 in Berlin
    assert next(dues(Every(90 * 60, BEGIN), BERLIN, BEGIN - timedelta(days=9))) == BEGIN + timedelta(minutes=90)
    for_ever = Every(1, BEGIN, left_out=((date(2020, 1, 1), date(2199, 1, 1)),))
    assert next(dues(for_ever, BERLIN, BEGIN), None) is None


def test_one_moment_is_due_once() -> None:
    assert list(dues(Once(BEGIN), BERLIN, BEGIN - timedelta(days=1))) == [BEGIN]
    assert list(dues(Once(BEGIN), BERLIN, BEGIN)) == [] and last_due(Once(BEGIN), BERLIN, BEGIN) == BEGIN
