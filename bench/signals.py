"""One request in two seconds, thirty batches: by events, on one worker and on four, and by the clock.

Usage: python -m bench.signals [BATCHES]
The demo API keeps the limit and writes down what arrived when; what counts is from its first arrival to its last.
By events, the end of a run starts the next while items wait, and the quota says when a request may go. By the clock,
a schedule starts a run every 12 s that has work for 8 s, as one has to plan who wants to be sure.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from bench.signals_project import write_signals_project
from bench.stage import ROOT, Console, conditions, console, table

BATCHES = 30
WINDOW_SECONDS = 2
BATCHES_A_TICK = 4
TICK_SECONDS = 12
WORKERS = 4
AIM = 1.03
SCHEDULE = """
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from jobs.models import Pipeline
import json
every, _ = IntervalSchedule.objects.get_or_create(every={seconds}, period="seconds")
pipeline = Pipeline.objects.get(name="by_the_clock")
arguments = [pipeline.pk, {{"api": "{api}", "count": {count}}}]
PeriodicTask.objects.create(name="clock", task="jobs.start", interval=every, args=json.dumps(arguments))
"""
PAUSE = (
    "from django_celery_beat.models import PeriodicTasks, PeriodicTask as P; P.objects.filter(name='clock').delete()"
)


@dataclass(frozen=True)
class Way:
    """What the API saw of one way to do the work."""

    name: str
    seconds: float
    requests: int
    refused: int

    def row(self, ideal: float) -> list[str]:
        idle = max(self.seconds - ideal, 0) / self.seconds
        return [self.name, f"{self.seconds:.1f} s", f"{self.seconds / ideal:.3f} ×", f"{idle:.1%}", str(self.refused)]


class Api:
    """The demo API with its limit, in a process of its own."""

    def __init__(self, url: str) -> None:
        self.url = url

    def arrivals(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}/arrivals?path=/metrics", timeout=30) as answer:
            found: list[dict[str, Any]] = json.load(answer)["items"]
            return found

    def forget(self) -> None:
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/arrivals", method="DELETE"), timeout=30):
            pass

    def seen(self, name: str) -> Way:
        found = self.arrivals()
        times = sorted(each["at"] for each in found if each["status"] == 200)
        return Way(name, times[-1] - times[0], len(times), sum(each["status"] == 429 for each in found))


@contextmanager
def api() -> Iterator[Api]:
    limits = json.dumps({"/metrics": {"requests": 1, "seconds": WINDOW_SECONDS}})
    server = subprocess.Popen(
        [sys.executable, "-m", "demo_api", "--port", "0", "--limits", limits],
        cwd=ROOT / "pipelines" / "demo" / "src", stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout
        yield Api(server.stdout.readline().split()[-1].removesuffix("/datasets"))
    finally:
        server.terminate()
        server.wait(30)


@contextmanager
def more_workers(stage: Console, count: int) -> Iterator[None]:
    """This many workers beside that of the tree."""
    with ExitStack() as stack:
        for number in range(count):
            command = [
                *(sys.executable, "-m", "celery", "-A", "console", "worker", "-P", "threads", "-c", "2"),
                *("-n", f"more{number}@bench", "-Q", "default", "--without-gossip", "--without-mingle"),
            ]
            log = stack.enter_context((stage.folder / f"more{number}.log").open("wb"))
            worker = subprocess.Popen(
                command, cwd=ROOT, env={**stage.environment, "CONSOLE_WORKER_SLOTS": "2"}, stdout=log, stderr=log
            )
            stack.callback(worker.wait, 60)
            stack.callback(worker.send_signal, signal.SIGTERM)
        until(lambda: len(alive(stage)) == count + 1, 120)
        yield


def alive(stage: Console) -> list[Any]:
    return [each for each in stage.call("GET", "/workers") if each.get("is_alive", True)]


def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds} s")
        time.sleep(0.25)


def fill(stage: Console, batches: int) -> None:
    stage.manage("shell", "-c", "from jobs.models import Item, BatchQueue; Item.objects.all().delete(); "
                 "[queue.recount() for queue in BatchQueue.objects.all()]")  # fmt: skip
    job = stage.call("POST", "/jobs", {"pipeline_name": "fill", "parameters": {"number": batches}})
    assert stage.ended(job)["status"] == "completed"


def is_done(stage: Console, batches: int) -> bool:
    return bool(stage.call("GET", "/queues/words")["done"] == batches)


def by_events(stage: Console, served: Api, batches: int, chains: int, name: str) -> Way:
    """This many chains of runs share the items and the quota."""
    fill(stage, batches)
    served.forget()
    for _ in range(chains):
        parameters = {"api": served.url, "count": 1}
        stage.call("POST", "/jobs", {"pipeline_name": "by_events", "parameters": parameters})
    until(lambda: is_done(stage, batches), batches * WINDOW_SECONDS * 3 + 60)
    return served.seen(name)


def by_the_clock(stage: Console, served: Api, batches: int) -> Way:
    fill(stage, batches)
    served.forget()
    facts = {"seconds": TICK_SECONDS, "api": served.url, "count": BATCHES_A_TICK}
    stage.manage("shell", "-c", SCHEDULE.format(**facts))
    until(lambda: is_done(stage, batches), batches / BATCHES_A_TICK * TICK_SECONDS * 2 + 60)
    stage.manage("shell", "-c", PAUSE)
    return served.seen(f"by the clock: {BATCHES_A_TICK} batches every {TICK_SECONDS} s")


def main() -> None:
    batches = int(sys.argv[1]) if len(sys.argv) > 1 else BATCHES
    with api() as served, console("--no-demo", "--workers", "4") as stage:
        stage.manage("project", "add", str(write_signals_project(stage.folder / "signals", WINDOW_SECONDS)))
        before = conditions()
        ways = [by_events(stage, served, batches, 1, "by events, 1 worker")]
        with more_workers(stage, WORKERS - 1):
            ways.append(by_events(stage, served, batches, WORKERS, f"by events, {WORKERS} workers and chains"))
        ways.append(by_the_clock(stage, served, batches))
    report(ways, batches, before)


def report(ways: list[Way], batches: int, before: str) -> None:
    ideal = (batches - 1) * float(WINDOW_SECONDS)
    assert all(way.requests == batches for way in ways), f"the work was not done once: {ways}"
    print(f"{batches} requests, one in {WINDOW_SECONDS} s: ideal {ideal:.0f} s; {before}, then {conditions()}\n")
    print(table(["", "took", "/ ideal", "idle", "429s"], [way.row(ideal) for way in ways]))
    events = ways[:2]
    print(json.dumps({
        "events_ratio": round(events[0].seconds / ideal, 3),
        "events_ratio_4_workers": round(events[1].seconds / ideal, 3),
        "clock_ratio": round(ways[2].seconds / ideal, 3),
        "refused": sum(way.refused for way in events),
        "is_within_aim": all(way.seconds <= ideal * AIM and not way.refused for way in events),
    }))  # fmt: skip


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
