"""A hundred thousand items through a loop of runs that start one another, with random failures and random kills.

Usage: python -m bench.batches_loop [ITEMS] [SECONDS BETWEEN KILLS]
Nodes raise, let items fail and kill their own process; meanwhile workers, hosts and steps' processes are killed.
What has to be seen: a table that holds each item once, the refused ones parked with their reasons, and none parked
after they were put back.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.stage import Console, conditions, console, table
from tests.batch_project import write_batch_project

ITEMS = 100_000
BATCH = 1_000
RUNS_AT_ONCE = 3
BAD_LUCK = 0.04
SECONDS_BETWEEN_KILLS = 3.0
SHARES = {"step": 25, "host": 4, "worker": 1}
"""Of the kills: a new host and a new worker need some seconds, in which nothing is there to be killed."""
LONGEST_SECONDS = 1_800


def main() -> None:
    words = [word.replace(",", "").replace("_", "") for word in sys.argv[1:]]
    items = int(words[0]) if words else ITEMS
    between = float(words[1]) if len(words) > 1 else SECONDS_BETWEEN_KILLS
    with console("--no-demo") as stage:
        project = write_batch_project(stage.folder / "unlucky")
        stage.manage("project", "add", str(project))
        loop = Loop(stage, stage.folder, items)
        storm = Storm(stage, between)
        loop.fill()
        with storm:
            loop.run_dry(BAD_LUCK)
        first = loop.look()
        (stage.folder / "mended").touch()
        back = stage.call("POST", "/queues/words/put-back", {})["items"]
        loop.run_dry(0.0)
        report(items, loop, storm, first, back, loop.look())


class Loop:
    """Starts the next run when one has ended, until nothing waits."""

    def __init__(self, stage: Console, folder: Path, items: int) -> None:
        self._stage, self._folder, self._items = stage, folder, items
        self.ends: Counter[str] = Counter()
        self.seconds = 0.0

    def fill(self) -> None:
        """A put that is repeated until a run of it succeeds: what is known is not put again."""
        while True:
            job = self._patiently("POST", "/jobs", {"pipeline_name": "fill", "parameters": {"number": self._items}})
            if self._ended(job) == "completed":
                return

    def run_dry(self, bad_luck: float) -> None:
        began = time.monotonic()
        parameters = {"count": BATCH, "folder": str(self._folder), "bad_luck": bad_luck}
        work = {"pipeline_name": "work", "parameters": parameters}
        live: list[dict[str, Any]] = []
        while live or self._waiting():
            if time.monotonic() - began > LONGEST_SECONDS:
                raise SystemExit(f"the queue was not dry after {LONGEST_SECONDS} s: {self.queue()}")
            while len(live) < RUNS_AT_ONCE and self._waiting():
                live.append(self._patiently("POST", "/jobs", work))
            self.ends[self._ended(live.pop(0))] += 1
        self.seconds += time.monotonic() - began

    def queue(self) -> dict[str, Any]:
        found: dict[str, Any] = self._patiently("GET", "/queues/words")
        return found

    def look(self) -> dict[str, Any]:
        """The counters, the parked items with their reasons, and what the table holds."""
        parked: dict[str, str] = {}
        after = 0
        while some := self._patiently("GET", f"/queues/words/items?status=parked&limit=1000&after={after}"):
            parked.update((item["key"], item["error"]) for item in some)
            after = some[-1]["id"]
        with sqlite3.connect(self._folder / "table.db") as rows:
            loaded = [word for (word,) in rows.execute("SELECT word FROM words")]
        return {"queue": self.queue(), "parked": parked, "loaded": loaded}

    def _waiting(self) -> bool:
        return bool(self.queue()["waiting"])

    def _ended(self, job: dict[str, Any]) -> str:
        while True:
            found: dict[str, Any] = self._patiently("GET", f"/jobs/{job['id']}")
            if found["status"] in ("completed", "failed", "cancelled"):
                return str(found["status"])
            time.sleep(0.05)

    def _patiently(self, method: str, path: str, body: Any = None) -> Any:
        for _ in range(200):
            try:
                return self._stage.call(method, path, body)
            except OSError:  # the database is busy, or a page was killed with its process
                time.sleep(0.2)
        raise SystemExit(f"no answer to {method} {path}")


class Storm:
    """Kills a process of the tree now and then: a worker, a host or a step's process."""

    def __init__(self, stage: Console, between: float) -> None:
        self._tree, self._between = stage.pid, between
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._blow, daemon=True)
        self.killed: Counter[str] = Counter()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _blow(self) -> None:
        chance = random.Random()
        while not self._over.wait(chance.uniform(0.5, 1.5) * self._between):
            found = list(targets(self._tree))
            kind = chance.choices(list(SHARES), list(SHARES.values()))[0]
            if pids := [pid for pid, its in found if its == kind]:
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(pids), signal.SIGKILL)
                    self.killed[kind] += 1


def targets(tree: int) -> list[tuple[int, str]]:
    """Worker, hosts and steps' processes below this one, as /proc tells them."""
    parents: dict[int, int] = {}
    commands: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            commands[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    below = {tree}
    while more := {pid for pid, parent in parents.items() if parent in below and pid not in below}:
        below |= more
    hosts = {pid for pid in below if "kedro_console.host" in commands.get(pid, "")}
    first_hosts = {pid for pid in hosts if parents[pid] not in hosts}
    workers = {parents[pid] for pid in first_hosts} & below - {tree}
    return [
        *((pid, "step") for pid in hosts - first_hosts),
        *((pid, "host") for pid in first_hosts),
        *((pid, "worker") for pid in workers),
    ]


def report(items: int, loop: Loop, storm: Storm, first: dict[str, Any], back: int, last: dict[str, Any]) -> None:
    refused = {f"word {number:07}" for number in range(7, items, 500)}
    found = {
        "each item is in the table once": sorted(last["loaded"]) == [f"word {n:07}" for n in range(items)],
        "all refused ones were parked with their reasons": all(
            "is not a word" in first["parked"].get(key, "") for key in refused
        ),
        "before the park was emptied, the table held what was done": _agrees(first),
        "putting back emptied the park": back == len(first["parked"]) and not last["parked"],
        "the counters say the same": (last["queue"]["done"], last["queue"]["taken"]) == (items, 0),
    }
    print(f"{items:,} items in batches of {BATCH}, {loop.seconds:.0f} s; {conditions()}\n")
    print(f"runs: {dict(loop.ends)}; killed: {dict(storm.killed)}; parked: {len(first['parked'])}, "
          f"of which refused {len(refused)}, the others by bad luck\n")  # fmt: skip
    print(table(["", "seen"], [[sentence, "yes" if is_true else "NO"] for sentence, is_true in found.items()]))
    print(json.dumps({"batches_loop_ok": all(found.values()), "items_per_second": round(items / loop.seconds)}))
    if not all(found.values()):
        raise SystemExit(1)


def _agrees(look: dict[str, Any]) -> bool:
    """Done items are in the table; what else is there was written by runs that were killed and then parked."""
    loaded = set(look["loaded"])
    return len(loaded) == len(look["loaded"]) and look["queue"]["done"] == len(loaded - look["parked"].keys())


if __name__ == "__main__":
    main()
