"""The list of schedules: each as a sentence, with its last ticks, its next due time and how it stands."""

from __future__ import annotations

from calendar import Calendar
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from django.db.models import Q
from django.utils import timezone

from jobs.models import Schedule, Tick
from jobs.schedules.bars import last_ticks
from jobs.schedules.due import in_words, next_dues
from jobs.schedules.standing import ORDER, Standing, standing
from jobs.states import TickDecision

MOST: Final = 200
"""Schedules on one page, the troubled ones first."""
LOOKED_AT: Final = 2_000
OFTEN: Final = 8
"""More due times than this on one day are counted, and not told one by one."""
COUNTED: Final = 500
"""Due times of one schedule that a month is filled with at once."""
COUNTED_OF_DAY: Final = 300
"""What is due still more often on one day is not counted to the end."""
SPARE: Final = timedelta(days=1)
INSTANT: Final = timedelta(microseconds=1)
DISMISSIBLE: Final = frozenset({TickDecision.REFUSED, TickDecision.MISSED})
LOOKS: Final[dict[str, str]] = {
    TickDecision.DUE: "due",
    TickDecision.SKIPPED: "skipped",
    TickDecision.PAUSED: "skipped",
    TickDecision.DUPLICATE: "skipped",
    TickDecision.MISSED: "missed",
    TickDecision.REFUSED: "failed",
}
"""How a tick without a run is drawn."""


@dataclass(frozen=True)
class Bar:
    """One tick: `look` is a run's status, or due, skipped, missed, failed."""

    tick: Tick
    look: str

    @property
    def words(self) -> str:
        """What came of it, in one line."""
        decision = TickDecision(self.tick.decision).label
        if self.tick.run is None:
            return f"{decision}: {self.tick.reason}" if self.tick.reason else decision
        return f"{decision}, run #{self.tick.run_id} {self.tick.run.status}"

    @property
    def may_dismiss(self) -> bool:
        return self.tick.decision in DISMISSIBLE and self.tick.dismissed_at is None


@dataclass(frozen=True)
class Entry:
    """One schedule in the list."""

    schedule: Schedule
    sentence: str
    standing: Standing
    bars: list[Bar]
    next_at: datetime | None

    @property
    def last(self) -> Bar | None:
        return self.bars[-1] if self.bars else None


def bars_of(ticks: Iterable[Tick]) -> list[Bar]:
    return [Bar(tick, tick.run.status if tick.run else LOOKS.get(tick.decision, "skipped")) for tick in ticks]


def entry_of(schedule: Schedule, ticks: list[Tick], at: datetime) -> Entry:
    found = standing(schedule, ticks, at)
    upcoming = next_dues(schedule, 1, at)
    return Entry(schedule, in_words(schedule), found, bars_of(ticks), upcoming[0] if upcoming else None)


def found(search: str = "", *, pipeline: int | None = None) -> Sequence[Schedule]:
    """The schedules whose name, note, pipeline, project or owner hold all of these words."""
    rows = Schedule.objects.known().select_related("owner")
    for word in search.split()[:8]:
        named = ("periodic_task__name", "periodic_task__description", "pipeline__name", "pipeline__project__name")
        matches = Q(owner__username__icontains=word)
        for name in named:
            matches |= Q(**{f"{name}__icontains": word})
        rows = rows.filter(matches)
    if pipeline is not None:
        rows = rows.filter(pipeline=pipeline)
    return list(rows.order_by("periodic_task__name")[:LOOKED_AT])


def entries(schedules: Sequence[Schedule], at: datetime) -> list[Entry]:
    """What refuses and fails first, then what is due next."""
    ticks = last_ticks(schedules)
    rows = [entry_of(schedule, ticks[schedule.pk], at) for schedule in schedules]
    far = datetime.max.replace(tzinfo=UTC)
    return sorted(rows, key=lambda row: (ORDER[row.standing.state], row.next_at or far, row.schedule.name))


# ---- a month


@dataclass(frozen=True)
class Due:
    """A schedule on one day; `times` are told where they are few."""

    schedule: Schedule
    times: list[datetime]
    count: int

    @property
    def is_often(self) -> bool:
        return self.count > OFTEN

    @property
    def when(self) -> str:
        """As the calendar has room for it."""
        if self.is_often:
            return self.how_often
        return f"{self.times[0]:%H:%M}" + (f" +{self.count - 1}" if self.count > 1 else "")

    @property
    def title(self) -> str:
        all_of_them = ", ".join(f"{each:%H:%M}" for each in self.times)
        return f"{self.schedule.name}: {self.how_often if self.is_often else all_of_them}"

    @property
    def how_often(self) -> str:
        return f"{self.count} ×" if self.count < COUNTED_OF_DAY else f"{COUNTED_OF_DAY}+ ×"


@dataclass(frozen=True)
class Day:
    date: date
    is_of_month: bool
    is_today: bool
    dues: list[Due] = field(default_factory=list)

    @property
    def look(self) -> str:
        """Its classes."""
        facts = {"other": not self.is_of_month, "today": self.is_today, "empty": not self.dues}
        return " ".join(["kc-day", *(f"kc-day-{name}" for name, is_so in facts.items() if is_so)])


@dataclass(frozen=True)
class Month:
    """Weeks of days by the wall of the console's zone."""

    first: date
    weeks: list[list[Day]]
    zone: str

    @property
    def before(self) -> date:
        return (self.first - SPARE).replace(day=1)

    @property
    def after(self) -> date:
        return (self.first + 31 * SPARE).replace(day=1)


def month_asked(text: str, at: datetime) -> date:
    """`2026-12`, or the month that it is now."""
    try:
        asked = date.fromisoformat(f"{text}-01")
    except ValueError:
        return timezone.localtime(at).date().replace(day=1)
    return asked if 1970 < asked.year < 9000 else timezone.localtime(at).date().replace(day=1)


def month_of(schedules: Sequence[Schedule], first: date, at: datetime) -> Month:
    """What is due on each day from now on; what is past stands in the ticks."""
    zone = timezone.get_current_timezone()
    weeks = Calendar().monthdatescalendar(first.year, first.month)
    begin = datetime.combine(weeks[0][0], time(), zone).astimezone(UTC)
    end = datetime.combine(weeks[-1][-1] + SPARE, time(), zone).astimezone(UTC)
    by_day: dict[date, list[Due]] = {}
    for schedule in schedules:
        for day, times in _days_of(schedule, max(begin, at), end).items():
            by_day.setdefault(day, []).append(Due(schedule, times[:OFTEN], len(times)))
    today = timezone.localtime(at).date()
    days = [
        [Day(day, day.month == first.month, day == today, _sorted(by_day.get(day, []))) for day in week]
        for week in weeks
    ]
    return Month(first, days, str(zone))


def _days_of(schedule: Schedule, begin: datetime, end: datetime) -> dict[date, list[datetime]]:
    """Due times by day: of what is due too often to count through the month, a day at a time, and of each the first."""
    if begin >= end:
        return {}
    dues = next_dues(schedule, COUNTED, begin - INSTANT)
    found = _by_day(due for due in dues if due < end)
    if len(dues) < COUNTED or dues[-1] >= end:
        return found
    day = max(found)
    while (moment := datetime.combine(day, time(), timezone.get_current_timezone()).astimezone(UTC)) < end:
        day += SPARE
        found |= _by_day(next_dues(schedule, COUNTED_OF_DAY, max(begin, moment - INSTANT)))
    return {each: times for each, times in found.items() if each < timezone.localtime(end).date()}


def _by_day(dues: Iterable[datetime]) -> dict[date, list[datetime]]:
    found: dict[date, list[datetime]] = {}
    for due in dues:
        found.setdefault(timezone.localtime(due).date(), []).append(timezone.localtime(due))
    return found


def _sorted(dues: list[Due]) -> list[Due]:
    return sorted(dues, key=lambda due: (due.is_often, due.times[0]))
