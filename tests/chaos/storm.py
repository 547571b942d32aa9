"""Many runs under many faults, then quiet, then the audit."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any, Final

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from jobs import clock
from jobs.interpreters.snapshots import add_project
from jobs.models import Beat, Pipeline, Project, Run, Worker
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.schedules.schedules import START, wish
from jobs.states import Cause
from tests import live
from tests.chaos import evidence
from tests.chaos.auditor import BACK_SECONDS, Verdict, audit, returns
from tests.chaos.databases import is_postgres, patiently
from tests.chaos.fleet import MARK, QUEUE, Fleet, Redis, marked
from tests.chaos.ledger import Accepted, Ledger
from tests.chaos.project import KINDS, write_project
from tests.chaos.tormentor import Fault, Measures, Tormentor
from tests.chaos.visitor import Visitor, ask

STUBBORN: Final = {"crash_retries": 60, "poison_after": 60}
"""This many losses in a row are no fault of the step here."""
BY_API: Final = 0.3
"""The share of runs that are started through the pages."""


@dataclass(frozen=True)
class Plan:
    """What to do; `seconds` 0: each kind of fault once, then no more runs."""

    seed: int
    seconds: float
    workers: int
    slots: int
    lease_seconds: int
    measures: Measures
    drain_seconds: float = 240
    longest_nap: float = 10
    only: tuple[str, ...] = ()
    """Kinds of faults; empty: all."""
    times: int = 1
    """How often each kind, when it is not the time that ends it."""


@dataclass(frozen=True)
class Report:
    """All that is said at the end."""

    plan: Plan
    verdict: Verdict
    faults: list[Fault]
    recoveries: list[evidence.Recovery]
    unexplained: int
    drained_seconds: float
    restarts: int
    pages_away: list[float]
    beat_away: list[float]
    ticks: int
    database: str


def schedule_ticks(project: Project, ledger: Ledger) -> None:
    """Each minute beat has to start a run, whatever happens."""
    pipeline = Pipeline.objects.get(project=project, name=evidence.TICKED)
    given = {"ledger": str(ledger.lines_path), "key": evidence.TICKED, "seconds": 0.3}
    minutes, _ = CrontabSchedule.objects.get_or_create(minute="*")
    PeriodicTask.objects.create(name=evidence.TICKED, task=START, crontab=minutes, kwargs=wish(pipeline, given))


class Storm:
    """One chaos test in a database and a folder of its own."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.mark = uuid.uuid4().hex
        self.ledger = Ledger(settings.VAR.parent)
        self.redis = Redis(self.mark)
        self.fleet = Fleet(self.mark, workers=plan.workers, slots=plan.slots, lease_seconds=plan.lease_seconds)
        self.tormentor = Tormentor(
            plan.seed,
            self.fleet,
            self.redis,
            self.mark,
            plan.measures,
            is_each_once=not plan.seconds,
            only=plan.only,
            times=plan.times,
        )
        self.visitor = Visitor(self.fleet.address, self.ledger)
        self._random = Random(plan.seed + 2)
        self._keys: set[str] = set()

    def run(self) -> Report:
        """From an empty database to the report; every process of ours is asked to end, whatever happens."""
        if connection.introspection.table_names():
            raise SystemExit("The chaos test needs a database of its own: this one is not empty.")
        call_command("migrate", verbosity=0)
        try:
            self._start()
            self._rage()
            drained_seconds = self._drain()
            self._await_beat()
            self._ended_at = clock.now()
            self.visitor.end()
        finally:
            self.fleet.stop()
            self.redis.stop()
        return self._report(drained_seconds)

    def _start(self) -> None:
        self.redis.start()
        self.project = add_project(write_project(settings.VAR / "chaos"), at=clock.now(), environment={MARK: self.mark})
        for name, kind in KINDS.items():
            rows = Pipeline.objects.filter(project=self.project, name=name)
            rows.update(**{"queue": QUEUE, **STUBBORN, **dict(kind.settings)})
        schedule_ticks(self.project, self.ledger)
        self.fleet.start()
        self.visitor.start()
        live.until(lambda: ask(self.fleet.address) != 0, what="the pages")
        live.until(lambda: Worker.objects.count() == self.plan.workers, what="the workers' first heartbeats")

    def _rage(self) -> None:
        """Start runs, never many more than there are slots, while the tormentor is at work."""
        self.tormentor.start()
        deadline = time.monotonic() + (self.plan.seconds or 3600)
        most = 2 * self.plan.workers * self.plan.slots
        try:
            while time.monotonic() < deadline and self.tormentor.is_alive():
                if patiently(Run.objects.live().count) < most:
                    self._accept()
                else:
                    time.sleep(0.1)
        finally:
            self.tormentor.end()

    def _accept(self) -> None:
        """Start a run; the promise is written down when the launch has answered."""
        name = self._random.choices(list(KINDS), [kind.weight for kind in KINDS.values()])[0]
        kind, key = KINDS[name], f"run-{len(self._keys) + 1}"
        given = {
            "ledger": str(self.ledger.lines_path),
            "key": key,
            "seconds": round(min(self._random.uniform(*kind.naps), self.plan.longest_nap), 2),
        }
        if self._random.random() < BY_API:
            self.visitor.start_run(f"{self.project.name}/{name}", given, key)
        else:
            patiently(partial(self._launch, name, given, key))
        self.ledger.accept(Accepted(key, list(kind.nodes), kind.end))
        self._keys.add(key)

    def _launch(self, name: str, given: dict[str, Any], key: str) -> None:
        pipeline = Pipeline.objects.select_related("project").get(project=self.project, name=name)
        by = {"cause": Cause.API, "by_name": "chaos"}
        launch(Order(pipeline, parameters=given, idempotency_key=key, **by), at=clock.now())

    def _drain(self) -> float:
        """Seconds from the last fault until every run has ended; a run that never does is the auditor's to name."""
        began = time.monotonic()
        while not patiently(lambda: evidence.is_all_over(self._keys)):
            if time.monotonic() - began > self.plan.drain_seconds:
                break
            time.sleep(0.2)
        return time.monotonic() - began

    def _await_beat(self) -> None:
        """The beat that was started last has ticked, or never does: that is the auditor's to name."""
        kills = [fault.at for fault in self.tormentor.faults if fault.kind == "beat killed"]
        began = time.monotonic()
        while kills and not patiently(Beat.objects.filter(since__gt=datetime.fromtimestamp(kills[-1], UTC)).exists):
            if time.monotonic() - began > BACK_SECONDS["beat"]:
                break
            time.sleep(0.2)

    def _report(self, drained_seconds: float) -> Report:
        deadline = time.monotonic() + 10
        while (left := marked(self.mark)) and time.monotonic() < deadline:
            time.sleep(0.1)
        processes = [f"{pid} {command}" for pid, command in left.items()]
        shown = evidence.gather(self.ledger, processes, self.tormentor.faults, self._ended_at)
        times, unexplained = evidence.recoveries(shown, self.tormentor.faults)
        return Report(
            plan=self.plan,
            verdict=audit(shown),
            faults=self.tormentor.faults,
            recoveries=times,
            unexplained=unexplained,
            drained_seconds=drained_seconds,
            restarts=self.fleet.restarts,
            pages_away=_seconds(shown.pages_killed, [answer.at for answer in shown.answers if answer.is_there]),
            beat_away=_seconds(shown.beat_killed, [pulse.since for pulse in shown.pulses]),
            ticks=sum(run.key.startswith("schedule:") for run in shown.runs),
            database="PostgreSQL" if is_postgres() else "SQLite",
        )


def _seconds(kills: list[float], signs: list[float]) -> list[float]:
    return sorted(seconds for _, seconds in returns(kills, signs))
