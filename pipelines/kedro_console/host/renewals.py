"""The saves of a process that has ended, looked at once more: files that its end completed are kept as they are now."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from typing import Any

from kedro_console import wire
from kedro_console.child import saved
from kedro_console.line import processes
from kedro_console.line.talk import Talk

BLOCK = 64 * 1024


class Renewal:
    """A process beside the host that copies them, however large they are; its events go to the step's supervisor."""

    def __init__(self, tasks: list[dict[str, Any]], talk: Talk, selector: selectors.BaseSelector) -> None:
        self._talk, self._selector = talk, selector
        self._rest = b""
        self.is_over = False
        given = os.memfd_create("saves", 0)
        try:
            with os.fdopen(os.dup(given), "wb") as file:
                file.writelines(json.dumps(task).encode() + b"\n" for task in tasks)
            os.lseek(given, 0, os.SEEK_SET)
            self.output, theirs = os.pipe()
            command = [sys.executable, "-m", "kedro_console.child.saved"]
            process = subprocess.Popen(command, stdin=given, stdout=theirs, start_new_session=True)
            os.close(theirs)
        finally:
            os.close(given)
        process.returncode = 0  # the host waits for its children itself
        self.pid = process.pid
        os.set_blocking(self.output, False)
        selector.register(self.output, selectors.EVENT_READ, self._ready)

    def _ready(self, _: int) -> None:
        data = os.read(self.output, BLOCK)
        *events, self._rest = (self._rest + data).split(b"\n")
        for event in events:
            self._talk.forward(wire.JSON_FRAME, event)
        if not data:
            self.close()

    def close(self) -> None:
        if not self.is_over:
            self.is_over = True
            self._selector.unregister(self.output)
            os.close(self.output)
            processes.kill(self.pid)


def begin(tasks: list[dict[str, Any]], talk: Talk, selector: selectors.BaseSelector) -> Renewal | None:
    """None when no file has changed since it was told, or nobody listens."""
    changed = [task for task in tasks if saved.are_changed(task["marks"])]
    return Renewal(changed, talk, selector) if changed and talk.is_open else None
