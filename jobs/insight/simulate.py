"""Play out what is due: which run starts when, and which waits, is skipped or stands in another one's way.

Everything comes in by the arguments. Each run takes as long as it usually does, and every run succeeds.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Final

from jobs.states import Overlap

MOST_WAITING: Final = 500
"""With so many waiting it is not worth going on: more is due than can run."""
BACKFILL: Final = "backfill"
"""What starts past dates: beside these there is nothing wrong with a run."""
LONGEST_CHAIN: Final = 20
PATIENCE: Final = timedelta(seconds=60)
"""A shorter wait is no news."""


@dataclass(frozen=True)
class Line:
    """What is known of a pipeline: how long a run usually takes, where it runs, and what it writes over."""

    pipeline: int
    name: str
    usual: timedelta
    queue: str = "default"
    priority: int = 5
    overlap: str = Overlap.BOTH
    writes: Mapping[str, str] = field(default_factory=dict)
    """File → dataset; of one project."""


@dataclass(frozen=True)
class Due:
    """Something that is to start; `origin` is what starts it, such as ("schedule", 3)."""

    at: datetime
    pipeline: int
    origin: tuple[str, int]
    overlap: str = ""
    """Empty: the pipeline's."""
    is_sure: bool = True
    root: int = 0
    tick: datetime | None = None
    chain: int = 0


@dataclass(frozen=True)
class Follows:
    """A rule: after these (or all of these) that one starts; not sure where a condition decides."""

    rule: int
    sources: frozenset[int]
    target: int
    wants_all: bool = False
    by_tick: bool = False
    is_sure: bool = True


@dataclass
class Pool:
    """A worker: its free slots, and the queues that it hears."""

    free: int
    queues: frozenset[str]


@dataclass(frozen=True)
class Flag:
    """What is wrong with a run: overlap, collision, busy, nobody or quota; `other` is the pipeline in its way."""

    kind: str
    sentence: str
    other: int | None = None


@dataclass
class Foreseen:
    """One run as it would go; no start when it is skipped, or never gets a slot."""

    due: Due
    number: int
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    flags: list[Flag] = field(default_factory=list)
    pool: Pool | None = None

    @property
    def is_skipped(self) -> bool:
        return self.starts_at is None

    @property
    def wait(self) -> timedelta:
        return self.starts_at - self.due.at if self.starts_at else timedelta()


class Play:
    """The state between two moments; `run` plays them all."""

    def __init__(
        self, lines: Mapping[int, Line], follows: Iterable[Follows], pools: Sequence[Pool], until: datetime
    ) -> None:
        self.lines, self.pools, self.until = lines, pools, until
        self.follows: dict[int, list[Follows]] = defaultdict(list)
        for each in follows:
            for source in each.sources:
                self.follows[source].append(each)
        self.seen: list[Foreseen] = []
        self.is_flooded = False
        self._number = count()
        self._moments: list[tuple[datetime, int, int, Due | Foreseen]] = []
        self._active: dict[int, list[Foreseen]] = defaultdict(list)
        self._waiting: list[Foreseen] = []
        self._arrived: dict[tuple[int, object], set[int]] = defaultdict(set)

    def run(self, dues: Iterable[Due]) -> list[Foreseen]:
        """Every run that is due before the end, in the order in which they are due."""
        for due in dues:
            self._plan(due)
        while self._moments and not self.is_flooded:
            at, _, _, what = heapq.heappop(self._moments)
            if isinstance(what, Due):
                self._is_due(what)
            elif what.ends_at == at:  # it was not cancelled before
                self._ends(what, at)
            self._start_waiting(at)
            self.is_flooded = len(self._waiting) > MOST_WAITING
        for run in self._waiting:
            self._flag_never(run)
        return self.seen

    def _plan(self, due: Due) -> None:
        if due.at < self.until and due.pipeline in self.lines:
            heapq.heappush(self._moments, (due.at, 1, next(self._number), due))

    # ---- what is due

    def _is_due(self, due: Due) -> None:
        run = Foreseen(due, next(self._number))
        self.seen.append(run)
        line, older = self.lines[due.pipeline], self._active[due.pipeline]
        policy = due.overlap or line.overlap
        if older and (policy != Overlap.BOTH or self._is_too_long(older[0])):
            run.flags.append(Flag("overlap", self._of_overlap(line, policy), due.pipeline))
        if older and policy == Overlap.SKIP:
            return
        if policy == Overlap.CANCEL:
            for other in list(older):
                self._cancel(other, due.at)
        older.append(run)
        self._waiting.append(run)
        self._waiting.sort(key=lambda each: (self.lines[each.due.pipeline].priority, each.number))

    @staticmethod
    def _is_too_long(older: Foreseen) -> bool:
        """It takes longer than the time between the two; neither a past date, nor late for another reason."""
        return older.due.origin[0] != BACKFILL and older.starts_at is not None and older.wait <= PATIENCE

    @staticmethod
    def _of_overlap(line: Line, policy: str) -> str:
        does = {
            Overlap.SKIP: "it is skipped",
            Overlap.WAIT: "it waits",
            Overlap.CANCEL: "that one is cancelled",
            Overlap.BOTH: "both run",
        }
        usual = f"The run of {line.name} before it is still under way (usually {_words(line.usual)})"
        return f"{usual}: {does[Overlap(policy)]}."

    def _cancel(self, run: Foreseen, at: datetime) -> None:
        self._active[run.due.pipeline].remove(run)
        if run in self._waiting:
            self._waiting.remove(run)
        run.flags.append(Flag("overlap", "The next run cancels it.", run.due.pipeline))
        run.ends_at = at if run.starts_at else None
        self._free(run)

    # ---- what starts

    def _start_waiting(self, at: datetime) -> None:
        full: set[str] = set()
        for run in list(self._waiting):
            line = self.lines[run.due.pipeline]
            if line.queue in full or self._is_held(run, line):
                continue
            pool = next((pool for pool in self.pools if pool.free > 0 and line.queue in pool.queues), None)
            if pool is None and self.pools:
                full.add(line.queue)
                continue
            self._start(run, line, pool, at)

    def _is_held(self, run: Foreseen, line: Line) -> bool:
        """An older run of its pipeline, or one that writes the same file, goes first."""
        mine = self._active[run.due.pipeline]
        policy = run.due.overlap or line.overlap
        if policy in (Overlap.WAIT, Overlap.SKIP) and mine[0] is not run:
            return True
        if not line.writes:
            return False
        for other, runs in self._active.items():
            common = line.writes.keys() & self.lines[other].writes.keys()
            first = next((each for each in runs if each.number < run.number), None)
            if common and first is not None:
                self._flag_collision(run, other, line.writes[min(common)])
                return True
        return False

    def _flag_collision(self, run: Foreseen, other: int, dataset: str) -> None:
        if other == run.due.pipeline or any(flag.kind == "collision" for flag in run.flags):
            return
        sentence = f"It waits for {self.lines[other].name}, which writes {dataset} too."
        run.flags.append(Flag("collision", sentence, other))

    def _start(self, run: Foreseen, line: Line, pool: Pool | None, at: datetime) -> None:
        self._waiting.remove(run)
        if pool is not None:
            pool.free -= 1
        run.pool, run.starts_at, run.ends_at = pool, at, at + line.usual
        if run.wait > PATIENCE and not any(flag.kind in ("overlap", "collision") for flag in run.flags):
            sentence = f"It waits {_words(run.wait)} for a free slot of the queue {line.queue}."
            run.flags.append(Flag("busy", sentence))
        heapq.heappush(self._moments, (run.ends_at, 0, run.number, run))

    def _flag_never(self, run: Foreseen) -> None:
        line = self.lines[run.due.pipeline]
        if not any(line.queue in pool.queues for pool in self.pools):
            run.flags.append(Flag("nobody", f"No worker listens to the queue {line.queue}."))
        elif not run.flags:
            run.flags.append(Flag("busy", f"No slot of the queue {line.queue} is free before the end."))

    # ---- what ends

    def _ends(self, run: Foreseen, at: datetime) -> None:
        self._active[run.due.pipeline].remove(run)
        self._free(run)
        if run.due.chain < LONGEST_CHAIN:
            for each in self.follows[run.due.pipeline]:
                self._follow(each, run, at)

    def _follow(self, rule: Follows, run: Foreseen, at: datetime) -> None:
        root = run.due.root or run.number
        key = (rule.rule, run.due.tick if rule.by_tick else root)
        if rule.wants_all:
            self._arrived[key].add(run.due.pipeline)
            if self._arrived[key] != rule.sources:
                return
            del self._arrived[key]
        self._plan(
            Due(
                at,
                rule.target,
                ("rule", rule.rule),
                is_sure=rule.is_sure and run.due.is_sure,
                root=root,
                tick=run.due.tick,
                chain=run.due.chain + 1,
            )
        )

    @staticmethod
    def _free(run: Foreseen) -> None:
        if run.pool is not None:
            run.pool.free += 1
        run.pool = None


def collisions_of(runs: Iterable[Foreseen], origins: Collection[tuple[str, int]]) -> dict[datetime, list[Flag]]:
    """The flags of the runs that these origins start, by their due times."""
    return {run.due.at: run.flags for run in runs if run.due.origin in origins and run.flags}


def _words(span: timedelta) -> str:
    seconds = span.total_seconds()
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
