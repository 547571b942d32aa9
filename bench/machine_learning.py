"""A machine-learning project of nine nodes: distributed over two workers by the console, against `kedro run`.

Usage: python -m bench.machine_learning [ROUNDS]
Both ways have to come to exactly the same models and figures. `kedro run` starts an interpreter each time; the workers
run each step in a child of their warm hosts.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from bench.houses_project import kedro_run, take_report, write
from bench.stage import ROOT, Console, conditions, console, table

Report = dict[str, object]


@contextmanager
def second_worker(stage: Console) -> Iterator[None]:
    """Another worker beside the one that the console started, with one slot as well."""
    options = [
        "-P",
        "threads",
        "-c",
        "1",
        "-n",
        "second@bench",
        "-Q",
        "default",
        "--without-gossip",
        "--without-mingle",
    ]
    command = [sys.executable, "-m", "celery", "-A", "console", "worker", *options]
    with (stage.folder / "second.log").open("wb") as log:
        worker = subprocess.Popen(command, cwd=ROOT, env=stage.environment, stdout=log, stderr=log)
    try:
        _wait(lambda: sum(each["state"] == "working" for each in stage.call("GET", "/workers")) == 2)
        yield
    finally:
        worker.terminate()
        worker.wait(30)


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("the second worker did not answer")
        time.sleep(0.1)


def by_kedro(project: Path) -> tuple[float, Report]:
    began = time.time()
    report = kedro_run(project)
    return time.time() - began, report


def by_console(stage: Console, project: Path) -> tuple[float, Report]:
    """Seconds from the submit to the end of a distributed run that both workers shared, and its report."""
    began = time.time()
    job = stage.call("POST", "/jobs", {"pipeline_name": "__default__", "runner": "distributed"})
    job = stage.ended(job, pause=0.1)
    assert job["status"] == "completed", job["error_message"]
    seconds = datetime.fromisoformat(job["completed_at"]).timestamp() - began
    return seconds, take_report(project)


def shares(stage: Console) -> dict[str, int]:
    """How many steps each worker has done."""
    code = (
        "import json; from jobs.models import Step; from django.db.models import Count; "
        "rows = Step.objects.order_by().values_list('worker_name').annotate(Count('pk')); print(json.dumps(dict(rows)))"
    )
    command = [sys.executable, "manage.py", "shell", "-v", "0", "-c", code]
    said = subprocess.run(command, cwd=ROOT, env=stage.environment, check=True, capture_output=True, text=True)
    found: dict[str, int] = json.loads(said.stdout)
    return found


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    before = conditions()
    kedro, ours = [], []
    with console("--no-demo", "--workers", "1") as stage, second_worker(stage):
        project = write(stage.folder / "houses")
        stage.manage("project", "add", str(project))
        for _ in range(rounds + 1):  # the first round warms both and is not counted
            kedro.append(by_kedro(project))
            ours.append(by_console(stage, project))
        done = shares(stage)
    assert all(report == kedro[0][1] for _, report in [*kedro, *ours]), "the models differ"
    assert len(done) == 2, f"one worker did everything: {done}"
    report(statistics.median(s for s, _ in kedro[1:]), statistics.median(s for s, _ in ours[1:]), kedro[0][1], done)
    print(f"medians of {rounds} rounds in turn; {before}, then {conditions()}; Kedro {version('kedro')}")


def report(kedro: float, ours: float, made: Report, done: dict[str, int]) -> None:
    scores = made["scores"]
    assert isinstance(scores, dict)
    print("Nine nodes, two models; R² of both ways, to the last digit: "
          + ", ".join(f"{name} {score:.6f}" for name, score in scores.items()))  # fmt: skip
    print("Steps by worker, over all rounds: " + ", ".join(f"{name} {count}" for name, count in done.items()) + "\n")
    rows = [
        ["console, distributed over two workers", f"{ours / kedro:.2f} ×", f"{ours:.2f} s"],
        ["kedro run", "1.00 ×", f"{kedro:.2f} s"],
    ]
    print(table(["", "against kedro run", "start → done"], rows))
    print(json.dumps({"ml_ratio": round(ours / kedro, 2)}))


if __name__ == "__main__":
    main()
