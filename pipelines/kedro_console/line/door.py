"""The host's door (its socket) and its lifeline (stdin): who may come in, and how long it lives."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import NoReturn

from kedro_console import wire
from kedro_console.line import processes

BACKLOG = 1_024
BLOCK = 64 * 1024
LIFELINE = 0
PEER = struct.Struct("3i")  # pid, uid, gid


class Door:
    """A listening socket, readable by its owner only, that appears under its name when it can be connected to."""

    def __init__(self, path: Path) -> None:
        self._path, self._starter = path, os.getppid()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        part = path.with_name(f".{os.getpid()}.s")
        part.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self.listener.bind(str(part))
        finally:
            os.umask(mask)
        self.listener.listen(BACKLOG)
        self.listener.setblocking(False)
        self._inode = part.stat().st_ino
        part.replace(path)

    def accept(self) -> list[socket.socket]:
        """The connections that wait; [] when there is none. Only who started this process may speak to it."""
        found = []
        with contextlib.suppress(OSError):
            while True:
                connection = self.listener.accept()[0]
                if self._is_starter(connection):
                    found.append(connection)
                else:
                    connection.close()
        return found

    def _is_starter(self, connection: socket.socket) -> bool:
        """As the kernel says it: the code of another project, which may be of the same user, must not give us work."""
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
        return bool(PEER.unpack(told)[0] == self._starter)

    def refuse_late(self, answer: wire.StepRefused, seconds: float) -> None:
        """Answers who connected in the moment when the host left, so that they start another one."""
        for connection in self.accept():
            with connection, contextlib.suppress(OSError):
                connection.settimeout(seconds)
                wire.send(connection, answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(BLOCK):  # what is closed with unread bytes loses its answer
                    continue

    def unlink(self) -> None:
        """Takes the name away, unless a newer host has put its own socket there."""
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()


def die_at_lifelines_end() -> None:
    """For the warm-up, when project code has the process: the kernel ends it when stdin closes or its parent dies."""
    parent = os.getppid()

    def look(*_: object) -> None:
        if os.getppid() != parent:  # else only the thread that started us has ended
            os._exit(0)

    signal.signal(signal.SIGHUP, look)
    signal.signal(signal.SIGIO, signal.SIG_DFL)  # its default is the end
    processes.signal_at_parents_death(signal.SIGHUP)
    _set_async(os.O_ASYNC)


def leave_at_lifelines_end() -> None:
    """After the warm-up the loop reads stdin: the host ends in order, its children first."""
    parent = os.getppid()

    def look(*_: object) -> None:
        if os.getppid() != parent:
            _leave()

    _set_async(0)
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, look)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for whoever has the terminal


def _leave(*_: object) -> NoReturn:
    sys.exit(0)


def _set_async(flag: int) -> None:
    with contextlib.suppress(OSError):
        fcntl.fcntl(LIFELINE, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(LIFELINE, fcntl.F_GETFL)
        fcntl.fcntl(LIFELINE, fcntl.F_SETFL, (flags & ~os.O_ASYNC) | flag)


def read_lifeline(_: int = 0) -> None:
    """Ends the process in order when whoever holds the other end of stdin is gone."""
    if not os.read(LIFELINE, 4_096):
        _leave()
