"""Rules as data: what is read is what was stored, and what is wrong is refused with what to write."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from jobs.schedules.dues import AtTimes, Cron, Days, Every, Once, Rule, Sun
from jobs.schedules.rules import RuleError, read_rule, stored

AT = datetime(2026, 3, 2, 6, tzinfo=UTC)
HOLIDAYS = ((date(2026, 12, 24), date(2026, 12, 26)), (date(2027, 1, 1), date(2027, 1, 1)))


@pytest.mark.parametrize(
    "rule",
    [
        Every(900, AT, left_out=HOLIDAYS),
        Cron("0 6 L * mon-fri"),
        Once(AT),
        Sun("sunrise", 52.5, 13.4),
        AtTimes((time(6), time(18, 30))),
        AtTimes((time(6, 0, 5),), Days(frozenset({1, 7}), frozenset({1}), frozenset({15}), True, frozenset({(-1, 5)}))),
        AtTimes((time(6),), Days(is_last=True), left_out=HOLIDAYS),
    ],
)
def test_what_is_stored_is_read_again(rule: Rule) -> None:
    assert read_rule(stored(rule)) == rule


def test_an_interval_without_an_anchor_counts_from_then() -> None:
    assert read_rule({"kind": "every", "seconds": 60}, at=AT) == Every(60, AT)
    assert read_rule({"kind": "days", "times": ["06:00"], "left_out": ["2026-12-24"]}) == AtTimes(
        (time(6),), left_out=((date(2026, 12, 24), date(2026, 12, 24)),)
    )


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (None, "Write which kind of rule it is: every, cron, once, sun, days."),
        ({"kind": "often"}, "Write which kind"),
        ({"kind": ["every"]}, "Write which kind"),
        ({"kind": "every"}, "needs “seconds”"),
        ({"kind": "every", "seconds": 60}, "needs an “anchor”"),
        ({"kind": "every", "seconds": float("nan"), "anchor": AT.isoformat()}, "from 1 to"),
        ({"kind": "every", "seconds": True, "anchor": AT.isoformat()}, "from 1 to"),
        ({"kind": "every", "seconds": 0.5, "anchor": AT.isoformat()}, "from 1 to"),
        ({"kind": "every", "seconds": 60, "period": "s"}, "knows no “period”: it has anchor, seconds."),
        ({"kind": "cron", "text": "H * * * *"}, "write a number from 0 to 59"),
        ({"kind": "once", "at": "tomorrow"}, "is a moment such as"),
        ({"kind": "once", "at": "2026-03-02T06:00:00"}, "needs its offset"),
        ({"kind": "once", "at": "9999-03-02T06:00:00+00:00"}, "lies between 1970 and 2199"),
        ({"kind": "sun", "event": "noon", "latitude": 1, "longitude": 1}, "write one of dawn_astronomical"),
        ({"kind": "sun", "event": "sunset", "latitude": 91, "longitude": 1}, "from -90 to 90"),
        ({"kind": "days", "times": []}, "needs “times”"),
        ({"kind": "days", "times": "06:00"}, "“times” is a list."),
        ({"kind": "days", "times": ["25:00"]}, "“25:00” is no time of the day"),
        ({"kind": "days", "times": ["06:00+01:00"]}, "hours and minutes alone"),
        ({"kind": "days", "times": ["06:00"], "weekdays": [0]}, "numbers from 1 to 7"),
        ({"kind": "days", "times": ["06:00"], "is_last": 1}, "true or false"),
        ({"kind": "days", "times": ["06:00"], "nth": [[6, 1]]}, "pairs of 1 to 5"),
        ({"kind": "days", "times": ["06:00"], "nth": [1]}, "pairs of 1 to 5"),
        ({"kind": "cron", "text": "0 6 * * *", "left_out": "never"}, "is a list"),
        ({"kind": "cron", "text": "0 6 * * *", "left_out": ["never"]}, "is a date such as"),
        ({"kind": "cron", "text": "0 6 * * *", "left_out": [["2026-01-02", "2026-01-01"]]}, "ends before that"),
        ({"kind": "cron", "text": "0 6 * * *", "left_out": [["2026-01-02", "9999-01-01"]]}, "lies between 1970"),
    ],
)
def test_what_is_wrong_is_said(data: Any, sentence: str) -> None:
    with pytest.raises(RuleError) as caught:
        read_rule(data)
    assert sentence in str(caught.value)
