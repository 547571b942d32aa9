"""Three ways to start a child: fork the warm host, take a process that stands by, or start one from nothing."""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedro_console import wire
from kedro_console.child import child
from kedro_console.child.work import Place
from kedro_console.host.children import Channels
from kedro_console.line import processes
from kedro_console.project import warm


@dataclass
class Waiting:
    """A process of its own that warms up, then waits for its one request."""

    pid: int
    channels: Channels
    request: int  # a memory file that the process reads when it hears the word

    def give(self, request: wire.StepStarted) -> None:
        os.write(self.request, request.to_json())
        os.close(self.request)
        self.channels.packets.send(b"!")

    @property
    def is_alive(self) -> bool:
        return Path(f"/proc/{self.pid}").exists()


def fork(request: wire.StepStarted, place: Place, warmth: warm.Warmth, ours: Iterable[Any]) -> tuple[int, Channels]:
    """A copy of this process, which raises `Forked` there; `ours` are the sockets and fds of the host, closed in it."""
    channels = Channels()
    processes.hold_interrupts()
    pid = os.fork()
    if pid == 0:
        _close((*ours, channels.packets, channels.log))
        raise child.Forked(child.Birth(request, place, warmth, channels.child_packets, channels.child_log))
    processes.hear_interrupts()
    channels.close_child_ends()
    return pid, channels


def _close(ours: Iterable[Any]) -> None:
    """Closes the host's files in the child, by their objects, so that none closes a reused number later."""
    for each in ours:
        if isinstance(each, selectors.BaseSelector):
            each.close()
        else:
            os.close(each.detach() if isinstance(each, socket.socket) else each)


def stand_by(place: Place, learned_folder: Path) -> Waiting:
    """Starts a process that warms up by itself."""
    channels = Channels()
    request = os.memfd_create("request", 0)
    passed = (channels.child_packets.fileno(), request)
    command = [sys.executable, "-m", "kedro_console.child", "--packets", str(passed[0]), "--request", str(request),
               "--project", str(place.project_path), "--env", place.env, "--learned", str(learned_folder)]  # fmt: skip
    processes.hold_interrupts()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=channels.child_log,
        stderr=channels.child_log,
        pass_fds=passed,
        cwd=place.project_path,
        start_new_session=True,
    )
    processes.hear_interrupts()
    process.returncode = 0  # the host waits for its children itself; Popen must not reap this one
    channels.close_child_ends()
    return Waiting(process.pid, channels, request)
