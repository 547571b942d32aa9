"""A rule's sentence: true of its due times, and another one for every rule that is due at other times."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from jobs.schedules.dues import AtTimes, Cron, Days, Every, Once, Rule, dues
from jobs.schedules.words import sentence

BERLIN = ZoneInfo("Europe/Berlin")
CHRISTMAS = ((date(2026, 12, 24), date(2026, 12, 26)), (date(2027, 1, 1), date(2027, 1, 1)))


def at(*times: str) -> tuple[time, ...]:
    return tuple(time.fromisoformat(each) for each in times)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Cron("0 6 * * *"), "Every day at 06:00, Europe/Berlin"),
        (Cron("0 6 * * mon-fri"), "Monday to Friday at 06:00, Europe/Berlin"),
        (Cron("0 9 * * 7"), "Sunday at 09:00, Europe/Berlin"),
        (Cron("*/15 8-18 * * 1-5"), "Every 15 minutes from 08:00 to 18:45, Monday to Friday, Europe/Berlin"),
        (Cron("*/15 * * * *"), "Every 15 minutes, Europe/Berlin"),
        (Cron("30 * * * *"), "Every hour at 30 minutes past, Europe/Berlin"),
        (Cron("0 6 15,L * *"), "On the 15th and last day of each month at 06:00, Europe/Berlin"),
        (Cron("0 6 * * fri#2"), "On the second Friday of each month at 06:00, Europe/Berlin"),
        (Cron("0 6 13 * 5"), "On the 13th of each month, if that is Friday, at 06:00, Europe/Berlin"),
        (Cron("0 6 1 jan,apr,jul,oct *"), "On the 1st of January, April, July and October, at 06:00, Europe/Berlin"),
        (AtTimes(at("06:00", "18:30"), Days(weekdays=frozenset({6, 7}))),
         "Saturday and Sunday at 06:00 and 18:30, Europe/Berlin"),
        (AtTimes(at("06:00:30")), "Every day at 06:00:30, Europe/Berlin"),
        (Cron("0 6 * * *", left_out=CHRISTMAS),
         "Every day at 06:00, but not on 24 December 2026 to 26 December 2026 and 1 January 2027, Europe/Berlin"),
        (Every(5400, datetime(2026, 1, 1, tzinfo=UTC)), "Every 90 minutes"),
        (Every(86400, datetime(2026, 1, 1, tzinfo=UTC)), "Every 24 hours"),
        (Every(7 * 86400, datetime(2026, 1, 1, tzinfo=UTC)), "Every 7 days of 24 hours"),
        (Once(datetime(2026, 12, 1, 5, 0, tzinfo=UTC)), "Once, on Tuesday 1 December 2026 at 06:00, Europe/Berlin"),
    ],
)  # fmt: skip
def test_a_rule_is_a_sentence(rule: Rule, words: str) -> None:
    assert sentence(rule, BERLIN) == words


def any_rule(chance: random.Random) -> AtTimes:
    """Close relatives of each other: what differs between them is little."""
    times = frozenset(
        time(chance.choice((0, 6, 8, 9, 18)), chance.choice((0, 0, 30))) for _ in range(chance.randint(1, 3))
    )
    if chance.random() < 0.3:
        step, begin = chance.choice((15, 20, 30, 60, 7)), chance.choice((0, 0, 5))
        hours = chance.choice((range(24), range(8, 19), (6, 7, 9)))
        times = frozenset(time(hour, minute) for hour in hours for minute in range(begin, 60, step))
    days = Days(
        months=frozenset(chance.sample(range(1, 13), chance.choice((12, 12, 4, 1)))),
        weekdays=frozenset(chance.sample(range(1, 8), chance.choice((0, 0, 1, 5)))),
        days_of_month=frozenset(chance.sample(range(1, 32), chance.choice((0, 0, 1, 4)))),
        is_last=chance.random() < 0.2,
        nth=frozenset({(chance.choice((1, 2, -1)), chance.randint(1, 7))}) if chance.random() < 0.2 else frozenset(),
    )
    return AtTimes(tuple(sorted(times)), days)


def test_rules_with_the_same_sentence_are_due_at_the_same_times() -> None:
    chance, seen = random.Random(7), {}
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(400):
        rule = any_rule(chance)
        words = sentence(rule, BERLIN)
        fires = tuple(dues(rule, BERLIN, begin, begin + timedelta(days=70)))
        assert seen.setdefault(words, fires) == fires, words
    assert len(seen) > 300


@pytest.mark.parametrize("minutes", [5, 7, 10, 45, 61, 90])
def test_a_distance_is_only_told_where_all_times_keep_it(minutes: int) -> None:
    times = tuple(time(each // 60, each % 60) for each in range(0, 24 * 60, minutes))
    words = sentence(AtTimes(times), BERLIN)
    gaps = {
        later - earlier for earlier, later in zip(range(0, 1440, minutes), range(minutes, 1440, minutes), strict=False)
    }
    is_round = 1440 % minutes == 0
    assert gaps == {minutes}
    assert (words == f"Every {minutes} minutes, Europe/Berlin") is is_round
    assert is_round or " from 00:00 to " in words
