"""A hundred thousand items through a pipeline that starts itself by a rule, with random failures and random kills.

Usage: python -m bench.loop [ITEMS] [SECONDS BETWEEN KILLS]
Nodes raise, refuse items and kill their own process; meanwhile workers, hosts and steps' processes are killed. What has
to be seen: a table, loaded by kedro_console.tables, that holds each item once; the refused ones parked with their
reasons; none parked after they were put back.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from contextlib import closing
from typing import Any

from bench.batches_loop import Storm
from bench.signals_project import write_signals_project
from bench.stage import Console, conditions, console, table

ITEMS = 100_000
BATCH = 250
BAD_LUCK = 0.03
SECONDS_BETWEEN_KILLS = 3.0
LONGEST_SECONDS = 1_800
CHAINS = 2


class Loop:
    """The chains of runs, and what they left."""

    def __init__(self, stage: Console, items: int) -> None:
        self.stage, self.items = stage, items

    def start(self, pipeline: str, **parameters: Any) -> None:
        self.patiently("POST", "/jobs", {"pipeline_name": pipeline, "parameters": parameters})

    def fill(self) -> None:
        self.start("fill", number=self.items)
        self.wait(lambda queue: sum(queue[name] for name in ("waiting", "taken", "done", "parked")) == self.items)

    def run_dry(self, bad_luck: float) -> float:
        """Seconds until nothing waits; only rules start further runs."""
        began = time.monotonic()
        for _ in range(CHAINS):
            self.start("loop", count=BATCH, folder=str(self.stage.folder), bad_luck=bad_luck)
        self.wait(lambda queue: not queue["waiting"] and not queue["taken"])
        return time.monotonic() - began

    def wait(self, condition: Any) -> None:
        deadline = time.monotonic() + LONGEST_SECONDS
        while not condition(self.queue()):
            if time.monotonic() > deadline:
                raise SystemExit(f"not done after {LONGEST_SECONDS} s: {self.queue()}")
            time.sleep(0.5)

    def queue(self) -> dict[str, Any]:
        found: dict[str, Any] = self.patiently("GET", "/queues/words")
        return found

    def parked(self) -> dict[str, str]:
        """Key and reason of every parked item."""
        found: dict[str, str] = {}
        after = 0
        while some := self.patiently("GET", f"/queues/words/items?status=parked&limit=1000&after={after}"):
            found.update((item["key"], item["error"]) for item in some)
            after = some[-1]["id"]
        return found

    def loaded(self) -> list[str]:
        with closing(sqlite3.connect(self.stage.folder / "table.db")) as rows:
            return [word for (word,) in rows.execute("SELECT word FROM words ORDER BY word")]

    def patiently(self, method: str, path: str, body: Any = None) -> Any:
        for _ in range(300):
            try:
                return self.stage.call(method, path, body)
            except OSError:  # the database is busy, or a page was killed with its process
                time.sleep(0.2)
        raise SystemExit(f"no answer to {method} {path}")


def main() -> None:
    words = [word.replace(",", "").replace("_", "") for word in sys.argv[1:]]
    items = int(words[0]) if words else ITEMS
    between = float(words[1]) if len(words) > 1 else SECONDS_BETWEEN_KILLS
    with console("--no-demo") as stage:
        stage.manage("project", "add", str(write_signals_project(stage.folder / "signals", 1)))
        loop, storm = Loop(stage, items), Storm(stage, between)
        loop.fill()
        with storm:
            seconds = loop.run_dry(BAD_LUCK)
        parked, before = loop.parked(), loop.loaded()
        (stage.folder / "mended").touch()
        back = loop.patiently("POST", "/queues/words/put-back", {})["items"]
        seconds += loop.run_dry(0.0)
        report(loop, storm, seconds, parked, before, back)


def report(loop: Loop, storm: Storm, seconds: float, parked: dict[str, str], before: list[str], back: int) -> None:
    every = [f"word {number:07}" for number in range(loop.items)]
    refused = set(every[7::500])
    queue = loop.queue()
    found = {
        "each item is in the table once": loop.loaded() == every,
        "no item was in it twice before the park was emptied": len(before) == len(set(before)),
        "what was not parked was in it": set(every) - parked.keys() <= set(before),
        "all refused ones were parked, each with a reason": all(parked.get(key) for key in refused),
        "putting the parked back emptied the park": back == len(parked) and not loop.parked(),
        "the counters say the same": (queue["done"], queue["waiting"], queue["taken"]) == (loop.items, 0, 0),
    }
    print(f"{loop.items:,} items in batches of {BATCH} in {CHAINS} chains, {seconds:.0f} s; {conditions()}")
    own = sum("is not a word" in reason for reason in parked.values())
    print(f"killed: {dict(storm.killed)}; parked: {len(parked)}, of which refused {len(refused)}")
    print(f"{own} of the parked say why the node refused them, the others how the run of their last try ended")
    print()
    print(table(["", "seen"], [[sentence, "yes" if is_true else "NO"] for sentence, is_true in found.items()]))
    print(json.dumps({"loop_ok": all(found.values()), "items_per_second": round(loop.items / seconds)}))
    if not all(found.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
