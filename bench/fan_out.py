"""1 → 100 → 1 in one run: distributed and in threads by the console, against plain Celery on the same Redis.

Usage: python -m bench.fan_out [ROUNDS]
No-op nodes show what a step costs; naps of 0.1 s on 8 slots show how near the work comes to the ideal.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from bench.fan_project import NAP_SECONDS, WIDTH, write
from bench.stage import ROOT, Console, conditions, console, table
from console.env import embedded_socket

SLOTS = 8
STEPS = WIDTH + 2
IDEAL_NAPS = WIDTH * NAP_SECONDS / SLOTS
Figures = dict[str, list[float]]


def by_console(stage: Console, pipeline: str, runner: str, start: int) -> float:
    """Seconds from the submit to the end of one run, whose total was checked."""
    began = time.time()
    job = stage.call("POST", "/jobs", {"pipeline_name": pipeline, "runner": runner, "parameters": {"start": start}})
    job = stage.ended(job, pause=0.5)
    assert job["status"] == "completed", job["error_message"]
    assert job["results"]["total"]["value"] == WIDTH * start, "the work was not done"
    return datetime.fromisoformat(job["completed_at"]).timestamp() - began


def by_celery(nap_seconds: float, start: int) -> float:
    """Seconds of the same fan as a chord, whose total was checked."""
    from bench.plain_celery import fan

    began = time.time()
    assert fan(WIDTH, start, nap_seconds) == WIDTH * start, "the work was not done"
    return time.time() - began


@contextmanager
def celery_worker(folder: Path, pool: str) -> Iterator[None]:
    """A plain Celery worker with as many slots as ours."""
    command = [sys.executable, "-m", "celery", "-A", "bench.plain_celery", "worker", "-P", pool, "-c", str(SLOTS),
               "-n", f"{pool}@bench", "-Q", "plain", "--without-gossip", "--without-mingle"]  # fmt: skip
    plain = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}  # else it is ours
    with (folder / f"celery-{pool}.log").open("wb") as log:
        worker = subprocess.Popen(command, cwd=ROOT, env=plain, stdout=log, stderr=log)
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(30)


def measure(rounds: int, measured: Callable[[int], float]) -> list[float]:
    """The seconds of each round; one more before them warms everything and is not counted."""
    return [measured(number) for number in range(1, rounds + 2)][1:]


def measure_console(stage: Console, rounds: int, figures: Figures) -> None:
    for pipeline in ("noops", "naps"):
        for runner in ("distributed", "threads"):
            figures[f"{pipeline} {runner}"] = measure(rounds, lambda n: by_console(stage, pipeline, runner, n))  # noqa: B023


def measure_celery(stage: Console, rounds: int, figures: Figures) -> None:
    for pool in ("threads", "prefork"):
        with celery_worker(stage.folder, pool):
            figures[f"noops celery {pool}"] = measure(rounds, lambda n: by_celery(0.0, n))
            figures[f"naps celery {pool}"] = measure(rounds, lambda n: by_celery(NAP_SECONDS, n))


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    figures: Figures = {}
    with console("--no-demo", "--workers", str(SLOTS)) as stage:
        redis = f"redis+socket://{embedded_socket(stage.folder / 'var')}?virtual_host="
        os.environ |= {"PLAIN_CELERY_BROKER": f"{redis}8", "PLAIN_CELERY_BACKEND": f"{redis}9"}
        stage.manage("project", "add", str(write(stage.folder / "fans")))
        stage.manage("shell", "-c", f"from jobs.models import Pipeline; Pipeline.objects.update(max_workers={SLOTS})")
        before = conditions()
        measure_console(stage, rounds, figures)
        measure_celery(stage, rounds, figures)
    report({name: statistics.median(seconds) for name, seconds in figures.items()}, rounds, before)


def report(median: dict[str, float], rounds: int, before: str) -> None:
    print(f"1 → {WIDTH} → 1, medians of {rounds} rounds; {before}, then {conditions()}; "
          f"Celery {version('celery')}, Kedro {version('kedro')}\n")  # fmt: skip
    rows = []
    for runner, process in (
        ("distributed", "the run's, a step at a time"), ("threads", "the run's"),
        ("celery threads", "the worker's"), ("celery prefork", "the worker's"),
    ):  # fmt: skip
        noops, naps = median[f"noops {runner}"], median[f"naps {runner}"]
        rows.append([
            runner if "celery" in runner else f"console, {runner}",
            process,
            f"{naps / IDEAL_NAPS:.2f} ×",
            f"{naps:.2f} s",
            f"{noops:.2f} s",
            f"{noops / STEPS * 1000:.1f} ms",
        ])  # fmt: skip
    head = ["", "process", "naps / ideal", f"naps (ideal {IDEAL_NAPS:.2f} s)", "no-ops", "a step"]
    print(table(head, rows))
    distributed = median["noops distributed"] / STEPS
    print(json.dumps({
        "naps_ratio": round(median["naps distributed"] / IDEAL_NAPS, 2),
        "naps_ratio_threads": round(median["naps threads"] / IDEAL_NAPS, 2),
        "naps_against_celery": round(median["naps distributed"] / median["naps celery prefork"], 2),
        "step_ms": round(distributed * 1000, 1),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
