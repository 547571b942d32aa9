"""What a schedule will do, before it is saved: its sentence, its next due times, and what stands in their way."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice, pairwise, takewhile
from typing import Final
from zoneinfo import ZoneInfo

from jobs.insight.ahead import collisions, foreseen_schedules
from jobs.insight.durations import usual
from jobs.insight.simulate import Flag
from jobs.models import Schedule
from jobs.schedules.backlog import divided
from jobs.schedules.due import MOMENT, counted, in_words, next_dues, rule_of
from jobs.schedules.dues import Every, walls
from jobs.states import Missed, Overlap
from jobs.structure.spoken import lasting

OUTAGE: Final = timedelta(hours=5)
HOUR: Final = timedelta(hours=1)
NOTHING: Final = timedelta(0)
NEAR: Final = timedelta(days=8)
"""Between due times that are further apart a change of the clocks surprises nobody."""
MOST_IN_OUTAGE: Final = 20_000
PLAYED: Final = 3
"""How many of the next due times are played out with all else that goes on then: each costs part of a second."""
FORESEEN: Final = frozenset({"collision", "busy", "quota"})
SHARED: Final = 2
"""What more due times than these have in common is told once."""
OTHERS: Final = 50
"""Schedules of the same pipeline that are looked at."""
SOON: Final = timedelta(days=400)
"""What is due later than this need not be compared."""


@dataclass(frozen=True)
class Proven:
    """One due time, and what is to be known of it: clocks, overlap, collision, busy or quota."""

    due_at: datetime
    flags: list[Flag] = field(default_factory=list)


@dataclass(frozen=True)
class Proof:
    """`outage` tells by policy what would come of a scheduler that is down for five hours, `overlap` of the runs that
    start together then; where these are none or one, of five hours without an outage."""

    sentence: str
    dues: list[Proven]
    usual_seconds: float | None = None
    outage: dict[str, str] = field(default_factory=dict)
    overlap: dict[str, str] = field(default_factory=dict)
    is_after_outage: bool = False

    @property
    def shared(self) -> list[tuple[int, Flag]]:
        """Flags that several due times have in common, with how many these are."""
        counts = Counter(flag for due in self.dues for flag in due.flags)
        return [(count, flag) for flag, count in counts.items() if count > SHARED]

    @property
    def alone(self) -> list[Proven]:
        """The due times with the flags that are not shared."""
        shared = {flag for _, flag in self.shared}
        return [Proven(due.due_at, [flag for flag in due.flags if flag not in shared]) for due in self.dues]


def prove(schedule: Schedule, *, at: datetime, count: int = 10) -> Proof:
    """By the functions that the scheduler itself asks; the schedule may be one that is not saved, and a pause is not
    counted."""
    times = list(islice(counted(schedule, at), count + 1))
    lately = usual(schedule.pipeline.pk) if schedule.pipeline else None
    seconds = lately.median if lately else None
    known = foreseen_schedules(schedule.pipeline) if schedule.pipeline and times else []
    others = _others(schedule, known, times[:count])
    in_the_way = _in_the_way(schedule, known, times[:count], at)
    proven = [
        Proven(due, [*_of_clocks(schedule, times[place - 1] if place else at, due), *_overlap(times, place, seconds),
                     *_collisions(due, others, seconds), *in_the_way.get(due, [])])
        for place, due in enumerate(times[:count])
    ]  # fmt: skip
    if not times:
        return Proof(in_words(schedule), proven, seconds)
    missed = _missed(schedule, times[0])
    made_up = _made_up(schedule, schedule.missed, missed)
    starts = [missed[-1]] * len(made_up) if len(made_up) > 1 else missed if seconds else []
    outage, overlap = outage_outcomes(schedule, missed), overlap_outcomes(starts, seconds)
    return Proof(in_words(schedule), proven, seconds, outage, overlap, is_after_outage=len(made_up) > 1)


# ---- clocks


def _of_clocks(schedule: Schedule, before: datetime, due: datetime) -> list[Flag]:
    """Whether the clocks move this due time, or changed since the one before it."""
    zone, rule = ZoneInfo(schedule.zone), rule_of(schedule)
    wall = walls(rule) if rule else None
    local = due.astimezone(zone)
    is_set = wall is not None and not wall.is_elapsed
    if wall and is_set and local.time().replace(microsecond=0) not in wall.times:
        return [Flag("clocks", f"The clocks leave out its time: it is due at the first moment after, {local:%H:%M}.")]
    shift = (local.utcoffset() or NOTHING) - (before.astimezone(zone).utcoffset() or NOTHING)
    if not shift or due - before > NEAR:
        return []
    turned = f"The clocks go {'forward' if shift > NOTHING else 'back'} before this one"
    if is_set:
        return [Flag("clocks", f"{turned}: still {local:%H:%M} by the wall, {due:%H:%M} UTC.")]
    if isinstance(rule, Every) and due - before >= HOUR:
        return [Flag("clocks", f"{turned}: {local:%H:%M} by the wall, as an interval follows elapsed time.")]
    return [Flag("clocks", f"{turned}.")]


# ---- others


def _overlap(times: Sequence[datetime], place: int, seconds: float | None) -> list[Flag]:
    if seconds is None or place + 1 >= len(times):
        return []
    gap = (times[place + 1] - times[place]).total_seconds()
    if gap >= seconds:
        return []
    return [Flag("overlap", f"Its usual {lasting(seconds)} overlap the next one, {lasting(gap)} later.")]


def _others(
    schedule: Schedule, known: Sequence[Schedule], times: Sequence[datetime]
) -> list[tuple[str, list[datetime]]]:
    """The other schedules of the same pipeline, and when they are due around these times."""
    if schedule.pipeline is None or not times:
        return []
    rows = [row for row in known if row.pipeline_id == schedule.pipeline.pk and row.pk != schedule.pk]
    begin, end = times[0] - HOUR, min(times[-1], times[0] + SOON) + HOUR
    found = []
    for row in rows[:OTHERS]:
        near = takewhile(lambda due: due <= end, next_dues(row, len(times) * OTHERS, begin))
        found.append((row.name, list(near)))
    return found


def _in_the_way(
    schedule: Schedule, known: Sequence[Schedule], times: Sequence[datetime], at: datetime
) -> dict[datetime, list[Flag]]:
    """Files that another pipeline writes, slots that are busy, and quotas that fall short, as the week ahead has it."""
    if schedule.pipeline is None:
        return {}
    soon, own = times[:PLAYED], schedule.pk
    found = collisions(schedule.pipeline, soon, at, own=own, overlap=schedule.overlap, schedules=known)
    return {due: [flag for flag in flags if flag.kind in FORESEEN] for due, flags in found.items()}


def _collisions(due: datetime, others: Sequence[tuple[str, list[datetime]]], seconds: float | None) -> list[Flag]:
    reach = timedelta(seconds=seconds or 60)
    flags = []
    for name, times in others:
        near = min(times, key=lambda other: abs(other - due), default=None)
        if near is not None and abs(near - due) < reach:
            when = (
                "at the same time"
                if near == due
                else f"{lasting(abs(near - due).total_seconds())} " + ("later" if near > due else "earlier")
            )
            flags.append(Flag("collision", f"The schedule “{name}” starts the same pipeline {when}."))
    return flags


# ---- an outage


def _missed(schedule: Schedule, first: datetime) -> list[datetime]:
    """What would be due in five hours that begin with this due time."""
    end = first + OUTAGE
    following = takewhile(lambda due: due < end, counted(schedule, first - MOMENT))
    return list(islice(following, MOST_IN_OUTAGE))


def _made_up(schedule: Schedule, missed: str, times: Sequence[datetime]) -> Sequence[datetime]:
    most, hours, back = schedule.missed_most, schedule.missed_hours, times[0] + OUTAGE
    return divided(times, missed=missed, most=most, hours=hours, at=back).to_start


def outage_outcomes(schedule: Schedule, times: Sequence[datetime]) -> dict[str, str]:
    """By missed policy: how many runs start when the scheduler is back, of how many that were due."""
    counts = {policy.value: len(_made_up(schedule, policy.value, times)) for policy in Missed}
    return {policy: f"{_runs(count)} instead of {len(times):,}" for policy, count in counts.items()}


def overlap_outcomes(starts: Sequence[datetime], seconds: float | None) -> dict[str, str]:
    """By overlap policy: what comes of runs that are to start at these moments and last so long; {} where none meet."""
    lasts = timedelta(seconds=seconds) if seconds else timedelta(seconds=1)
    met = sum(later - earlier < lasts for earlier, later in pairwise(starts))
    if not met:
        return {}
    count, skipped, waits = len(starts), _skipped(starts, lasts), _waits(starts, lasts)
    waiting = f", the last waits {lasting(waits.total_seconds())}" if seconds else ""
    return {
        Overlap.BOTH: f"all {count:,} run, up to {_together(starts, lasts):,} at once",
        Overlap.WAIT: f"all {count:,} run one after the other{waiting}",
        Overlap.SKIP: f"{_runs(count - skipped)}, {skipped:,} skipped",
        Overlap.CANCEL: f"{_runs(count - met)} to the end, {met:,} cancelled",
    }


def _skipped(starts: Sequence[datetime], lasts: timedelta) -> int:
    skipped, free = 0, starts[0]
    for start in starts:
        if start < free:
            skipped += 1
        else:
            free = start + lasts
    return skipped


def _waits(starts: Sequence[datetime], lasts: timedelta) -> timedelta:
    """How long the last one waits for its turn."""
    free = starts[0]
    for start in starts:
        begin = max(start, free)
        free = begin + lasts
    return begin - starts[-1]


def _together(starts: Sequence[datetime], lasts: timedelta) -> int:
    ends: deque[datetime] = deque()
    most = 0
    for start in starts:
        while ends and ends[0] <= start:
            ends.popleft()
        ends.append(start + lasts)
        most = max(most, len(ends))
    return most


def _runs(count: int) -> str:
    return f"{count:,} {'run' if count == 1 else 'runs'}"
