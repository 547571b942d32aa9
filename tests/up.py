"""`up` as a person starts it: real processes, asked over the network."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from console.tree import processes
from tests.live import ROOT, until

OURS = (
    "CONSOLE_",
    "DATABASE_URL",
    "REDIS_URL",
    "ALLOWED_HOSTS",
    "KEDRO_PROJECT_PATH",
    "DEMO_API_URL",
    "DEBUG",
    "DJANGO_",
    "PYTHONPATH",
    "SECRET_KEY",
    "XDG_",
)
PATIENCE_SECONDS = 90
"""Long: the machine may be busy with other things. Every wait ends as soon as its condition holds."""
FROM_THE_CLONE = (sys.executable, str(ROOT / "manage.py"))


class Up:
    """One folder that `up` is started in, again and again."""

    def __init__(self, folder: Path, command: Sequence[str] = FROM_THE_CLONE) -> None:
        self.folder, self.command = folder, command
        self.folder.mkdir(exist_ok=True)
        self.var = folder.with_name(f"{folder.name}, 100% #1; var")
        self.port = free_port()

    def start(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        with self.output.open("wb") as output:
            return subprocess.Popen(
                [*self.command, "up", *words, "--port", str(self.port)],
                cwd=self.folder,
                env={**clean, "CONSOLE_VAR": str(self.var), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def started(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        """As `start`, when it has said that it serves."""
        parent = self.start(*words, **environment)
        until(lambda: parent.poll() is not None or "serves on" in self.said, seconds=PATIENCE_SECONDS, what="it serves")
        assert parent.poll() is None, self.said
        return parent

    def refused(self, *words: str, **environment: str) -> str:
        """What a start that ends by itself says."""
        assert self.start(*words, **environment).wait(PATIENCE_SECONDS) == 1, self.said
        assert "Traceback" not in self.said
        return self.said

    @property
    def output(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.output")

    @property
    def said(self) -> str:
        return self.output.read_text()

    @property
    def living(self) -> list[processes.Process]:
        return processes.left_behind(self.var)

    def page(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", "/login/")
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: str = "") -> tuple[int, dict[str, Any]]:
        """The API's answer; status 0 when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, f"/api/v1{path}", body or None, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except OSError:
            return 0, {}
        finally:
            connection.close()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
