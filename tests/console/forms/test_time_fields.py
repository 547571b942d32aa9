"""Times, days and dates as people write them."""

from __future__ import annotations

from datetime import date, time

import pytest
from django.core.exceptions import ValidationError

from console.forms.time_fields import DatesField, LeftOutField, read_times


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("06:00", [time(6)]),
        ("6", [time(6)]),
        ("6:00, 18.30", [time(6), time(18, 30)]),
        ("6 am and 6:30 pm", [time(6), time(18, 30)]),
        ("12 am; 12 pm", [time(0), time(12)]),
        ("18:30 06:00 18:30", [time(6), time(18, 30)]),
    ],
)
def test_times_are_read_in_order(text: str, times: list[time]) -> None:
    assert list(read_times(text)) == times


@pytest.mark.parametrize("text", ["25:00", "6:60", "six", "06:00, later", "13 pm", "06:00:30", "٦"])
def test_what_is_no_time_is_named(text: str) -> None:
    with pytest.raises(ValidationError, match="is no time of a day: write such as 06:00, 18:30"):
        read_times(text)


def test_days_of_a_month() -> None:
    assert DatesField().clean("1, 15, 20 - 22, last") == (frozenset({1, 15, 20, 21, 22}), True)
    assert DatesField(required=False).clean("") == (frozenset(), False)
    for text in ("0", "32", "22-20", "first"):
        with pytest.raises(ValidationError, match="is no day of a month"):
            DatesField().clean(text)


def test_days_that_are_left_out() -> None:
    field = LeftOutField()
    assert field.clean("2026-12-24 to 2026-12-26\n2027-01-01") == (
        (date(2026, 12, 24), date(2026, 12, 26)),
        (date(2027, 1, 1), date(2027, 1, 1)),
    )
    for text, words in (
        ("24.12.2026", "is no date: write 2026-12-24"),
        ("2026-02-30", "names a day that does not exist"),
        ("2026-12-26 to 2026-12-24", "ends before it begins"),
    ):
        with pytest.raises(ValidationError, match=words):
            field.clean(text)
