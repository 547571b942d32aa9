"""What clients that hold on take from others: 200 that drip headers, 200 whose bodies never come, 200 slow downloads.

Usage: python -m bench.slow_clients [COUNT] [SERVER …]

Asked meanwhile: /api/v1/health, on new connections. SERVER: `ours`, or another one that serves console.wsgi and is
installed (`waitress`, `gunicorn`, `gevent`, `granian`, `uvicorn`), for comparison; with none given, ours.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.stage import ROOT, conditions, free_port, table
from tests.slow_clients import Place, ask, bodies, drip, heads, kept_busy, latencies, readers, sip

SECONDS = 8
FILE_MB = 30
PYTHON = sys.executable
SERVERS: dict[str, Callable[[int], list[str]]] = {
    "ours": lambda port: [PYTHON, "-m", "console", "web", "--port", str(port)],
    "waitress": lambda port: [
        *(PYTHON, "-m", "waitress", "--threads=8", f"--listen=127.0.0.1:{port}", "console.wsgi:application"),
    ],
    "gunicorn": lambda port: [
        *(PYTHON, "-m", "gunicorn", "console.wsgi", "--worker-class=gthread", "--threads=16"),
        *("--no-control-socket", f"--bind=127.0.0.1:{port}"),
    ],
    "gevent": lambda port: [
        *(PYTHON, "-m", "gunicorn", "console.wsgi", "--worker-class=gevent", "--no-control-socket"),
        f"--bind=127.0.0.1:{port}",
    ],
    "granian": lambda port: [
        *(PYTHON, "-m", "granian", "--interface=wsgi", "--blocking-threads=16", f"--port={port}"),
        "console.wsgi:application",
    ],
    "uvicorn": lambda port: [PYTHON, "-m", "uvicorn", f"--port={port}", "console.asgi:application"],
}  # fmt: skip
MAKE = """
import os, hashlib
from datetime import timedelta
from django.core.files.base import ContentFile
from django.contrib.auth.models import User
from console.models import ApiToken
from jobs import clock
from jobs.interpreters.artifacts import key_of, store
from jobs.models import Artifact, Pipeline, Project
from jobs.runs.launch import launch
from tests.factories import make_pipeline
run = launch(make_pipeline(), at=clock.now(), cause="manual")
data = os.urandom({mb} * 1024 * 1024)
sha256 = hashlib.sha256(data).hexdigest()
store().save(key_of(sha256), ContentFile(data))
row = Artifact.objects.create(run=run, name="big.bin", size_bytes=len(data), sha256=sha256, dataset="big",
    media_type="application/octet-stream", created_at=clock.now())
_, secret = ApiToken.objects.create(User.objects.get(username="admin"), timedelta(days=1), role="admin")
print(row.uuid, secret)
"""


class Stage:
    """A database with one artifact, a token for it, and a broker: what every server is tried with."""

    def __init__(self, folder: Path) -> None:
        self.environment = {
            **os.environ,
            "CONSOLE_VAR": str(folder),
            "CONSOLE_ADMIN_PASSWORD": "for-one-bench-only",
            "MALLOC_ARENA_MAX": "2",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "pipelines"), os.environ.get("PYTHONPATH", "")]),
        }
        self.folder = folder
        self.run("prepare")
        self.artifact, self.token = self.run("shell", "-v", "0", "-c", MAKE.format(mb=FILE_MB)).split()[-2:]

    def run(self, *words: str) -> str:
        command = [PYTHON, "manage.py", *words]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True
        ).stdout

    @contextmanager
    def process(self, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder / "server.log").open("ab") as log:
            started = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        try:
            yield started
        finally:
            started.send_signal(signal.SIGTERM)
            try:
                started.wait(15)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


def redis(folder: Path) -> list[str]:
    from console.env import read
    from console.tree.programs import redis as command

    (folder / "redis").mkdir(exist_ok=True)
    return command(read({"CONSOLE_VAR": str(folder)}))


def megabytes(process: int) -> int:
    """Proportional memory of this process and its children."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True).stdout.split()
    total = 0
    for number in [str(process), *found]:
        rollup = Path(f"/proc/{number}/smaps_rollup").read_text()
        total += int(rollup.split("Pss:")[1].split()[0])
    return total // 1024


def attacked(place: Place, process: int, stage: Stage, count: int) -> Iterator[str]:
    """One cell for each attack: median and worst of health, and the memory at its end."""
    token = f"Authorization: Bearer {stage.token}\r\n"
    path = f"/api/v1/artifacts/{stage.artifact}/download"
    for make, do in (
        (lambda: heads(place, count, "/api/v1/health"), drip),
        (lambda: bodies(place, count, "/api/v1/jobs", token), lambda _: None),
        (lambda: readers(place, count, path, token), sip),
    ):
        with kept_busy(make(), do):
            try:
                taken = sorted(latencies(place, "/api/v1/health", SECONDS))
                yield f"{taken[len(taken) // 2] * 1000:.0f}, {taken[-1] * 1000:.0f} ms ({megabytes(process)} MB)"
            except (OSError, AssertionError):
                yield f"stops ({megabytes(process)} MB)"
        time.sleep(3)


def measured(name: str, count: int) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="kc-slow-") as folder:
        stage, port = Stage(Path(folder)), free_port()
        place = ("127.0.0.1", port)
        with stage.process(redis(Path(folder))), stage.process(SERVERS[name](port)) as server:
            _wait(place, stage)
            cells = list(attacked(place, server.pid, stage, count))
            with kept_busy(_all_at_once(place, stage, count), lambda _: None):
                began = time.monotonic()
                server.send_signal(signal.SIGTERM)
                try:
                    server.wait(15)
                    end = f"{time.monotonic() - began:.1f} s"
                except subprocess.TimeoutExpired:
                    end = "not within 15 s"
    return [name, *cells, end]


def _all_at_once(place: Place, stage: Stage, count: int) -> list[object]:
    token = f"Authorization: Bearer {stage.token}\r\n"
    path = f"/api/v1/artifacts/{stage.artifact}/download"
    try:
        return [*heads(place, count // 4, "/"), *readers(place, count // 4, path, token)]
    except OSError:
        return []  # it is held already


def _wait(place: Place, stage: Stage) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if ask(place, "/api/v1/health") == 200:
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit((stage.folder / "server.log").read_text()[-2000:])


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    head = ["server", f"{count} drip headers", f"{count} without a body", f"{count} slow downloads", "SIGTERM, held"]
    rows = [measured(name, count) for name in sys.argv[2:] or ["ours"]]
    print(f"health, median and worst; {conditions()}\n")
    print(table(head, rows))


if __name__ == "__main__":
    main()
