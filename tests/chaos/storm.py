"""Many runs under many faults, then quiet, then the audit."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from jobs import clock
from jobs.launch import launch
from jobs.models import Pipeline, Run, Worker
from jobs.snapshots import add_project
from jobs.states import Cause
from tests import live
from tests.chaos import evidence
from tests.chaos.auditor import Verdict, audit
from tests.chaos.databases import is_postgres, patiently
from tests.chaos.fleet import MARK, QUEUE, Fleet, Redis, marked
from tests.chaos.ledger import Accepted, Ledger
from tests.chaos.project import KINDS, write_project
from tests.chaos.tormentor import Fault, Measures, Tormentor

STUBBORN: Final = {"crash_retries": 60, "poison_after": 60}
"""So many losses in a row are no fault of the step here."""


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


@dataclass(frozen=True)
class Report:
    """All that is said at the end."""

    plan: Plan
    verdict: Verdict
    faults: list[Fault]
    recoveries: list[float]
    unexplained: int
    drained_seconds: float
    restarts: int
    database: str


class Storm:
    """One chaos test in a database and a folder of its own."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.mark = uuid.uuid4().hex
        self.ledger = Ledger(settings.VAR)
        self.redis = Redis(self.mark)
        self.fleet = Fleet(self.mark, workers=plan.workers, slots=plan.slots, lease_seconds=plan.lease_seconds)
        self.tormentor = Tormentor(
            plan.seed, self.fleet, self.redis, self.mark, plan.measures, is_each_once=not plan.seconds
        )
        self._random = Random(plan.seed + 2)
        self._keys: set[str] = set()

    def run(self) -> Report:
        """From an empty database to the report; every process of ours is told to end, whatever happens."""
        if connection.introspection.table_names():
            raise SystemExit("The chaos test needs a database of its own: this one is not empty.")
        call_command("migrate", verbosity=0)
        try:
            self._start()
            self._rage()
            drained_seconds = self._drain()
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
        self.fleet.start()
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
        pipeline = patiently(lambda: Pipeline.objects.select_related("project").get(project=self.project, name=name))
        given = {
            "ledger": str(self.ledger.lines_path),
            "key": key,
            "seconds": round(min(self._random.uniform(*kind.naps), self.plan.longest_nap), 2),
        }
        patiently(
            partial(
                launch,
                pipeline,
                at=clock.now(),
                cause=Cause.API,
                by_name="chaos",
                parameters=given,
                idempotency_key=key,
            )
        )
        self.ledger.accept(Accepted(key, list(kind.nodes), kind.end))
        self._keys.add(key)

    def _drain(self) -> float:
        """Seconds from the last fault until every run has ended; a run that never does is the auditor's to name."""
        began = time.monotonic()
        while not patiently(lambda: evidence.is_all_over(self._keys)):
            if time.monotonic() - began > self.plan.drain_seconds:
                break
            time.sleep(0.2)
        return time.monotonic() - began

    def _report(self, drained_seconds: float) -> Report:
        deadline = time.monotonic() + 10
        while (left := marked(self.mark)) and time.monotonic() < deadline:
            time.sleep(0.1)
        shown = evidence.gather(self.ledger, [f"{pid} {command}" for pid, command in left.items()])
        times, unexplained = evidence.recoveries(shown, self.tormentor.faults)
        return Report(
            plan=self.plan,
            verdict=audit(shown),
            faults=self.tormentor.faults,
            recoveries=times,
            unexplained=unexplained,
            drained_seconds=drained_seconds,
            restarts=self.fleet.restarts,
            database="PostgreSQL" if is_postgres() else "SQLite",
        )
