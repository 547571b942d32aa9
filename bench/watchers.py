"""What it costs the pages when many people watch one run: 20 of them, 200 nodes of which 8 run at once.

Usage: python -m bench.watchers [PEOPLE] [SECONDS]

The run is made of rows alone, and moves on all the time; each watcher asks every two seconds, as a page does, with a
login of its own. Told: how much of one processor the pages took, and how soon they answered.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from statistics import median, quantiles

from bench.stage import ROOT, conditions, free_port, table

PERIOD = 2.0
TICK = os.sysconf("SC_CLK_TCK")
MAKE = """
from django.test import Client
from tests import large_pipelines as large
from tests.factories import make_user
from tests.views.scenes import ended, running
pipeline = large.two_hundred()
for _ in range(3):
    ended(pipeline=pipeline).node_runs.update(status="succeeded", seconds=2.0)
run = running(pipeline=pipeline)
run.node_runs.update(status="waiting", started_at=None)
print("run", run.pk)
for number in range({people}):
    user = make_user(f"watcher-{{number}}", "operator")
    client = Client()
    client.force_login(user)
    print("session", client.cookies["sessionid"].value)
"""
MOVE = """
import time
from jobs import clock
from jobs.models import NodeRun, Run
end = time.monotonic() + {seconds}
place = 0
while time.monotonic() < end:
    at = clock.now()
    NodeRun.objects.filter(run={run}, status="running").update(status="succeeded", finished_at=at, seconds=1.0)
    names = [f"lane_{{lane}}.node_{{place % 20}}" for lane in range(8)]
    NodeRun.objects.filter(run={run}, name__in=names).update(status="running", started_at=at)
    place += 1
    done = NodeRun.objects.filter(run={run}, status="succeeded").count()
    Run.objects.filter(pk={run}).update(nodes_done=done, seq=place)
    time.sleep(0.5)
"""


def main() -> int:
    given = [int(word) for word in sys.argv[1:3]]
    people, seconds = [*given, *(20, 30)[len(given) :]]
    with tempfile.TemporaryDirectory() as var:
        environment = {**os.environ, "CONSOLE_VAR": var, "SECRET_KEY": "k" * 50}
        environment["PYTHONPATH"] = f"{ROOT}/pipelines:{ROOT}"
        _manage(environment, "migrate", "-v0")
        lines = _shell(environment, MAKE.format(people=people)).splitlines()
        told = [line.split() for line in lines if line.startswith(("run ", "session "))]
        run = next(value for name, value in told if name == "run")
        sessions = [value for name, value in told if name == "session"]
        port = free_port()
        web = subprocess.Popen([sys.executable, "-m", "console", "web", "--port", str(port)], cwd=ROOT, env=environment)
        try:
            address = f"http://127.0.0.1:{port}/runs/{run}/?poll=1"
            spent, times = _watch(environment, web.pid, address, run, sessions, seconds)
        finally:
            web.terminate()
            web.wait(30)
    print(conditions())
    answers = [f"{1000 * each:.0f} ms" for each in (median(times), quantiles(times, n=20)[-1])]
    row = [str(people), str(len(times)), f"{100 * spent / seconds:.0f} %", *answers]
    print(table(["watchers", "answers", "of one processor", "median", "p95"], [row]))
    return 0


def _watch(
    environment: dict[str, str], pid: int, address: str, run: str, sessions: list[str], seconds: int
) -> tuple[float, list[float]]:
    """Processor seconds of the pages, and how long each answer took."""
    _wait_for(address.partition("/runs/")[0] + "/live")
    mover = subprocess.Popen(
        [sys.executable, "manage.py", "shell", "-c", MOVE.format(run=run, seconds=seconds)], cwd=ROOT, env=environment
    )
    times: list[float] = []
    before, end = _processor(pid), time.monotonic() + seconds
    threads = [threading.Thread(target=_one, args=(address, each, end, times)) for each in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    mover.wait(60)
    return _processor(pid) - before, times


def _one(address: str, session: str, end: float, times: list[float]) -> None:
    headers = {"Cookie": f"sessionid={session}", "HX-Request": "true"}
    while time.monotonic() < end:
        began = time.monotonic()
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=30) as answer:
            if b'id="run"' not in answer.read():
                raise SystemExit("This is no refresh of the run's page.")
        times.append(time.monotonic() - began)
        time.sleep(max(0.0, PERIOD - (time.monotonic() - began)))


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("The pages did not start.")


def _processor(pid: int) -> float:
    """Seconds that this process and its children have used so far."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    own = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(own[11]) + int(own[12])) / TICK + sum(_processor(int(child)) for child in children)


def _manage(environment: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *words], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


def _shell(environment: dict[str, str], code: str) -> str:
    return _manage(environment, "shell", "-c", code)


if __name__ == "__main__":
    raise SystemExit(main())
