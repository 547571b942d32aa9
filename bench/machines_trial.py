"""The trial: runs without a pause while the wire fails and every part is replaced, then quiet, then the audit."""

from __future__ import annotations

import argparse
import hashlib
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command

from bench.network import Machine
from bench.servers import Servers, bucket
from bench.services import Part, Services
from bench.stage import ROOT, conditions, table
from console.models import ApiToken
from console.tree.programs import STOP_SECONDS
from jobs import clock
from jobs.interpreters.snapshots import add_project
from jobs.models import Artifact, Pipeline, Run, Upload, Worker
from tests import live
from tests.chaos import evidence
from tests.chaos.auditor import FINAL, Evidence, Verdict, audit
from tests.chaos.databases import patiently
from tests.chaos.fleet import MARK, QUEUE, marked
from tests.chaos.ledger import Accepted, Ledger
from tests.chaos.project import KINDS, Kind, write_project
from tests.chaos.storm import schedule_ticks
from tests.chaos.tormentor import Fault
from tests.chaos.visitor import Visitor, ask

SLOTS: Final = 3
STUBBORN: Final = {"crash_retries": 60, "poison_after": 60}
NEXT: Final = "+next"
KEEPS: Final = """
        "keeps": pipeline([
            work("only", "a"), work("hands_on", "out", "a"), work("keeps", "kept", "a"),
        ]),
        "single":"""
CATALOG: Final = """
kept:
  type: json.JSONDataset
  filepath: data/${runtime_params:key}.json
"""
TRIED: Final = {**KINDS, "keeps": Kind(("only", "hands_on"), weight=3)}
PORTS: Final = {"PostgreSQL": 5432, "Redis": 6390, "S3": 9000}

FAULTS: Final[dict[str, Callable[[Machine], None]]] = {
    "cut": Machine.pull_the_cable,
    "dead both ways": Machine.drop,
    "deaf": partial(Machine.drop, out=False),
    "mute": partial(Machine.drop, into=False),
    **{f"{name} dead": partial(Machine.drop, port=port) for name, port in PORTS.items()},
    "256 kbit/s": partial(Machine.slow_down, kilobits=256),
    "150 ms late": partial(Machine.delay, milliseconds=150, jitter=100),
    "10 % lost": partial(Machine.drop, percent=10),
}


@dataclass
class Report:
    """All that is said at the end."""

    verdict: Verdict
    faults: list[tuple[str, str, int]] = field(default_factory=list)
    """What failed, where, and how many runs ended meanwhile."""
    ends: dict[str, float] = field(default_factory=dict)
    """How many seconds each part took to end while it was replaced, then with everything away."""
    drained_seconds: float = 0
    files: int = 0
    wrong_files: list[str] = field(default_factory=list)
    old_workers: list[str] = field(default_factory=list)
    run_store: str = ""

    @property
    def late_ends(self) -> list[str]:
        return [
            name for name, took in self.ends.items() if took > STOP_SECONDS[name.partition(",")[0].partition("-")[0]]
        ]

    @property
    def is_good(self) -> bool:
        return not (self.verdict.violations or self.wrong_files or self.old_workers or self.late_ends)


class Flow(threading.Thread):
    """Starts runs, never many more than there are slots; each promise is written down when it was made."""

    def __init__(self, visitor: Visitor, ledger: Ledger, project: str, most: int, seed: int = 1) -> None:
        super().__init__(name="flow", daemon=True)
        self._visitor, self._ledger, self._project, self._most = visitor, ledger, project, most
        self._random, self._is_over = Random(seed), threading.Event()
        self.keys: set[str] = set()

    def run(self) -> None:
        while not self._is_over.is_set():
            if patiently(Run.objects.live().count) < self._most:
                self._accept()
            else:
                time.sleep(0.1)

    def end(self) -> None:
        self._is_over.set()
        self.join()

    def _accept(self) -> None:
        name = self._random.choices(list(TRIED), [kind.weight for kind in TRIED.values()])[0]
        kind, key = TRIED[name], f"run-{len(self.keys) + 1}"
        seconds = round(self._random.uniform(*kind.naps), 2)
        given = {"ledger": str(self._ledger.lines_path), "key": key, "seconds": seconds}
        self._visitor.start_run(f"{self._project}/{name}", given, key)
        self._ledger.accept(Accepted(key, list(kind.nodes), kind.end))
        self.keys.add(key)


class Trial:
    """One console on three machines, from an empty database to the report."""

    def __init__(
        self,
        folder: Path,
        machines: list[Machine],
        servers: Servers,
        known: Mapping[str, str],
        given: argparse.Namespace,
    ) -> None:
        self.folder, self.machines, self.servers, self.given = folder, machines, servers, given
        self.mark = uuid.uuid4().hex
        self.ledger = Ledger(folder)
        one, *others = machines
        parts = [
            Part("web", one, ("web", "--host", one.address, "--port", "8000"), ROOT),
            Part("beat", one, ("beat",), ROOT),
            *(Part(f"worker-{machine.name.rpartition('-')[2]}", machine, ("worker",), ROOT) for machine in others),
        ]
        more = {MARK: self.mark, "CONSOLE_WORKER_SLOTS": str(SLOTS)}
        self.services = Services(folder, parts, {**known, **more})
        self.settings = known
        self.report = Report(audit(Evidence([], [], [])), run_store=known["CONSOLE_RUN_STORE"])
        self.killed: list[Fault] = []

    def run(self) -> Report:
        try:
            self._start()
            self._fail()
            if not self.given.short:
                self._upgrade()
            self.flow.end()
            if not self.given.short:
                self._end_with_everything_away()
            self._drain()
            self._look_at_files()
        finally:
            for machine in self.machines[1:]:
                machine.heal()
            self.services.stop()
        self._audit()
        return self.report

    # ---- before

    def _start(self) -> None:
        call_command("prepare", verbosity=0)
        path = write_project(self.folder / "chaos")
        registry = path / "src" / "chaos" / "pipeline_registry.py"
        registry.write_text(registry.read_text().replace('\n        "single":', KEEPS, 1))
        (path / "conf" / "base" / "catalog.yml").write_text(CATALOG)
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        access = {name: self.settings[name] for name in names} | {"AWS_ENDPOINT_URL": self.settings["S3_ENDPOINT_URL"]}
        environment = {MARK: self.mark, **access}
        project = add_project(path, at=clock.now(), interpreter=self.given.interpreter, environment=environment)
        for name, kind in TRIED.items():
            rows = Pipeline.objects.filter(project=project, name=name)
            rows.update(**{"queue": QUEUE, **STUBBORN, **dict(kind.settings)})
        schedule_ticks(project, self.ledger)
        _, token = ApiToken.objects.create(User.objects.get(), timedelta(days=1), role="operator")
        address = self.settings["CONSOLE_URL"]
        self.visitor = Visitor(address, self.ledger, token)
        self.flow = Flow(self.visitor, self.ledger, project.name, most=4 * SLOTS)
        self.services.start()
        self.visitor.start()
        live.until(lambda: ask(f"{address}/api/v1/health") == 200, seconds=120, what="the pages")
        live.until(lambda: Worker.objects.count() == 2, seconds=120, what="the workers' first heartbeats")
        self.flow.start()

    # ---- meanwhile

    def _fail(self) -> None:
        for number in range(self.given.rounds):
            for place, (name, fault) in enumerate(FAULTS.items()):
                if not self.given.only or name in self.given.only:
                    self._try(name, fault, self.machines[1 + (place + number) % 2])

    def _try(self, name: str, fault: Callable[[Machine], None], machine: Machine) -> None:
        ended = Run.objects.filter(status__in=sorted(FINAL))
        before = patiently(ended.count)
        fault(machine)
        time.sleep(self.given.seconds)
        machine.heal()
        time.sleep(self.given.seconds / 2)
        found = (name, machine.name.rpartition("-")[2], patiently(ended.count) - before)
        self.report.faults.append(found)
        print(f"  {found[0]} on {found[1]}: {found[2]} runs ended meanwhile", flush=True)

    def _upgrade(self) -> None:
        """As docs/upgrade.md says: prepare first, then one part after another, from another checkout of the code."""
        code = next_release(self.folder / "next")
        live_runs = patiently(Run.objects.live().count)
        self.services.prepare(code)
        for name in ("worker-two", "worker-three", "beat", "web"):
            if name in ("web", "beat"):
                self.killed.append(Fault({"web": "pages killed", "beat": "beat killed"}[name], time.time()))
            self.report.ends[f"{name}, replaced"] = self.services.replace(name, code)
            time.sleep(5)
        print(f"  every part was replaced while {live_runs} runs were under way", flush=True)
        alive = Worker.objects.filter(stopped_at=None)
        live.until(lambda: patiently(alive.count) == 2, seconds=60, what="both workers' heartbeats")
        self.report.old_workers = [row.name for row in alive if not row.version.endswith(NEXT)]

    def _end_with_everything_away(self) -> None:
        """All links are dead when every part is asked to end; then they are started again."""
        with self.services.paused():
            with self.servers.frozen():
                for machine in self.machines[1:]:
                    machine.drop()
                time.sleep(2)
                took = self.services.end_all()
            for machine in self.machines[1:]:
                machine.heal()
        self.report.ends |= {f"{name}, everything away": seconds for name, seconds in took.items()}
        self.killed += [Fault("pages killed", time.time()), Fault("beat killed", time.time())]

    # ---- after

    def _drain(self) -> None:
        began = time.monotonic()
        while not patiently(lambda: evidence.is_all_over(self.flow.keys)) and time.monotonic() - began < 240:
            time.sleep(0.2)
        self.report.drained_seconds = time.monotonic() - began
        self.ended_at = clock.now()

    def _look_at_files(self) -> None:
        """The store has each kept file as its row says."""
        live.until(lambda: not patiently(Upload.objects.exists), seconds=180, what="all files are in the store")
        store: Any = bucket(self.machines[0])
        for row in Artifact.objects.order_by("pk"):
            body = store.Object(f"console/{row.store_key}").get()["Body"].read()
            if hashlib.sha256(body).hexdigest() != row.sha256:
                self.report.wrong_files.append(row.name)
            self.report.files += 1
        kept = set(Artifact.objects.values_list("run_id", flat=True))
        done = Run.objects.filter(pipeline__name="keeps", status="succeeded").values_list("pk", flat=True)
        self.report.wrong_files += [f"none of run #{number}" for number in done if number not in kept]

    def _audit(self) -> None:
        self.visitor.end()
        deadline = time.monotonic() + 10
        while (left := marked(self.mark)) and time.monotonic() < deadline:
            time.sleep(0.1)
        processes = [f"{pid} {command}" for pid, command in left.items()]
        self.report.verdict = audit(evidence.gather(self.ledger, processes, self.killed, self.ended_at))


def next_release(folder: Path) -> Path:
    """Another checkout of this code, which says of itself that it is a later one."""
    left_out = shutil.ignore_patterns(".git", ".venv", "var", "__pycache__", ".*_cache", "tests", "docs")
    shutil.copytree(ROOT, folder, ignore=left_out)
    version = folder / "pipelines" / "kedro_console" / "__init__.py"
    text = version.read_text()
    version.write_text(text.rstrip().removesuffix('"') + f'{NEXT}"\n')
    return folder


def text(report: Report, seconds: float) -> str:
    verdict = report.verdict
    ends = ", ".join(f"{count} {status}" for status, count in verdict.by_status.items())
    lines = [
        f"Three machines, each fault for {seconds:g} s, lease {settings.CONSOLE_LEASE_SECONDS} s, "
        f"steps meet in {report.run_store}; {conditions()}",
        "",
        table(["fault", "machine", "runs ended meanwhile"], [[*map(str, row)] for row in report.faults]),
        "",
        table(["asked to end", "gone after"], [[name, f"{took:.1f} s"] for name, took in report.ends.items()]),
        "",
        f"runs accepted   {verdict.accepted}  ({ends}; {verdict.attempts} attempts of steps)",
        f"lost            {verdict.count('lost')}",
        f"doubled         {verdict.count('doubled')}",
        f"overlapped      {verdict.count('overlapped')}",
        f"recovered       {verdict.recovered}  (runs that succeeded after an attempt was lost)",
        f"kept files      {report.files} in S3, {len(report.wrong_files)} wrong or missing",
        f"drained         {report.drained_seconds:.1f} s after the last fault",
        f"old workers     {', '.join(report.old_workers) or 'none'} after the upgrade",
        f"ended too late  {', '.join(report.late_ends) or 'none'}",
        f"violations      {len(verdict.violations)}",
        *[f"  {violation}" for violation in verdict.violations[:40]],
        *[f"  {name}" for name in report.wrong_files[:40]],
    ]
    return "\n".join(lines)
