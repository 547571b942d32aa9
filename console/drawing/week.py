"""Days ahead on a line of time, a row for each pipeline, as percentages that the page draws."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from jobs.insight.ahead import Lane, Week
from jobs.insight.simulate import Foreseen
from jobs.models import Pipeline

NARROWEST: Final = 0.35
"""Percent: so that one can see and hit it."""
CLOSE: Final = 0.25
"""Bars of one look that are nearer to each other than this are drawn as one."""
DAY: Final = timedelta(days=1)


@dataclass
class Bar:
    """One run, or several that are too near to each other to be told apart; `look` is planned, maybe, flagged, skipped,
    wait, run or backfill."""

    left: float
    width: float
    look: str
    title: str
    count: int = 1

    @property
    def style(self) -> str:
        return f"left: {self.left}%; width: {self.width}%"

    @property
    def words(self) -> str:
        return self.title if self.count == 1 else f"{self.count} runs, the first: {self.title}"


@dataclass(frozen=True)
class Row:
    pipeline: Pipeline
    bars: list[Bar]
    runs: int
    flagged: int
    usual_seconds: float | None


@dataclass(frozen=True)
class Tick:
    """A midnight, or an hour of the one day that is shown."""

    left: float
    label: str
    day: str = ""


@dataclass(frozen=True)
class Chart:
    rows: list[Row]
    ticks: list[Tick]
    now: float


def chart(week: Week, begin: datetime, end: datetime, zone: ZoneInfo) -> Chart:
    """The part of the week between two moments; rows without a run in it are left out."""
    rows = [row for lane in week.lanes if (row := _row(lane, begin, end, zone)).runs]
    ticks = list(_ticks(begin, end, zone))
    return Chart(rows, ticks, _share(week.begin, begin, end) if begin <= week.begin <= end else -1)


def _row(lane: Lane, begin: datetime, end: datetime, zone: ZoneInfo) -> Row:
    shown = [run for run in lane.runs if _ends(run) > begin and run.due.at < end]
    bars: list[Bar] = []
    for run in shown:
        for bar in _bars(run, begin, end, zone):
            _add(bars, bar)
    return Row(lane.pipeline, bars, len(shown), sum(bool(run.flags) for run in shown), lane.usual_seconds)


def _ends(run: Foreseen) -> datetime:
    return run.ends_at or run.due.at + timedelta(seconds=1)


def _bars(run: Foreseen, begin: datetime, end: datetime, zone: ZoneInfo) -> Iterable[Bar]:
    """Its wait, where it has one, and itself."""
    if run.starts_at and run.starts_at - run.due.at > timedelta(seconds=60):
        yield _bar(run, "wait", (run.due.at, run.starts_at), (begin, end), zone)
    yield _bar(run, _look(run), (run.starts_at or run.due.at, _ends(run)), (begin, end), zone)


def _look(run: Foreseen) -> str:
    if run.is_skipped:
        return "skipped"
    if run.flags:
        return "flagged"
    origin = run.due.origin[0]
    if origin in ("run", "backfill"):
        return origin
    return "planned" if run.due.is_sure else "maybe"


def _bar(
    run: Foreseen, look: str, span: tuple[datetime, datetime], window: tuple[datetime, datetime], zone: ZoneInfo
) -> Bar:
    left, right = (min(100.0, max(0.0, _share(moment, *window))) for moment in span)
    width = max(NARROWEST, right - left)
    left = min(left, 100 - width)
    when = f"{run.due.at.astimezone(zone):%a %H:%M}"
    said = " ".join(flag.sentence for flag in run.flags)
    return Bar(round(left, 3), round(width, 3), look, f"{when} {said}".strip())


def _share(moment: datetime, begin: datetime, end: datetime) -> float:
    return 100 * ((moment - begin) / (end - begin))


def _add(bars: list[Bar], bar: Bar) -> None:
    last = bars[-1] if bars else None
    if last is None or last.look != bar.look or bar.left - (last.left + last.width) > CLOSE:
        bars.append(bar)
        return
    last.width = round(max(last.left + last.width, bar.left + bar.width) - last.left, 3)
    last.count += 1


def _ticks(begin: datetime, end: datetime, zone: ZoneInfo) -> Iterable[Tick]:
    """Midnights; within two days every third hour."""
    is_short = end - begin <= 2 * DAY
    day = begin.astimezone(zone).date()
    while (midnight := datetime.combine(day, time(), zone).astimezone(UTC)) < end:
        hours = range(0, 24, 3) if is_short else (0,)
        for hour in hours:
            moment = datetime.combine(day, time(hour), zone).astimezone(UTC)
            if begin <= moment < end:
                label = f"{moment.astimezone(zone):%H:%M}" if is_short else f"{day:%a %d %b}"
                yield Tick(round(_share(moment, begin, end), 3), label, "" if is_short else day.isoformat())
        day = (midnight.astimezone(zone) + DAY).date()
