"""The windows of a quota in plain words: “10 requests per minute”, “1,000 rows per day in Europe/Berlin”."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from jobs.errors import RequestError
from jobs.models import Quota, Window
from jobs.models.quota import PERIODS

MOST: Final = 2_000_000_000
LONGEST_SECONDS: Final = 31 * 24 * 3600
SHAPE: Final = re.compile(
    r"(?P<allowed>\d[\d,_ ]*)\s+(?P<unit>request|row)s?\s+(?:per|every|a|an|in)\s+"
    r"(?P<count>\d+)?\s*(?:(?P<period>second|minute|hour)s?|(?P<day>(?:calendar )?day)(?:\s+in\s+(?P<zone>\S+))?)\.?",
    re.IGNORECASE,
)


class BadWindow(RequestError):
    """A line that cannot be understood as a window."""


def parse(text: str) -> list[Window]:
    """One window for each line that is not empty, unsaved; BadWindow with the line and what it should look like."""
    lines = [line.strip() for line in text.splitlines()]
    return [parse_line(line) for line in lines if line]


def parse_line(line: str) -> Window:
    found = SHAPE.fullmatch(line)
    if found is None:
        raise BadWindow(
            f"“{line[:100]}” is not understood: write “10 requests per minute”, “1 request per 2 seconds” "
            "or “1,000 rows per day in Europe/Berlin”."
        )
    allowed = int(re.sub(r"[,_ ]", "", found["allowed"])[:12])
    if not 1 <= allowed <= MOST:
        raise BadWindow(f"“{line[:100]}”: allow between 1 and {MOST:,}.")
    unit = Window.Unit(f"{found['unit'].lower()}s")
    if found["day"]:
        return Window(unit=unit, allowed=allowed, zone=_zone(found["count"], found["zone"], line))
    return Window(unit=unit, allowed=allowed, seconds=_seconds(found["count"], found["period"].lower(), line))


def _seconds(count: str | None, period: str, line: str) -> int:
    size = next(size for size, word in PERIODS if word == period)
    seconds = int((count or "1")[:9]) * size
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise BadWindow(f"“{line[:100]}”: a window lasts between 1 second and 744 hours.")
    return seconds


def _zone(count: str | None, zone: str | None, line: str) -> str:
    if count not in (None, "1"):
        raise BadWindow(f"“{line[:100]}”: a calendar day is one day; write {int(count) * 24} hours for a rolling one.")
    name = (zone or settings.TIME_ZONE).rstrip(".")
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, LookupError) as error:
        raise BadWindow(f"There is no time zone “{name[:64]}”: write one such as Europe/Berlin or UTC.") from error


def replace(quota: Quota, windows: list[Window]) -> None:
    """From now on these limit the quota; what was used counts in them, too."""
    with transaction.atomic():
        Quota.objects.select_for_update().get(pk=quota.pk)
        quota.windows.all().delete()
        for window in windows:
            window.quota = quota
        Window.objects.bulk_create(windows)


def in_words(windows: Iterable[Window]) -> str:
    """The other way round, a line for each."""
    return "\n".join(str(window) for window in windows)
