"""A small synchronous client of a host: what a supervisor does, for tests and benchmarks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import kedro_console
from kedro_console import wire

PIPELINES = str(Path(kedro_console.__file__).parent.parent)
SECONDS = 60.0
M = TypeVar("M", bound=wire.Message)


def until(condition: Any, seconds: float = 90.0) -> None:
    """Returns when `condition()` is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


@dataclass
class HostProcess:
    """A host with its lifeline in our hand."""

    project: Path
    socket: Path
    options: list[str] = field(default_factory=list)
    python: str = sys.executable
    environment: dict[str, str] = field(default_factory=dict)
    code: str = ""

    def start(self) -> HostProcess:
        command = [self.python, "-m", "kedro_console.host", "--socket", str(self.socket), "--project",
                   str(self.project), *self.options]  # fmt: skip
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": PIPELINES, "HOME": str(self.socket.parent)}
        self.socket.unlink(missing_ok=True)  # a host that was killed leaves it
        self.log = self.socket.with_suffix(".log").open("wb")
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=self.log,
            stderr=self.log,
            env={**environment, **self.environment},
            start_new_session=True,
        )
        until(lambda: self.socket.exists() or self.process.poll() is not None)
        return self

    def stop(self) -> None:
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(SECONDS)
        connection.connect(str(self.socket))
        return connection

    def begin(self, pipeline: str = "__default__", **request: Any) -> Conversation:
        conversation = Conversation(self.connect())
        request = {"run_id": "run", "step_id": "step", "folder": str(self.socket.parent / "step"), **request}
        conversation.asked = time.perf_counter()
        wire.send(conversation.connection, wire.StepStarted(pipeline=pipeline, **request))
        return conversation

    def run(self, pipeline: str = "__default__", **request: Any) -> Conversation:
        return self.begin(pipeline, **request).finish()


@dataclass
class Conversation:
    """One step as its supervisor saw it."""

    connection: socket.socket
    messages: list[wire.Message] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)
    asked: float = 0.0
    reader: wire.FrameReader = field(default_factory=wire.FrameReader)

    def read(self) -> bool:
        data = self.connection.recv(1 << 20)
        for kind, payload in self.reader.feed(data):
            if kind == wire.LOG_FRAME:
                self.raw += payload
            else:
                self.messages.append(wire.parse(payload))
                self.times.append(time.perf_counter() - self.asked)
        return bool(data)

    def wait_for(self, cls: type[M]) -> M:
        while not self.all(cls):
            assert self.read(), f"the host closed before {cls.kind}; it said {[m.kind for m in self.messages]}"
        return self.all(cls)[0]

    def wait_for_text(self, text: str) -> None:
        while text.encode() not in self.raw:
            assert self.read(), f"the host closed before {text!r} was written"

    def finish(self) -> Conversation:
        while self.read():
            continue
        self.connection.close()
        return self

    def stop(self, stage: str) -> None:
        wire.send(self.connection, wire.StopAsked(stage))

    def all(self, cls: type[M]) -> list[M]:
        return [message for message in self.messages if isinstance(message, cls)]

    def one(self, cls: type[M]) -> M:
        found = self.all(cls)
        assert len(found) == 1, f"{len(found)} of {cls.kind}: {self.messages}\n{self.text}"
        return found[0]

    def after(self, cls: type[wire.Message]) -> float:
        """Seconds from the request to the first message of that class."""
        return next(at for at, message in zip(self.times, self.messages, strict=True) if isinstance(message, cls))

    @property
    def kinds(self) -> list[str]:
        return [message.kind for message in self.messages]

    def lines(self) -> Iterator[wire.LogLine]:
        reader = wire.LineReader()
        yield from reader.feed(bytes(self.raw))
        yield from reader.close()

    @property
    def text(self) -> str:
        return bytes(self.raw).decode("utf-8", "replace")
