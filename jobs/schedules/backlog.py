"""What becomes of due times that were not decided in time: the same answer for beat, for workers and for the editor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from jobs.models import Schedule
from jobs.states import Missed

ON_TIME: Final = timedelta(seconds=30)
"""Being this late is no outage: another beat takes over, or a worker is started again."""


@dataclass(frozen=True)
class Division:
    """Of some due times those that start a run, and those that are missed; both in order."""

    to_start: tuple[datetime, ...]
    to_miss: tuple[datetime, ...] = ()


def divided(dues: Sequence[datetime], *, missed: str, most: int, hours: int, at: datetime) -> Division:
    """What starts at `at` of these due times, the oldest first, of which none was decided yet.

    When the oldest is late, there was an outage, and the policy says which of them start. `hours` 0: however old.
    """
    if not dues or at - dues[0] <= ON_TIME:
        return Division(tuple(dues))
    if missed == Missed.NOTHING:
        chosen = [due for due in dues if at - due <= ON_TIME]
    elif missed == Missed.NEWEST:
        chosen = [dues[-1]]
    else:
        chosen = [due for due in dues if not hours or at - due <= timedelta(hours=hours)][-most:]
    there = set(chosen)
    return Division(tuple(chosen), tuple(due for due in dues if due not in there))


def divided_by(schedule: Schedule, dues: Sequence[datetime], at: datetime) -> Division:
    """The same by a schedule's own policy."""
    most, hours = schedule.missed_most, schedule.missed_hours
    return divided(dues, missed=schedule.missed, most=most, hours=hours, at=at)
