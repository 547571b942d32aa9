"""One run after another, each disturbed once by a kill −9, and what came of it."""

from __future__ import annotations

import os
import random
import signal
import time
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from django.conf import settings
from django.core.management import call_command

from jobs import clock
from jobs.errors import ConsoleError
from jobs.interpreters.snapshots import add_project
from jobs.models import Pipeline, Run
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.runs.resume import preview, resume
from jobs.states import Cause
from tests import live
from tests.chaos.databases import patiently
from tests.chaos.fleet import MARK, QUEUE, Fleet, Redis, hosts_and_children, marked
from tests.chaos.ledger import Ledger, Line
from tests.chaos.project import write_project
from tests.chaos.report import percentile

VICTIMS: Final = ("child", "worker", "everything")
RUNS: Final = ("fan", "line")
"""A distributed one, and one in one process whose datasets are kept."""
NAP_SECONDS: Final = 0.25
LONGEST_SECONDS: Final = {"fan": 3.0, "line": 1.5}
RETRIED: Final = 4
"""Each so manyth run may start a crashed step again by itself."""


@dataclass
class Round:
    """One kill and what came of it."""

    number: int
    victim: str
    pipeline: str
    retries: int
    status: str = ""
    was_over: bool = False
    seconds: float = 0.0
    """From the kill to the end of the run."""
    missing: list[str] = field(default_factory=list)
    executed: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        how = "ended before the kill" if self.was_over else self.status
        how = how if self.was_over else f"{how} {self.seconds:.1f} s later"
        again = f", missing {' '.join(self.missing)}, executed {' '.join(self.executed)}" if self.missing else ""
        wrong = "".join(f"\n     WRONG: {violation}" for violation in self.violations)
        return f"{self.number:3d} {self.victim} of {self.pipeline}, {self.retries} retries: {how}{again}{wrong}"


class Kills:
    """Worker, beat, pages and Redis, and one run after another that is disturbed once."""

    def __init__(self, seed: int, lease_seconds: int) -> None:
        self._random = random.Random(seed)
        self._mark = uuid.uuid4().hex
        self._ledger = Ledger(settings.VAR.parent)
        self._redis = Redis(self._mark)
        self._fleet = Fleet(self._mark, workers=1, slots=3, lease_seconds=lease_seconds)

    def do(self, times: int) -> list[Round]:
        """Rounds until so many kills met a run under way; every process of ours is asked to end, whatever happens."""
        call_command("migrate", verbosity=0)
        rounds = []
        try:
            self._start()
            while sum(not one.was_over for one in rounds) < times:
                number = len(rounds)
                retries = 5 if number % RETRIED == RETRIED - 1 else 0
                rounds.append(Round(number + 1, VICTIMS[number % 3], RUNS[number % 2], retries))
                self._disturb(rounds[-1])
                print(rounds[-1], flush=True)
        finally:
            self._fleet.stop()
            self._redis.stop()
        return rounds

    def _start(self) -> None:
        from jobs import clock

        self._redis.start()
        self._project = add_project(
            write_project(settings.VAR / "kills"), at=clock.now(), environment={MARK: self._mark}
        )
        Pipeline.objects.filter(name="fan").update(runner="distributed", queue=QUEUE)
        Pipeline.objects.filter(name="line").update(is_resumable=True, queue=QUEUE)
        self._fleet.start()

    def _disturb(self, one: Round) -> None:
        run = patiently(partial(self._launch, one))
        time.sleep(self._random.uniform(0, LONGEST_SECONDS[one.pipeline]))
        one.was_over = not self._kill(one.victim, run)
        killed = time.monotonic()
        self._end(run)
        one.seconds = time.monotonic() - killed
        one.status = run.status
        lines = self._lines(one)
        if run.status == "succeeded":
            one.violations += _incomplete(run, lines)
        elif run.status == "crashed" and run.error:
            try:
                self._resume(one, run, lines)
            except ConsoleError as refusal:
                one.violations.append(f"it cannot be resumed: {refusal}")
        else:
            one.violations.append(f"the run is {run.status} and says “{run.error}”")
        one.violations += self._left()

    def _launch(self, one: Round) -> Run:
        pipeline = Pipeline.objects.select_related("project").get(project=self._project, name=one.pipeline)
        Pipeline.objects.filter(pk=pipeline.pk).update(crash_retries=one.retries)
        key = f"kill-{one.number}"
        given = {"ledger": str(self._ledger.lines_path), "key": key, "seconds": NAP_SECONDS}
        return launch(Order(pipeline, Cause.MANUAL, parameters=given, idempotency_key=key), at=clock.now())

    def _kill(self, victim: str, run: Run) -> bool:
        """False when the run was over before."""
        if victim == "worker":
            self._fleet.signal(self._fleet.names[0], signal.SIGKILL)
        elif victim == "everything":
            for pid in marked(self._mark):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._redis.kill(keeps_file=self._random.random() < 0.5)
            self._redis.start()
        while victim == "child" and not run.is_final:
            if children := hosts_and_children(self._mark)[1]:
                with suppress(ProcessLookupError):
                    os.kill(self._random.choice(sorted(children)), signal.SIGKILL)
                return True
            time.sleep(0.01)
            run.refresh_from_db()
        run.refresh_from_db()
        return not run.is_final

    def _end(self, run: Run) -> None:
        def is_over() -> bool:
            patiently(run.refresh_from_db)
            return run.is_final

        live.until(is_over, seconds=120, what=f"the end of {run}")

    def _lines(self, one: Round) -> list[Line]:
        return [line for line in self._ledger.lines() if line.key == f"kill-{one.number}"]

    def _resume(self, one: Round, run: Run, before: list[Line]) -> None:
        """The preview names what has no recorded end; the new run starts exactly that, each once, and is whole."""
        found = patiently(lambda: preview(run))
        one.missing = [part.node for part in found.rerun]
        done = {row.name for row in run.node_runs.all() if row.status in ("succeeded", "reused")}
        names = {row.name for row in run.node_runs.all()}
        last = {"join", "third"}  # all that is left when only the end of the run is missing
        if set(one.missing) != (names - done or last & names):
            one.violations.append(f"missing is {sorted(names - done)}, and the preview says {sorted(one.missing)}")
        one.violations += [f"{name} is said to be done, and did not end" for name in done - _ended(before)]
        new = patiently(lambda: resume(run, at=clock.now(), by_name="kills"))
        self._end(new)
        after = self._lines(one)[len(before) :]
        one.executed = [line.node for line in after if line.word == "start"]
        if sorted(one.executed) != sorted(one.missing):
            one.violations.append("what was executed is not what was missing")
        one.violations += _incomplete(new, [*before, *after])

    def _left(self) -> list[str]:
        """Nothing of the run goes on after its end."""
        deadline = time.monotonic() + 10
        while (children := hosts_and_children(self._mark)[1]) and time.monotonic() < deadline:
            time.sleep(0.05)
        return [f"process {pid} is left" for pid in children]


def _ended(lines: list[Line]) -> set[str]:
    return {line.node for line in lines if line.word == "end"}


def _incomplete(run: Run, lines: list[Line]) -> list[str]:
    """Every node ended, and the result comes from the processes that wrote so."""
    if run.status != "succeeded":
        return [f"run #{run.pk} is {run.status}: {run.error}"]
    pids = {(line.node, line.pid) for line in lines if line.word == "end"}
    out = ((run.results or {}).get("out") or {}).get("value") or {}
    names = [row.name for row in run.node_runs.all()]
    return [
        f"the result has {name} from {out.get(name)}, which did not end"
        for name in names
        if (name, out.get(name)) not in pids
    ]


def _times(struck: list[Round], victim: str) -> str:
    times = sorted(one.seconds for one in struck if one.victim == victim)
    return f"{percentile(times, 0.5):.1f} s (median; longest {percentile(times, 1):.1f})"


def text(rounds: list[Round], seed: int) -> str:
    """The report, for people."""
    struck = [one for one in rounds if not one.was_over]
    resumed = [one for one in struck if one.missing]
    by_victim = Counter(one.victim for one in struck)
    return "\n".join(
        [
            f"{len(struck)} kills, seed {seed}; {len(rounds) - len(struck)} more runs had ended before theirs",
            *[
                f"  {by_victim[victim]:4d} {victim}, the run had ended after {_times(struck, victim)}"
                for victim in VICTIMS
            ],
            f"completed by itself  {sum(one.status == 'succeeded' for one in struck)}",
            f"resumed              {len(resumed)}  ({sum(len(one.missing) for one in resumed)} nodes were missing, "
            f"{sum(len(one.executed) for one in resumed)} executed)",
            f"violations           {sum(len(one.violations) for one in rounds)}",
        ]
    )
