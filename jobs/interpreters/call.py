"""Call a function in a project's interpreter from a worker: in a child of its host, gone when it has answered."""

from __future__ import annotations

import select
import socket
import time
import uuid
from collections.abc import Callable
from typing import Final

from jobs.errors import ProjectError, one_line
from jobs.interpreters.hosts import HOSTS
from jobs.models import Project
from kedro_console import wire

READ_BYTES: Final = 256 * 1024

Listener = Callable[[wire.Message], None]


def call(
    project: Project,
    function: str,
    arguments: dict[str, wire.Json],
    *,
    seconds: float,
    memory_limit_bytes: int = 0,
    listen: Listener = lambda message: None,
) -> wire.Json:
    """What `package.module:name` returns, as JSON; `listen` hears all that its child reports meanwhile.

    ProjectError with a sentence when it raises, cannot be found, or takes longer than `seconds`.
    """
    deadline = time.monotonic() + seconds
    request = wire.StepStarted(
        run_id="",
        step_id=str(uuid.uuid4()),
        pipeline="",
        function=function,
        arguments=arguments,
        memory_limit_bytes=memory_limit_bytes,
    )
    while time.monotonic() < deadline:
        host, connection = HOSTS.connect(project)
        with connection:
            wire.send(connection, request)
            heard = _Heard(function, listen)
            heard.converse(connection, deadline)
        if not (heard.refusal and heard.refusal.reason == "stale"):
            return heard.value()
        HOSTS.replace(host)
    raise ProjectError(f"{function} could not be called: the project's code keeps changing.")


class _Heard:
    """What the child of one call said."""

    def __init__(self, function: str, listen: Listener) -> None:
        self._function, self._listen = function, listen
        self.refusal: wire.StepRefused | None = None
        self._returned: wire.FunctionReturned | None = None
        self._failed: wire.RunFailed | None = None
        self._exit: wire.ChildExited | None = None

    def converse(self, connection: socket.socket, deadline: float) -> None:
        """Listen until the child is gone; ProjectError at the deadline: leaving makes the host kill it."""
        reader = wire.FrameReader()
        while self._exit is None:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([connection], [], [], left)[0]:
                raise ProjectError(f"{self._function} exceeded its time limit and was stopped.")
            data = connection.recv(READ_BYTES)
            if not data:
                return
            for kind, payload in reader.feed(data):
                if kind == wire.JSON_FRAME:
                    self._take(wire.parse(payload))

    def _take(self, message: wire.Message) -> None:
        match message:
            case wire.StepRefused():
                self.refusal = message
            case wire.FunctionReturned():
                self._returned = message
            case wire.RunFailed():
                self._failed = message
            case wire.ChildExited():
                self._exit = message
        self._listen(message)

    def value(self) -> wire.Json:
        if self._returned:
            return self._returned.value
        if self.refusal:
            raise ProjectError(self.refusal.sentence)
        if self._failed:
            raise ProjectError(f"{self._function}: {one_line(self._failed.failure)}")
        raise ProjectError(f"The process of {self._function} ended before it answered.")
