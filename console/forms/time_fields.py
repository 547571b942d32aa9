"""Times, days and dates as people write them, each refused with an example of how to write it."""

from __future__ import annotations

import re
from datetime import date, time
from typing import Any, Final

from django import forms

TIME: Final = re.compile(r"(\d{1,2})(?:[:.h](\d{2}))?\s*(am|pm)?(?![\w:.])", re.IGNORECASE | re.ASCII)
BETWEEN: Final = re.compile(r"(?:[\s,;]|and\b)*", re.IGNORECASE)
DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
MOST_TIMES: Final = 96
NOON: Final = 12
LAST: Final = ("last", "l")
DAYS: Final = range(1, 32)

LOCAL: Final = "%Y-%m-%dT%H:%M"
FORMATS: Final = [LOCAL, "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"]

Range = tuple[date, date]


class TimesField(forms.CharField):
    """Times of a day, in order: `06:00, 18:30`; also 6, 6 am and 6:30 pm."""

    def clean(self, value: Any) -> tuple[time, ...]:
        text = super().clean(value)
        return read_times(text) if text else ()


def read_times(text: str) -> tuple[time, ...]:
    """A ValidationError names the first thing that is no time."""
    found, place = set(), _skipped(text, 0)
    while place < len(text):
        match = TIME.match(text, place)
        moment = _time(match) if match else None
        if match is None or moment is None:
            wrong = re.split(r"[,;\s]", text[place:])[0] or text[place:]
            raise forms.ValidationError(f"“{wrong[:20]}” is no time of a day: write such as 06:00, 18:30.")
        found.add(moment)
        place = _skipped(text, match.end())
    if len(found) > MOST_TIMES:
        raise forms.ValidationError(
            f"These are {len(found)} times: more than {MOST_TIMES} are better set under “Every”."
        )
    return tuple(sorted(found))


def _skipped(text: str, place: int) -> int:
    match = BETWEEN.match(text, place)
    return match.end() if match else place


def _time(match: re.Match[str]) -> time | None:
    hour, minute, half = int(match[1]), int(match[2] or 0), (match[3] or "").lower()
    if half:
        if not 1 <= hour <= NOON:
            return None
        hour = hour % NOON + (NOON if half == "pm" else 0)
    return time(hour, minute) if hour < 24 and minute < 60 else None


class LocalField(forms.DateTimeField):
    """A time by the wall of the schedule's own zone."""

    def __init__(self, **options: Any) -> None:
        widget = forms.DateTimeInput(attrs={"class": "kc-input", "type": "datetime-local"}, format=LOCAL)
        super().__init__(**{"required": False, "widget": widget, "input_formats": FORMATS, **options})

    def to_python(self, value: Any) -> Any:
        """Without a zone: which one is meant stands in another field."""
        found = super().to_python(value)
        return found.replace(tzinfo=None) if found else None

    def prepare_value(self, value: Any) -> Any:
        return value


class DatesField(forms.CharField):
    """Days of a month as (numbers, whether the last day is among them): `1, 15, 20-25, last`."""

    def clean(self, value: Any) -> tuple[frozenset[int], bool]:
        text = super().clean(value)
        days: set[int] = set()
        is_last = False
        for part in filter(None, re.split(r"[\s,;]+|\band\b", re.sub(r"\s*-\s*", "-", text.lower()))):
            if part in LAST:
                is_last = True
            else:
                days.update(_days(part))
        return frozenset(days), is_last


def _days(part: str) -> range:
    match = re.fullmatch(r"(\d{1,2})\.?(?:-(\d{1,2})\.?)?", part, re.ASCII)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if first not in DAYS or last not in DAYS or last < first:
        raise forms.ValidationError(f"“{part[:20]}” is no day of a month: write such as 1, 15, 20-25 or last.")
    return range(first, last + 1)


class LeftOutField(forms.CharField):
    """Days on which nothing is due, one or a range a line: `2026-12-24 to 2026-12-26`."""

    def __init__(self, **options: Any) -> None:
        widget = forms.Textarea(attrs={"class": "kc-input", "rows": 2, "spellcheck": "false"})
        super().__init__(**{"required": False, "widget": widget, **options})

    def clean(self, value: Any) -> tuple[Range, ...]:
        lines = re.split(r"[\n,;]", super().clean(value))
        return tuple(_range(line.strip()) for line in lines if line.strip())


def _range(line: str) -> Range:
    found = DATE.findall(line)
    rest = DATE.sub("", line).strip(" -–/.").lower()
    try:
        days = [date.fromisoformat(text) for text in found]
    except ValueError as error:
        raise forms.ValidationError(f"“{line[:40]}” names a day that does not exist.") from error
    if len(days) not in (1, 2) or rest not in ("", "to", "until", "bis"):
        raise forms.ValidationError(f"“{line[:40]}” is no date: write 2026-12-24, or 2026-12-24 to 2026-12-26.")
    if days[-1] < days[0]:
        raise forms.ValidationError(f"“{line[:40]}” ends before it begins.")
    return days[0], days[-1]


def written_left_out(ranges: list[list[str]]) -> str:
    """Stored ranges as people edit them."""
    return "\n".join(first if first == last else f"{first} to {last}" for first, last in ranges)


def written_dates(days: list[int], *, is_last: bool) -> str:
    return ", ".join([*map(str, sorted(days)), *(["last"] if is_last else [])])
