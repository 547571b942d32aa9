"""Months of schedules in moments: the clock is driven, leaders are killed and stopped, people edit and pause.

What must have happened is computed beside it, from what was asked for alone: which rule held from when until when,
when a schedule was paused, and when nobody decided.
"""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Min

from jobs.models import Pipeline, Run, Schedule, Tick
from jobs.schedules.backlog import ON_TIME, divided
from jobs.schedules.decide import decide
from jobs.schedules.due import next_dues
from jobs.schedules.dues import AtTimes, Cron, Days, Every, Rule, dues
from jobs.schedules.edit import Wanted, create, edit, wanted_of
from jobs.schedules.lead import LEASE_SECONDS, Leader, LeadLost
from jobs.schedules.rules import stored
from jobs.schedules.start import begin
from jobs.schedules.switch import pause, resume
from jobs.states import Missed, Status, TickDecision

ZONES = (
    *("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"),
    *("Asia/Kolkata", "America/Sao_Paulo", "Pacific/Auckland"),
)
SECOND = timedelta(seconds=1)
D = TickDecision
DECIDED = {D.STARTED, D.MADE_UP, D.PAUSED, D.MISSED}


class Killed(Exception):
    """A leader dies in the middle of what it writes."""


class Mortal(Leader):
    """It dies within its transaction when it is told to."""

    dies = False

    def insist(self, at: datetime) -> int:
        token = super().insist(at)
        if self.dies:
            raise Killed
        return token


@dataclass
class Asked:
    """What people asked of one schedule, in the order in which they did."""

    schedule: Schedule
    rules: list[tuple[datetime, Rule]]
    """From when on which rule holds."""
    pauses: list[tuple[datetime, datetime | None]] = field(default_factory=list)

    @property
    def acts(self) -> list[datetime]:
        """When people did something to it, or a pause ended."""
        return [*(since for since, _ in self.rules), *(each for pair in self.pauses for each in pair if each)]

    def is_paused(self, at: datetime) -> bool:
        return any(since <= at and (until is None or at < until) for since, until in self.pauses)

    def dues(self, zone: ZoneInfo, end: datetime) -> list[datetime]:
        ends = [*(since for since, _ in self.rules[1:]), end]
        spans = zip(self.rules, ends, strict=True)
        return sorted({due for (since, rule), until in spans for due in dues(rule, zone, since, until)})


class Simulation:
    """From `begin` on, with a seed that decides all that is left to chance."""

    def __init__(self, pipeline: Pipeline, begin: datetime, *, seed: int, schedules: int, busy: float = 0.1) -> None:
        self.draw, self.at, self.pipeline = random.Random(seed), begin, pipeline
        self.clock = 0.0
        self.kills = self.fenced = self.lost = 0
        self.outages: list[tuple[datetime, datetime]] = []
        self.leader = self._leader()
        self.stopped: list[Mortal] = []
        self.asked = [self._schedule(number, busy) for number in range(schedules)]

    def _leader(self) -> Mortal:
        return Mortal(f"beat {self.draw.random()}", lambda: self.clock)

    def _schedule(self, number: int, busy: float) -> Asked:
        rule = self._rule(is_busy=number < busy * 50)
        wanted = Wanted(
            name=f"schedule {number}",
            pipeline=self.pipeline,
            rule=rule,
            zone=ZONES[number % len(ZONES)],
            missed=list(Missed)[number % 3],
            missed_most=self.draw.randint(1, 5),
            missed_hours=self.draw.choice([0, 12, 100]),
        )
        return Asked(create(wanted, at=self.at), [(self.at, rule)])

    def _rule(self, *, is_busy: bool = False) -> Rule:
        draw = self.draw
        if is_busy:
            return draw.choice([Cron("30 */6 * * *"), Cron("15 2 * * *"), Every(9 * 3600 + 7, self.at)])
        moment = time(draw.randrange(24), draw.randrange(60))
        day = self.at.date() + timedelta(days=draw.randrange(200))
        left_out: tuple[tuple[date, date], ...] = ((day, day + timedelta(days=draw.randrange(20))),)
        half = frozenset(draw.sample(range(1, 13), 6))
        return draw.choice(
            [
                AtTimes(
                    (moment,),
                    Days(weekdays=frozenset({draw.randint(1, 7)}), months=frozenset({draw.randint(1, 12), 3})),
                    left_out=left_out,
                ),
                AtTimes((moment, time(2, 30)), Days(is_last=True, months=half)),
                AtTimes((moment,), Days(nth=frozenset({(-1, draw.randint(1, 7))}), months=half)),
                Cron(f"{moment.minute} 2 {draw.randint(1, 31)} */2 *"),
                Cron(f"{moment.minute} {moment.hour} L */2 *", left_out=left_out),
                Every(draw.randint(10, 60) * 86_400 + draw.randrange(86_400), self.at),
            ]
        )

    # ---- what happens

    def run(self, end: datetime, events: int, kills: int) -> None:
        """Until the end; so many acts of people and faults, and kills, at moments drawn from all of it."""
        seconds = (end - self.at).total_seconds()
        acts = [self._edit, self._pause, self._resume, self._outage, self._no_worker, self._set_back, self._stop]
        planned = [(self.draw.random() * seconds, self.draw.choice(acts)) for _ in range(events)]
        planned += [(self.draw.random() * seconds, self._kill) for _ in range(kills)]
        start = self.at
        for moment, act in sorted(planned, key=lambda pair: pair[0]):
            self._until(start + timedelta(seconds=moment))
            act()
        self._until(end)

    def _until(self, end: datetime) -> None:
        """The leader wakes when something is due, and so does a worker."""
        while self.at < end:
            due = _soonest(end)
            self._go_to(max(self.at, due) if due else end)
            self._look()
            if due is None:
                return

    def _go_to(self, at: datetime) -> None:
        self.clock += max(0.0, (at - self.at).total_seconds())
        self.at = max(self.at, at)

    def _look(self, *, workers: bool = True) -> None:
        self._lead()
        decide(self.leader, self.at)
        if workers:
            self._work()

    def _lead(self) -> None:
        """Whoever leads goes on; a new one waits until the lease of the dead one has ended."""
        for _ in range(3):
            if self.leader.turn(self.at):
                return
            self._go_to(self.at + timedelta(seconds=LEASE_SECONDS + 0.1))
        raise AssertionError("nobody leads")

    def _work(self) -> None:
        for tick in Tick.objects.waiting().order_by("due_at", "pk"):
            if self.draw.random() < 0.1:
                self.lost += 1  # the message came twice, or was lost and is told again
                begin(tick.pk, self.at)
            begin(tick.pk, self.at)
        Run.objects.filter(status=Status.QUEUED).update(status=Status.SUCCEEDED, finished_at=self.at)

    def _kill(self) -> None:
        """Within a transaction that decides, or between two."""
        self.kills += 1
        soonest = _soonest(self.at + timedelta(hours=6))
        if soonest:
            self._go_to(soonest)
            self._lead()
            self.leader.dies = True
            with suppress(Killed):
                decide(self.leader, self.at)
        self.leader = self._leader()

    def _stop(self) -> None:
        """Stopped for longer than its lease; what it decides when it goes on is refused."""
        stopped, self.leader = self.leader, self._leader()
        self._go_to(self.at + timedelta(seconds=LEASE_SECONDS + 1))
        self._look()
        Schedule.objects.filter(pk=self.asked[0].schedule.pk, next_look_at__isnull=False).update(next_look_at=self.at)
        if stopped.lead:
            try:
                decide(stopped, self.at)
            except LeadLost:
                self.fenced += 1
        self._look()

    def _outage(self) -> None:
        begun = self.at
        self.leader.give_back()
        self._go_to(self.at + timedelta(hours=self.draw.randint(1, 60)))
        if self.draw.random() < 0.3:
            self._edit()
        self.outages.append((begun, self.at))
        self._look()

    def _no_worker(self) -> None:
        """Due times are decided and nobody starts them."""
        begun, end = self.at, self.at + timedelta(hours=self.draw.randint(1, 60))
        while soonest := _soonest(end):
            self._go_to(soonest)
            self._look(workers=False)
        self._go_to(end)
        self.outages.append((begun, self.at))
        self._work()

    def _set_back(self) -> None:
        """The clock goes back for a while, and forward again."""
        now = self.at
        for minutes in sorted(self.draw.randrange(180) for _ in range(3)):
            self.at = now - timedelta(minutes=180 - minutes)
            self._look()
        self.at = now

    def _edit(self) -> None:
        asked = self.draw.choice(self.asked)
        rule = self._rule()
        if next_dues(replace_rule(asked.schedule, rule), 1, self.at):
            edit(asked.schedule, replace(wanted_of(asked.schedule), rule=rule), at=self.at)
            asked.rules.append((self.at, rule))

    def _pause(self) -> None:
        asked = self.draw.choice(self.asked)
        if asked.is_paused(self.at):
            return
        until = self.at + timedelta(days=self.draw.randint(1, 40)) if self.draw.random() < 0.5 else None
        pause(asked.schedule, at=self.at, by="ann", until=until)
        asked.pauses.append((self.at, until))

    def _resume(self) -> None:
        for asked in self.asked:
            if asked.pauses and asked.is_paused(self.at):
                resume(asked.schedule, at=self.at, by="ann")
                asked.pauses[-1] = (asked.pauses[-1][0], self.at)
                return

    # ---- what must have happened

    def faults(self) -> list[str]:
        """Everything that is not as it must be, in words; nothing when all is."""
        found = []
        for asked in self.asked:
            zone = ZoneInfo(asked.schedule.zone)
            ticks = {tick.due_at: tick for tick in asked.schedule.ticks.select_related("run")}
            wanted = asked.dues(zone, self.at)
            found += [f"{asked.schedule}: no tick for {due}" for due in wanted if due not in ticks]
            found += [f"{asked.schedule}: a tick for {due}, which was not due" for due in set(ticks) - set(wanted)]
            found += [word for due, tick in ticks.items() for word in self._wrong(asked, due, tick)]
        runs = Counter(Tick.objects.exclude(run=None).values_list("run", flat=True))
        found += [f"run #{number} belongs to {count} ticks" for number, count in runs.items() if count > 1]
        found += [f"run #{run.pk} has no tick" for run in Run.objects.filter(ticks=None)]
        return found

    def _wrong(self, asked: Asked, due: datetime, tick: Tick) -> list[str]:
        words = []
        if tick.decision not in DECIDED:
            words.append(f"{tick} is {tick.decision}: {tick.reason}")
        if (tick.run is None) == (tick.decision in (D.STARTED, D.MADE_UP)):
            words.append(f"{tick} is {tick.decision} with {tick.run}")
        if asked.is_paused(due) and tick.run:
            words.append(f"{tick} started something in a pause")
        was_away = any(begun - ON_TIME <= due <= over for begun, over in self.outages)  # or a beat died just before
        is_prompt = tick.decision == D.STARTED and tick.decided_at - due <= ON_TIME
        if not (was_away or is_prompt or asked.is_paused(due) or self._is_near_change(asked, due)):
            words.append(f"{tick} was due in quiet times and is {tick.decision}: {tick.reason}")
        return words

    def _is_near_change(self, asked: Asked, due: datetime) -> bool:
        """A person's act within seconds of a due time decides which of the two came first."""
        return any(abs((act - due).total_seconds()) < 60 for act in asked.acts)

    def policies_broken(self) -> list[str]:
        """Of the due times of each outage as many start as the policy says: for schedules that nobody touched then."""
        found = []
        for begun, over in self.outages:
            for asked in self.asked:
                row, day = asked.schedule, timedelta(days=1)
                if asked.is_paused(over) or any(begun - day <= act <= over + SECOND for act in asked.acts):
                    continue
                late = row.ticks.filter(due_at__gt=begun - ON_TIME, due_at__lte=over, decided_at__gte=over)
                ticks = list(late.order_by("due_at"))
                facts = {"most": row.missed_most, "hours": row.missed_hours}
                wanted = divided([tick.due_at for tick in ticks], missed=row.missed, at=over, **facts).to_start
                there = tuple(tick.due_at for tick in ticks if tick.run_id)
                if there != wanted:
                    found.append(f"{row}, {row.missed} of {begun} to {over}: {there} instead of {wanted}")
        return found


def _soonest(end: datetime) -> datetime | None:
    """When something is to be decided next, until then."""
    found: datetime | None = Schedule.objects.filter(next_look_at__lte=end).aggregate(at=Min("next_look_at"))["at"]
    return found


def replace_rule(schedule: Schedule, rule: Rule) -> Schedule:
    """The schedule as it would be with another rule; not saved."""
    return Schedule(rule=stored(rule), zone=schedule.zone, counts_since=schedule.counts_since)


BEGIN = datetime(2026, 1, 1, 5, tzinfo=UTC)
