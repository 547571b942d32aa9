"""The processes of the test: Redis with its append-only file; workers, beat and pages, started again when they die."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

from django.conf import settings

from tests import live

MARK: Final = "KEDRO_CONSOLE_CHAOS"
"""In the environment of every process of the test, down to the steps' children."""
QUEUE: Final = "chaos"
QUEUES: Final = f"{QUEUE},default"
"""Beat's own tasks come in the default one."""
BEAT: Final = "beat"
WEB: Final = "web"
RESTART_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 45.0


def spawn(name: str, command: list[str], **changes: str) -> subprocess.Popen[bytes]:
    with (settings.VAR / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=live.ROOT, env={**os.environ, **changes},
            start_new_session=True,
        )  # fmt: skip


class Redis:
    """The broker; its file is in a folder that a restart may lose."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._socket = Path(settings.REDIS_URL.removeprefix("unix://"))
        self._folder = settings.VAR / "redis"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._folder.mkdir(exist_ok=True)
        self._socket.parent.mkdir(parents=True, exist_ok=True)
        self._socket.unlink(missing_ok=True)
        words = ["--port", "0", "--unixsocketperm", "700", "--appendonly", "yes", "--appendfsync", "everysec"]
        command = [live.redis_command(), *words, "--unixsocket", str(self._socket), "--dir", str(self._folder)]
        self._process = spawn("redis", [*command, "--save", ""], **{MARK: self._mark})
        live.until(self._socket.exists, seconds=30, what="redis listens")

    def kill(self, *, keeps_file: bool) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
        if not keeps_file:
            shutil.rmtree(self._folder)

    def signal(self, number: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(number)

    def stop(self) -> None:
        if self._process:
            live.end(self._process)


class Fleet:
    """Workers, beat and pages by name, each started again a moment after its end, as a service manager does."""

    def __init__(self, mark: str, *, workers: int, slots: int, lease_seconds: int) -> None:
        self.names = [f"w{number + 1}" for number in range(workers)]
        self.port = free_port()
        self.restarts = 0
        self._changes = {
            MARK: mark,
            "CONSOLE_WORKER_QUEUES": QUEUES,
            "CONSOLE_WORKER_SLOTS": str(slots),
            "CONSOLE_LEASE_SECONDS": str(lease_seconds),
            "PYTHONUNBUFFERED": "1",
        }
        self._slots = slots
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._is_over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="fleet")

    def start(self) -> None:
        for name in (*self.names, BEAT, WEB):
            self._processes[name] = self._spawn(name)
        self._keeper.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def signal(self, name: str, number: signal.Signals) -> None:
        self._processes[name].send_signal(number)

    def stop(self) -> None:
        """SIGTERM to all; who is not gone in time is left for the auditor to find."""
        self._is_over.set()
        self._keeper.join()
        for process in self._processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        deadline = time.monotonic() + PATIENCE_SECONDS
        for process in self._processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue

    def _keep(self) -> None:
        died: dict[str, float] = {}
        while not self._is_over.wait(0.1):
            for name, process in self._processes.items():
                if process.poll() is None:
                    died.pop(name, None)
                elif time.monotonic() - died.setdefault(name, time.monotonic()) >= RESTART_SECONDS:
                    self._processes[name] = self._spawn(name)
                    self.restarts += 1

    def _spawn(self, name: str) -> subprocess.Popen[bytes]:
        return spawn(name, self._command(name), **self._changes)

    def _command(self, name: str) -> list[str]:
        if name == BEAT:
            return [sys.executable, "-m", "console", "beat"]
        if name == WEB:
            return [sys.executable, "-m", "console", "web", "--host", "127.0.0.1", "--port", str(self.port)]
        return [
            sys.executable, "-m", "celery", "-A", "console", "worker", "-P", "threads", "-c", str(self._slots),
            "-l", "INFO", "-n", f"{name}@chaos", "--without-gossip", "--without-mingle", "-Q", QUEUES,
        ]  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def marked(mark: str) -> dict[int, str]:
    """The living processes of this test by pid, each with its command line, as /proc tells them."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}\0".encode() in (folder / "environ").read_bytes() + b"\0":
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue  # it ended in this moment, or is another user's
    return {pid: command for pid, command in found.items() if command}


def parent(pid: int) -> int:
    """0 when there is no such process."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def family(pid: int) -> list[int]:
    """This process and its children."""
    below = [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]
    return [pid, *below]


def hosts_and_children(mark: str) -> tuple[list[int], list[int]]:
    """The warm hosts, and the steps' processes below them."""
    ours = [pid for pid, command in marked(mark).items() if "kedro_console." in command]
    above = {pid: parent(pid) for pid in ours}
    hosts = [pid for pid in ours if above[pid] not in above]
    return hosts, [pid for pid in ours if above[pid] in above]
