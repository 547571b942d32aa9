"""Serve the pages until a signal says that it is enough; what is being answered then gets a few seconds more."""

from __future__ import annotations

import resource
import signal
import socket
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, Final

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from console.networks import is_within
from console.server.answers import Application, in_rounds
from console.server.channel import Channel

THREADS: Final = 8
CONNECTIONS: Final = 2000
ROOM: Final = 100
"""So many that only wait for their next request are closed when there is hardly a place left for another one."""
CONNECTIONS_OF_ONE: Final = 400
"""Of one address that is not this machine's: it must not take the place of all others."""
OPEN_FILES: Final = 2 * CONNECTIONS + 200
IDLE_SECONDS: Final = 30
DRAIN_SECONDS: Final = 8
"""Less than the ten that a supervisor waits before it kills."""
LARGEST_BODY: Final = 4 * 1024 * 1024
LARGEST_HEAD: Final = 64 * 1024
SEND_BUFFER: Final = 128 * 1024
"""Each send reads so much of a file again; what the kernel offers by itself is twenty times that."""


FIRST: Final = ("/api/v1/health", "/live", "/ready")
"""Whoever watches over us asks with little patience, and is answered in milliseconds."""


class Dispatcher(ThreadedTaskDispatcher):
    def add_task(self, task: Channel) -> None:
        super().add_task(task)
        if task.path in FIRST:
            with self.lock, suppress(ValueError):  # a thread that was free has it already
                self.queue.remove(task)
                self.queue.appendleft(task)


class Settings(Adjustments):
    socket_options = [
        (socket.SOL_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER),
    ]


class Server(TcpWSGIServer):
    channel_class = Channel
    proxies: Sequence[str] = ()

    def maintenance(self, now: float) -> None:
        super().maintenance(now)
        for channel in self.active_channels.values():
            if channel.is_late(now, self.adj.channel_timeout):
                channel.will_close = True

    def accept(self) -> tuple[socket.socket, Any] | None:
        """The next connection; None for one too many of the same address."""
        found: tuple[socket.socket, Any] | None = super().accept()
        if found and not _may_have_many(found[1][0], self.proxies) and self._held_by(found[1][0]) >= CONNECTIONS_OF_ONE:
            found[0].close()
            return None
        if found and len(self._map) > self.adj.connection_limit - ROOM:
            self._make_room()
        return found

    def _make_room(self) -> None:
        """An open page that asks nothing now connects again when it does; who comes new must not wait for it."""
        idle = [channel for channel in self.active_channels.values() if channel.is_idle]
        for channel in sorted(idle, key=lambda channel: channel.last_activity)[:ROOM]:
            channel.will_close = True

    def _held_by(self, address: str) -> int:
        return Counter(channel.addr[0] for channel in self.active_channels.values())[address]

    @property
    def is_busy(self) -> bool:
        return any(channel.requests or channel.total_outbufs_len for channel in self.active_channels.values())


def serve(application: Application, host: str, port: int, *, proxies: Sequence[str] = ()) -> None:
    """Answer at this address until SIGTERM or SIGINT; the networks of `proxies` speak for many others."""
    _allow_files()
    settings = Settings(
        host=host,
        port=port,
        threads=THREADS,
        connection_limit=CONNECTIONS,
        asyncore_use_poll=True,
        channel_timeout=IDLE_SECONDS,
        cleanup_interval=2,
        max_request_body_size=LARGEST_BODY,
        max_request_header_size=LARGEST_HEAD,
        ident="",
        clear_untrusted_proxy_headers=False,  # whether somebody speaks for another is seen by them
    )
    dispatcher = Dispatcher()
    dispatcher.set_thread_count(settings.threads)
    connections: dict[int, Any] = {}
    servers = [
        Server(in_rounds(application), connections, dispatcher=dispatcher, adj=settings, sockinfo=place)
        for place in settings.listen
    ]
    for server in servers:
        server.proxies = proxies
    _until_told(servers, connections)
    _drain(servers, connections)
    dispatcher.shutdown(timeout=1)


def _until_told(servers: list[Server], connections: dict[int, Any]) -> None:
    told: list[int] = []

    def tell(number: int, _: Any) -> None:
        told.append(number)
        servers[0].pull_trigger()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, tell)
    while not told:
        wasyncore.loop(timeout=1, use_poll=True, map=connections, count=1)


def _drain(servers: list[Server], connections: dict[int, Any]) -> None:
    """Nothing new is taken; what has begun is sent to its end, if that is near."""
    for server in servers:
        server.accepting = False
        wasyncore.dispatcher.close(server)
    deadline = time.monotonic() + DRAIN_SECONDS
    while any(server.is_busy for server in servers) and time.monotonic() < deadline:
        wasyncore.loop(timeout=0.2, use_poll=True, map=connections, count=1)


def _allow_files() -> None:
    """A download needs two: its connection and its file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _may_have_many(address: str, proxies: Sequence[str]) -> bool:
    """This machine itself (what stands there is a proxy, or its owner), and whoever speaks for others."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return True
    return found.is_loopback or is_within(found, proxies)
