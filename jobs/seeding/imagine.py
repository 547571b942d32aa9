"""A believable run at a moment: why it began, how long it took and how it ended; the same for the same seed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Final

from jobs.seeding.habits import Habit, Mode
from jobs.states import Cause, NodeStatus, Status

PEOPLE: Final = ("mara", "olof", "priya", "tomas")
WORKERS: Final = ("celery@seeded-1", "celery@seeded-2", "celery@seeded-3")
CAUSES: Final = ((Cause.SCHEDULE, 60), (Cause.MANUAL, 20), (Cause.API, 15), (Cause.RULE, 5))
ENDS: Final = ((Status.SUCCEEDED, 925), (Status.FAILED, 45), (Status.CANCELLED, 15), (Status.CRASHED, 15))
CRASHED: Final = "The process was ended by SIGKILL (signal 9)"
TRIED_AGAIN: Final = 0.03
GONE_ON: Final = 0.4
"""The share of failed runs that somebody starts once more."""
OUTLIERS: Final = 0.01
MODE_DAYS: Final = 3
"""For so many days one failure of a pipeline is the common one."""


@dataclass(slots=True)
class Attempt:
    """A step once: `places` are those of its nodes."""

    position: int
    number: int
    places: Sequence[int]
    status: Status
    started_at: datetime
    finished_at: datetime
    worker: str
    error: str = ""


@dataclass(slots=True)
class NodeTold:
    """What is known of one node: no start for one that never began."""

    place: int
    status: NodeStatus
    attempts: int = 1
    started_at: datetime | None = None
    seconds: float = 0.0
    mode: Mode | None = None


@dataclass(slots=True)
class Imagined:
    """A run with its steps and nodes; `again` is the key of the run that it repeats."""

    habit: Habit
    created_at: datetime
    started_at: datetime
    finished_at: datetime
    status: Status
    cause: Cause
    by: str = ""
    error: str = ""
    again: int | None = None
    is_resumption: bool = False
    attempts: list[Attempt] = field(default_factory=list)
    nodes: list[NodeTold] = field(default_factory=list)

    @property
    def done(self) -> int:
        return sum(node.status in (NodeStatus.SUCCEEDED, NodeStatus.REUSED) for node in self.nodes)


def moments(count: int, begin: datetime, end: datetime, random: Random) -> Iterator[datetime]:
    """This many moments in order, more by day than by night."""
    days = (end - begin) / timedelta(days=1)
    for number in range(count):
        day, part = divmod((number + random.random()) / count * days, 1)
        yield begin + timedelta(days=day + part - 0.6 * math.sin(2 * math.pi * part) / (2 * math.pi))


class Imagination:
    """Runs one after another; some repeat one that failed before."""

    def __init__(self, habits: Sequence[Habit], random: Random) -> None:
        self._habits, self._random = habits, random
        self._weights = list(accumulate(habit.weight for habit in habits))
        self._failed: dict[int, tuple[int, list[NodeTold]]] = {}

    def run(self, number: int, at: datetime) -> Imagined:
        """The run of that key; the times of its nodes follow one another."""
        random = self._random
        habit = random.choices(self._habits, cum_weights=self._weights)[0]
        cause = random.choices([cause for cause, _ in CAUSES], [weight for _, weight in CAUSES])[0]
        end = random.choices([end for end, _ in ENDS], [weight for _, weight in ENDS])[0]
        started_at = at + timedelta(seconds=0.02 + random.expovariate(4))
        told = Imagined(habit, at, started_at, started_at, end, cause)
        if cause in (Cause.MANUAL, Cause.API):
            told.by = random.choice(PEOPLE)
        failed = self._failed.pop(habit.pipeline.pk, None)
        if failed and random.random() < GONE_ON:
            told.again, told.cause, told.by = failed[0], Cause.RETRY, random.choice(PEOPLE)
            told.is_resumption = random.random() < 0.5
        self._work(told, failed[1] if failed and told.is_resumption else [])
        if told.status in (Status.FAILED, Status.CRASHED):
            self._failed[habit.pipeline.pk] = (number, told.nodes)
        return told

    def _work(self, told: Imagined, before: Sequence[NodeTold]) -> None:
        random, habit = self._random, told.habit
        pace = random.lognormvariate(0, 0.12) * (6 if random.random() < OUTLIERS else 1)
        mode = self._mode(habit, told.created_at)
        stop = None if told.status == Status.SUCCEEDED else mode.place
        reused = {node.place for node in before if node.status in (NodeStatus.SUCCEEDED, NodeStatus.REUSED)}
        at, is_over = told.started_at, False
        for position, places in enumerate(habit.groups):
            todo = [place for place in places if place not in reused]
            told.nodes += [NodeTold(place, NodeStatus.REUSED, 0) for place in places if place in reused]
            if is_over:
                told.nodes += [NodeTold(place, NodeStatus.BLOCKED, 0) for place in todo]
                continue
            if todo:
                at, is_over = self._step(told, position, todo, at, pace, mode if stop in todo else None)
        if told.status != Status.SUCCEEDED and not is_over:
            told.status, told.error = Status.SUCCEEDED, ""  # where it would have failed is what it takes over
        told.finished_at = max(at, told.started_at) + timedelta(milliseconds=random.randint(3, 20))

    def _mode(self, habit: Habit, at: datetime) -> Mode:
        usual = habit.modes[at.toordinal() // MODE_DAYS % len(habit.modes)]
        return usual if self._random.random() < 0.7 else self._random.choice(habit.modes)

    def _step(
        self, told: Imagined, position: int, places: Sequence[int], at: datetime, pace: float, mode: Mode | None
    ) -> tuple[datetime, bool]:
        """Its last attempt, and before it, now and then, one that failed; when it ended and whether the run did."""
        worker, number = self._random.choice(WORKERS), 1
        if mode is None and self._random.random() < TRIED_AGAIN:
            lost = at + timedelta(seconds=1.5 * pace)
            sentence = f"Node {told.habit.nodes[places[0]].name}: ConnectionError: {told.habit.modes[0].message}"
            told.attempts.append(Attempt(position, 1, places, Status.FAILED, at, lost, worker, sentence))
            at, number = lost + timedelta(seconds=10), 2
        begun, is_over = at, False
        for place in places:
            if is_over:
                told.nodes.append(NodeTold(place, NodeStatus.BLOCKED, 0))
                continue
            seconds = round(told.habit.seconds[place] * pace * self._random.uniform(0.9, 1.1), 3)
            is_over = mode is not None and place == mode.place
            node = NodeStatus(told.status) if is_over else NodeStatus.SUCCEEDED
            told.nodes.append(NodeTold(place, node, number, at, seconds, mode if is_over else None))
            at += timedelta(seconds=seconds)
        if is_over and mode:
            told.error = self._sentence(told, mode)
        status = told.status if is_over else Status.SUCCEEDED
        told.attempts.append(Attempt(position, number, places, status, begun, at, worker, told.error))
        return at, is_over

    def _sentence(self, told: Imagined, mode: Mode) -> str:
        if told.status == Status.CRASHED:
            return f"{CRASHED} while {mode.node} ran."
        if told.status == Status.CANCELLED:
            return f"Cancelled by {self._random.choice(PEOPLE)} while {mode.node} ran."
        return mode.sentence
