"""A fresh console for the cases: the whole tree as `make up` starts it, in a folder of its own, asked over HTTP."""

from __future__ import annotations

import http.cookiejar
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from tests.cases.described import Case, Command
from tests.cases.plain import OURS, Ended

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 180
RUN_SECONDS = 900
LINES = 5_000
PASSWORD = "only-for-the-cases"
EXIT_CODES = {"completed": 0, "failed": 1, "cancelled": 3}
T = TypeVar("T")


class ConsoleError(Exception):
    """The console did not do what the case needs, as a sentence."""


@dataclass(frozen=True)
class Answer:
    """What an HTTP request was answered with: the status, and the JSON or text."""

    status: int
    body: Any


@dataclass
class Console:
    """The running tree. `manage` runs one of its commands, `ask` one request, `run` one pipeline to its end."""

    folder: Path
    port: int = field(default_factory=lambda: free_port())
    tree: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self._cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))

    def start(self) -> Console:
        with (self.folder / "up.log").open("wb") as output:
            self.tree = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--no-demo", "--port", str(self.port)],
                cwd=ROOT, env=self._environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        self.until(lambda: self._is_ready(), START_SECONDS, "The console does not serve")
        return self

    def _is_ready(self) -> bool:
        if self.tree is None or self.tree.poll() is not None:
            raise ConsoleError(f"The console ended: {(self.folder / 'up.log').read_text()[-2_000:]}")
        try:
            return self.ask("GET", "health").status == 200
        except OSError:
            return False

    def stop(self) -> None:
        if self.tree is not None and self.tree.poll() is None:
            self.tree.send_signal(signal.SIGINT)
            self.tree.wait(60)

    @property
    def _environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        own = {"CONSOLE_VAR": str(self.folder / "var"), "CONSOLE_ADMIN_PASSWORD": PASSWORD}
        return {**clean, **own, "CONSOLE_ANONYMOUS_API": "operator"}

    def manage(self, *words: str) -> Ended:
        """`python manage.py …` on this console."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words], cwd=ROOT, env=self._environment, capture_output=True, text=True,
            timeout=RUN_SECONDS, check=False,
        )  # fmt: skip
        return Ended(done.returncode, tuple(f"{done.stdout}\n{done.stderr}".splitlines()))

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """One request below /api/v1; a refusal is an answer too."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1/{path}", data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer(answer.status, json.loads(answer.read()))
        except urllib.error.HTTPError as refusal:
            text = refusal.read().decode("utf-8", "replace")
            try:
                return Answer(refusal.code, json.loads(text))
            except ValueError:
                return Answer(refusal.code, text)

    def page(self, path: str) -> str:
        """The text of a page as the administrator sees it, with its tags."""
        if not self._cookies:
            login = f"{self.address}/login/"
            self._opener.open(login, timeout=60).read()
            token = next(each.value for each in self._cookies if each.name.endswith("csrftoken"))
            form = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": token}
            self._opener.open(login, urllib.parse.urlencode(form).encode(), timeout=60).read()
        with self._opener.open(f"{self.address}{path}", timeout=60) as answer:
            return str(answer.read().decode("utf-8"))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def shell(self, code: str) -> list[str]:
        """What a few lines of Python print inside of this console."""
        done = self.manage("shell", "-v", "0", "-c", code)
        if done.exit_code:
            raise ConsoleError("\n".join(done.lines[-5:]))
        return [line for line in done.lines if line.strip()]

    def add(self, case: Case, project: Path, name: str, env: str = "") -> Ended:
        """`project add`; its exit code and words are the console's answer to what cannot be run."""
        words = ["project", "add", str(project), "--name", name, "--python", case.python]
        return self.manage(*words, *(["--env", env] if env else []))

    def submit(self, name: str, command: Command, **more: Any) -> Answer:
        return self.ask("POST", "jobs", {**command.asked, "project": name, **more})

    def run(self, name: str, project: Path, command: Command, runner: str) -> Ended:
        """The run's end in the words of `kedro run`: 0 succeeded, 1 failed; a refusal is 1 with its sentence."""
        more = {"env": command.env} if command.env else {}
        answer = self.submit(name, command, runner=runner, **more)
        if answer.status not in (200, 201):
            return Ended(1, (), f"{answer.status} {json.dumps(answer.body)[:300]}")
        found = self.ended(str(answer.body["id"]))
        return replace(found, lines=tuple(line.replace(str(project), "…") for line in found.lines))

    def ended(self, job: str) -> Ended:
        found = self.until(lambda: self._ended(job), RUN_SECONDS, f"Job {job} does not end")
        return Ended(EXIT_CODES[found["status"]], tuple(self.lines(job)), str(found.get("error") or ""))

    def job(self, job: str) -> dict[str, Any]:
        body = self.ask("GET", f"jobs/{job}").body
        assert isinstance(body, dict), body
        return body

    def _ended(self, job: str) -> dict[str, Any] | None:
        found = self.job(job)
        return found if found["status"] in EXIT_CODES else None

    def lines(self, job: str) -> list[str]:
        """The log as `LEVEL text` lines."""
        return [f"{line['level']} {line['text']}" for line in self.log(job)]

    def log(self, job: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            page = self.ask("GET", f"jobs/{job}/logs?after={after}&limit={LINES}").body
            found += page["lines"]
            if not page["has_more"]:
                return found
            after = page["last_seq"]

    @staticmethod
    def until(condition: Callable[[], T], seconds: float, otherwise: str) -> T:
        """The condition's first true value."""
        deadline = time.monotonic() + seconds
        while True:
            if value := condition():
                return value
            if time.monotonic() > deadline:
                raise ConsoleError(f"{otherwise} within {seconds:.0f} s.")
            time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])
