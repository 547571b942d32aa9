"""Clients that hold a web server up: each keeps its connections open until it is left."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Place = tuple[str, int]
BIT = 1000
"""Bytes a second that a slow reader takes."""


def heads(place: Place, count: int, path: str) -> list[socket.socket]:
    """Requests whose headers have begun and do not end."""
    return [_open(place, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Drip: ".encode()) for _ in range(count)]


def bodies(place: Place, count: int, path: str, headers: str = "") -> list[socket.socket]:
    """Requests that announce a body and do not send it."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2000\r\n"
    return [_open(place, f"{head}{headers}\r\n{{".encode()) for _ in range(count)]


def readers(place: Place, count: int, path: str, headers: str = "") -> list[socket.socket]:
    """Requests whose answers are read a little at a time, through the smallest window that there is."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()
    return [_open(place, request, window=4096) for _ in range(count)]


@contextmanager
def kept_busy(sockets: list[socket.socket], do: Callable[[socket.socket], object]) -> Iterator[list[socket.socket]]:
    """Each of these does its little bit once a second; all are closed afterwards."""
    has_ended = threading.Event()
    for each in sockets:
        each.setblocking(False)  # one that is not answered must not keep the others waiting

    def work() -> None:
        while not has_ended.wait(1):
            for each in sockets:
                with suppress(OSError):  # cut off, or nothing there: it has nothing to do
                    do(each)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield sockets
    finally:
        has_ended.set()
        thread.join()
        for each in sockets:
            each.close()


def drip(each: socket.socket) -> None:
    each.send(b"x")


def sip(each: socket.socket) -> None:
    each.recv(BIT)


def latencies(place: Place, path: str, seconds: float, headers: dict[str, str] | None = None) -> list[float]:
    """How long each answer took, asked one after another on new connections."""
    taken: list[float] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        began = time.monotonic()
        status = ask(place, path, headers)
        taken.append(time.monotonic() - began)
        assert status == 200, f"{path}: {status}"
        time.sleep(0.05)
    return taken


def ask(place: Place, path: str, headers: dict[str, str] | None = None, *, timeout: float = 10) -> int:
    """The status of this page; TimeoutError when none comes."""
    connection = http.client.HTTPConnection(*place, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Host": "localhost", **(headers or {})})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def is_cut(each: socket.socket) -> bool:
    """Whether the server has hung up."""
    each.settimeout(0.01)
    try:
        return each.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def _open(place: Place, request: bytes, *, window: int = 0) -> socket.socket:
    made = socket.socket()
    if window:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    made.settimeout(30)
    made.connect(place)
    made.sendall(request)
    return made
