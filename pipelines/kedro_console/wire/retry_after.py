"""How long an API asks to wait."""

from __future__ import annotations

from datetime import timezone
from email.utils import parsedate_to_datetime


def seconds_asked(header: str, now: float) -> float | None:
    """The wait that a Retry-After header asks for, given in seconds or as a date; None when it says neither."""
    text = header.strip()
    try:
        return max(0.0, min(float(text), 1e9)) if text[:1].isdigit() else max(0.0, _moment(text) - now)
    except (ValueError, TypeError, IndexError):
        return None


def _moment(date: str) -> float:
    found = parsedate_to_datetime(date)
    found = found if found.tzinfo else found.replace(tzinfo=timezone.utc)
    return found.timestamp()
