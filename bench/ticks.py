"""Due times in real time: twenty a second with two beats, of which whoever leads is killed every ten seconds.

Usage: python -m bench.ticks [SECONDS]
Beside them 34 periodic tasks a second keep the workers' slots busy. Counted are due times without a run, runs without
a due time and due times with two runs, and how long it took from a due time until the first node of its run began.
The reference is django-celery-beat with Celery alone, on the same Redis, in the minutes after and under as many kills:
its twenty tasks a second tell when they began. One after the other, so that neither is late for the other's work.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from bench.lay_out import lay_out
from bench.stage import ROOT, Console, conditions, console, table
from console.env import embedded_socket

SECONDS = 120
SCHEDULES = 20
FLOOD = 34
KILL_SECONDS = 10
SETTLE_SECONDS = 20
REGISTRY = """
from kedro.pipeline import node, pipeline


def nothing(word):
    return word


def register_pipelines():
    return {"__default__": pipeline([node(nothing, "params:word", "said", name="nothing")])}
"""
MAKE = """
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from jobs import clock
from jobs.models import Pipeline
from jobs.schedules.dues import Every
from jobs.schedules.edit import Wanted, create
from datetime import timedelta
pipeline = Pipeline.objects.get(name="__default__")
Pipeline.objects.update(locks_outputs=False)
at = clock.now() + timedelta(seconds=8)  # as a schedule that was made long ago: its project is warm by then
second, _ = IntervalSchedule.objects.get_or_create(every=1, period="seconds")
for number in range({flood}):
    PeriodicTask.objects.create(name=f"flood {{number}}", task="jobs.begin", args="[0]", interval=second)
for number in range({schedules}):
    rule = Every(1, at + timedelta(seconds=number / {schedules}))
    create(Wanted(name=f"each second {{number}}", pipeline=pipeline, rule=rule, zone="UTC"), at=clock.now())
"""
STOP = """
from jobs import clock
from jobs.models import Schedule
from jobs.schedules.switch import pause
from django_celery_beat.models import PeriodicTask
PeriodicTask.objects.filter(name__startswith="flood").delete()
for schedule in Schedule.objects.all():
    pause(schedule, at=clock.now(), by="bench")
"""
COUNT = """
import json
from collections import Counter
from zoneinfo import ZoneInfo
from jobs.models import Run, Schedule, Tick
from jobs.schedules.due import rule_of
from jobs.schedules.dues import dues
ticks = Tick.objects.exclude(decision="paused")
lost = 0
for schedule in Schedule.objects.all():
    wanted = set(dues(rule_of(schedule), ZoneInfo("UTC"), schedule.created_at, schedule.paused_since))
    lost += len(wanted - set(schedule.ticks.values_list("due_at", flat=True)))
runs = Counter(Tick.objects.exclude(run=None).values_list("run", flat=True))
print("FOUND" + json.dumps({
    "due": ticks.count(), "lost": lost, "decisions": dict(Counter(ticks.values_list("decision", flat=True))),
    "doubled": sum(1 for count in runs.values() if count > 1) + Run.objects.filter(ticks=None).count(),
    "lateness": sorted(filter(None, ticks.values_list("lateness_seconds", flat=True))),
}))
"""


def shell(stage: Console, code: str) -> str:
    words = [sys.executable, "manage.py", "shell", "-c", code]
    said = subprocess.run(words, cwd=ROOT, env=stage.environment, check=True, capture_output=True, text=True).stdout
    return said.rpartition("FOUND")[2].strip()


@contextmanager
def process(stage: Console, name: str, *words: str, **changes: str) -> Iterator[subprocess.Popen[bytes]]:
    with (stage.folder / f"{name}.log").open("ab") as log:
        started = subprocess.Popen(words, cwd=ROOT, env={**stage.environment, **changes}, stdout=log, stderr=log)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


class Beats:
    """So many that are started again when they were killed."""

    def __init__(self, stage: Console, name: str, words: list[str], changes: dict[str, str], count: int) -> None:
        self.stage, self.name, self.words, self.changes = stage, name, words, changes
        self.running = [self._start() for _ in range(count)]

    def _start(self) -> subprocess.Popen[bytes]:
        with (self.stage.folder / f"{self.name}.log").open("ab") as log:
            environment = {**self.stage.environment, **self.changes}
            return subprocess.Popen(self.words, cwd=ROOT, env=environment, stdout=log, stderr=log)

    def kill(self, pid: int | None) -> None:
        """The one with this number, also the tree's own, which starts it again; else the older of the two."""
        if pid and pid not in {each.pid for each in self.running}:
            os.kill(pid, signal.SIGKILL)
            return
        victim = next((each for each in self.running if each.pid == pid), self.running[0])
        victim.kill()
        victim.wait()
        self.running = [each for each in self.running if each is not victim] + [self._start()]

    def end(self) -> None:
        for each in self.running:
            each.send_signal(signal.SIGTERM)
        for each in self.running:
            each.wait(30)


def leader(stage: Console) -> int | None:
    """The process that leads; read as a file, as a process of the console would take a second for it."""
    with closing(sqlite3.connect(f"file:{stage.folder / 'var' / 'console.sqlite3'}?mode=ro", uri=True)) as database:
        row = database.execute("SELECT holder FROM jobs_lead").fetchone()
    return int(row[0].partition("@")[0]) if row and row[0] else None


def kill_each(seconds: float, beats: Beats, victim: Callable[[], int | None]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() + KILL_SECONDS < end:
        time.sleep(KILL_SECONDS)
        beats.kill(victim())
    time.sleep(max(0.0, end - time.monotonic()))


def ours(stage: Console, seconds: int) -> dict[str, object]:
    """What is there in the end of twenty schedules a second and the flood, while whoever leads is killed."""
    beats = Beats(stage, "beats", [sys.executable, "-m", "console", "beat"], {}, 1)  # the tree has another
    time.sleep(SETTLE_SECONDS / 2)
    shell(stage, MAKE.format(flood=FLOOD, schedules=SCHEDULES))
    kill_each(seconds, beats, lambda: leader(stage))
    shell(stage, STOP)
    time.sleep(SETTLE_SECONDS)
    found: dict[str, object] = json.loads(shell(stage, COUNT))
    beats.end()
    return found


def theirs(stage: Console, seconds: int) -> dict[str, object]:
    """The same of plain beats, of which now one is killed and now the other."""
    database = f"sqlite:///{stage.folder / 'plain.sqlite3'}"
    redis = f"redis+socket://{embedded_socket(stage.folder / 'var')}?virtual_host=7"
    plain = {"DJANGO_SETTINGS_MODULE": "bench.plain_beat", "PLAIN_DATABASE": database, "PLAIN_BROKER": redis}
    plain |= {"PLAIN_DIARY": str(stage.folder / "diary")}
    subprocess.run(
        [sys.executable, "-m", "bench.plain_beat", str(SCHEDULES)], cwd=ROOT, env={**os.environ, **plain}, check=True
    )
    celery = [sys.executable, "-m", "celery", "-A", "bench.plain_beat"]
    with process(stage, "plain-worker", *celery, "worker", "-P", "threads", "-c", "4", **plain):
        rivals = Beats(stage, "rivals", [*celery, "beat", "-S", "django"], plain, 2)
        time.sleep(SETTLE_SECONDS / 2)
        began = time.time()
        kill_each(seconds, rivals, lambda: None)
        ended = time.time()
        rivals.end()
    fires = [float(line.split()[1]) for line in (stage.folder / "diary").read_text().splitlines()]
    rival = sum(began <= moment <= ended for moment in fires)
    return {"rival_fires": rival, "rival_due": int((ended - began) * SCHEDULES)}


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    before = conditions()
    with console("--no-demo", "--workers", "4") as stage:
        modules = {"pipeline_registry": REGISTRY}
        words = {"parameters": "word: x\n"}
        project = lay_out(stage.folder / "idle", "idle", modules=modules, configuration=words)
        stage.manage("project", "add", str(project))
        found = {**ours(stage, seconds), **theirs(stage, seconds)}
    report(found, seconds, before)


def report(found: dict[str, object], seconds: int, before: str) -> None:
    late = [float(each) for each in found["lateness"]]  # type: ignore[attr-defined]
    p99 = late[int(len(late) * 0.99)] if late else 0.0
    print(f"{seconds} s, {SCHEDULES} due times a second, {FLOOD} other fires a second, a beat killed each "
          f"{KILL_SECONDS} s; {before}, then {conditions()}\n")  # fmt: skip
    middle = statistics.median(late) if late else 0.0
    console_row = [
        "console",
        found["due"],
        found["lost"],
        found["doubled"],
        f"{middle:.3f} s",
        f"{p99:.3f} s",
        f"{max(late):.3f} s",
    ]
    difference = int(str(found["rival_fires"])) - int(str(found["rival_due"]))
    plain_row = ["django-celery-beat", found["rival_due"], max(0, -difference), max(0, difference), "–", "–", "–"]
    head = ["", "due", "lost", "doubled", "lateness, median", "99 %", "most"]
    print(table(head, [[str(cell) for cell in row] for row in (console_row, plain_row)]))
    print(json.dumps({"decisions": found["decisions"], "median": round(middle, 3), "p99": round(p99, 3)}))


if __name__ == "__main__":
    main()
