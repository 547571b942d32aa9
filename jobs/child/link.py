"""The line from a supervisor to its project's host: a connection for a step, kept while its child goes on."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Final

from jobs.interpreters.hosts import HOSTS, Host
from jobs.models import Project
from kedro_console import wire

READ_BYTES: Final = 256 * 1024


class Link:
    """Open from the first request to the child's end; leaving the block closes it, and the host ends the child."""

    def __init__(self) -> None:
        self._host: Host | None = None
        self._begun_with = ""
        self._connection: socket.socket | None = None
        self._reader = wire.FrameReader()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    @property
    def connection(self) -> socket.socket:
        if self._connection is None:
            raise wire.WireError("The line to the project's host is closed.")
        return self._connection

    def open(self, project: Project, env: str, begun_with: str = "") -> None:
        """Connect to the host in this Kedro environment, for a run that has begun to the one with its code.

        It is started when there is none; ProjectError when it cannot be.
        """
        self._host, self._connection = HOSTS.connect(project, env, begun_with)
        self._begun_with = begun_with
        self._reader = wire.FrameReader()

    def learn(self, started: wire.ChildStarted) -> None:
        """The host has said what it was loaded from."""
        if self._host:
            self._host.code = wire.code_of(started.revision, started.packages)

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def replace_host(self) -> None:
        """Its code is no longer the project's: the next connection is to a new one."""
        if self._host:
            HOSTS.replace(self._host, self._begun_with)

    def send(self, message: wire.Message) -> bool:
        """False when the host is closing: its last message is still to be read."""
        try:
            wire.send(self.connection, message)
        except OSError:
            return False
        return True

    def read(self) -> Iterator[tuple[bytes, bytes]] | None:
        """The frames that have arrived; None at the end of the stream."""
        try:
            data = self.connection.recv(READ_BYTES)
        except ConnectionResetError:
            return None
        return iter(self._reader.feed(data)) if data else None
