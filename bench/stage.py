"""A console of its own for a benchmark: started as a user would start it, in a folder that is thrown away."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Console:
    """The running console: its address and its commands."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.url = folder, f"http://127.0.0.1:{port}/api/v1"
        self.pid = 0
        self.password = secrets.token_urlsafe(12)
        """The administrator's."""
        named = {"CONSOLE_ADMIN_PASSWORD": self.password}
        self.environment = {**os.environ, **named, "CONSOLE_VAR": str(folder / "var"), "PORT": str(port)}

    def manage(self, *words: str) -> None:
        subprocess.run([sys.executable, "manage.py", *words], cwd=ROOT, env=self.environment, check=True)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def ended(self, job: dict[str, Any], seconds: float = 120, pause: float = 0.02) -> dict[str, Any]:
        """The job when it has ended; asking often costs the processor time that a long run needs."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.call("GET", f"/jobs/{job['id']}")
            if found["status"] in ("completed", "failed", "cancelled"):
                return found
            time.sleep(pause)
        raise SystemExit(f"the job {job['id']} did not end within {seconds} s")


@contextmanager
def console(*options: str, before: Sequence[tuple[str, ...]] = ()) -> Iterator[Console]:
    """A console that answers; everything it started is gone afterwards. `before` are commands that come first."""
    with tempfile.TemporaryDirectory(prefix="kc-bench-") as folder:
        port = free_port()
        made = Console(Path(folder), port)
        for words in before:
            made.manage(*words)
        with (Path(folder) / "up.log").open("wb") as log:
            tree = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--port", str(port), *options],
                cwd=ROOT, env=made.environment, stdout=log, stderr=log,
            )  # fmt: skip
        made.pid = tree.pid
        try:
            _wait(made, tree, Path(folder) / "up.log")
            yield made
        finally:
            tree.send_signal(signal.SIGTERM)
            tree.wait(60)


def _wait(made: Console, tree: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if made.call("GET", "/health")["status"] == "ok" and made.call("GET", "/workers"):
                return
        except OSError:
            pass
        if tree.poll() is not None:
            raise SystemExit(log.read_text()[-2000:])
        time.sleep(0.1)
    raise SystemExit(f"the console did not answer:\n{log.read_text()[-2000:]}")


def conditions() -> str:
    """One line about the machine and its load, so that a figure can be judged."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, load {load:.1f}, Python {sys.version.split()[0]}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Columns aligned for a terminal."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
