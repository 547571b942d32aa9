"""The server alone, over real sockets, with an application that says what happens to it."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from console.tree.ports import free_port
from tests.live import until
from tests.slow_clients import Place, ask, bodies, heads, is_cut, kept_busy, latencies, readers, sip

pytestmark = pytest.mark.timeout(120)

MB = 1024 * 1024
APPLICATION = """
import os, sys, time
from pathlib import Path

from console.server import channel, serve

channel.HEAD_SECONDS = channel.BODY_SECONDS = 2
log = Path(sys.argv[2])
if sys.argv[4:]:
    serve.CONNECTIONS, serve.ROOM = 60, 20


def say(word):
    with log.open("a") as file:
        file.write(word + "\\n")


class Parts:
    def __init__(self, count):
        self.left = self.count = count
    def __iter__(self):
        while self.left:
            self.left -= 1
            yield bytes([self.left % 251]) * 65536
    def close(self):
        say("closed" if not self.left else "closed early")


def application(environment, start):
    path = environment["PATH_INFO"]
    length = int(environment.get("CONTENT_LENGTH") or 0)
    if path == "/parts":
        start("200 OK", [("Content-Length", str(320 * 65536))])
        return Parts(320)
    if path == "/chunks":
        start("200 OK", [])
        return Parts(320)
    if path == "/file":
        start("200 OK", [("Content-Length", str(Path(sys.argv[3]).stat().st_size))])
        return environment["wsgi.file_wrapper"](open(sys.argv[3], "rb"))
    if path == "/short":
        start("200 OK", [("Content-Length", "1000")])
        return iter([b"x"])
    if path == "/fails":
        start("200 OK", [("Content-Length", str(400 * 65536))])
        return fails()
    if path == "/slow":
        say("begun")
        time.sleep(1)
    body = repr({
        "path": path, "body": environment["wsgi.input"].read(length).decode(),
        "forwarded": environment.get("HTTP_X_FORWARDED_FOR"), "host": environment.get("HTTP_HOST"),
    }).encode()
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def fails():
    for _ in range(200):
        yield b"x" * 65536
    raise OSError("the store is away")


serve.serve(application, "127.0.0.1", int(sys.argv[1]))
say("ended")
"""


class Served:
    def __init__(self, folder: Path, *more: str) -> None:
        self.place: Place = ("127.0.0.1", free_port(20000 + os.getpid() % 20000))
        self.log, self.file = folder / "log", folder / "file"
        self.log.touch()
        self.file.write_bytes(os.urandom(MB) * 20)
        root = Path(__file__).parents[3]
        self.process = subprocess.Popen(
            [sys.executable, "-c", APPLICATION, str(self.place[1]), str(self.log), str(self.file), *more],
            cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
        )  # fmt: skip

    @property
    def said(self) -> list[str]:
        return self.log.read_text().splitlines()

    def answers(self) -> bool:
        try:
            return ask(self.place, "/") == 200
        except OSError:
            return False

    def files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def send(self, request: bytes) -> bytes:
        """All that is answered until the server hangs up, or says nothing for a second."""
        with socket.create_connection(self.place) as connection:
            connection.sendall(request)
            connection.settimeout(1)
            return self.rest(connection)

    @staticmethod
    def rest(connection: socket.socket) -> bytes:
        parts: list[bytes] = []
        try:
            while data := connection.recv(MB):
                parts.append(data)
        except TimeoutError:
            pass
        return b"".join(parts)


@contextmanager
def serving(folder: Path, *more: str) -> Iterator[Served]:
    made = Served(folder, *more)
    try:
        until(made.answers, seconds=30, what="it answers")
        yield made
    finally:
        made.process.kill()
        made.process.wait()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as made:
        yield made


@pytest.mark.parametrize("path", ["/parts", "/chunks", "/file"])
def test_readers_who_take_their_time_hold_no_thread(served: Served, path: str) -> None:
    with kept_busy(readers(served.place, 40, path), sip):
        assert max(latencies(served.place, "/", 3)) < 2
    until(lambda: served.files() < 30, what="what was read from is closed")
    if path != "/file":
        until(lambda: served.said.count("closed early") + served.said.count("closed") == 40, what="each was closed")


def is_full(served: Served, slow: socket.socket) -> bool:
    """Whether nothing more came for this reader while the server answered another."""
    before = unread(slow)
    return served.answers() and 0 < before == unread(slow)


def unread(connection: socket.socket) -> int:
    """The bytes that lie here and were not read."""
    found = bytearray(4)
    fcntl.ioctl(connection.fileno(), termios.FIONREAD, found)
    return int.from_bytes(found, sys.byteorder)


@pytest.mark.parametrize("path", ["/parts", "/chunks", "/file"])
def test_an_answer_that_waited_for_its_reader_arrives_whole(served: Served, path: str) -> None:
    (slow,) = readers(served.place, 1, path, "Connection: close\r\n")
    until(lambda: is_full(served, slow), seconds=20, what="the server has met a full window")
    slow.settimeout(20)
    head, _, body = served.rest(slow).partition(b"\r\n\r\n")
    if path == "/chunks":
        body = _joined(body)
    wanted = (
        served.file.read_bytes() if path == "/file" else b"".join(bytes([n % 251]) * 65536 for n in range(319, -1, -1))
    )
    assert b"200 OK" in head and body == wanted
    if path != "/file":
        until(lambda: served.said == ["closed"], what="it is closed once")


def _joined(chunks: bytes) -> bytes:
    parts = []
    while chunks:
        size, _, chunks = chunks.partition(b"\r\n")
        parts.append(chunks[: int(size, 16)])
        chunks = chunks[int(size, 16) + 2 :]
    return b"".join(parts)


def test_a_connection_serves_on_after_an_answer_that_waited(served: Served) -> None:
    (slow,) = readers(served.place, 1, "/parts")
    slow.sendall(b"GET /after HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    slow.settimeout(20)
    answer = served.rest(slow)
    assert answer.count(b"HTTP/1.1 200 OK") == 2 and b"'/after'" in answer[-200:]


def test_who_drips_is_cut_and_who_sends_no_body_as_well(served: Served) -> None:
    dripping = heads(served.place, 5, "/") + bodies(served.place, 5, "/")
    with kept_busy(dripping, lambda each: each.send(b"x")):
        assert max(latencies(served.place, "/", 1)) < 1
        until(lambda: all(map(is_cut, dripping)), seconds=20, what="all are cut")


def test_an_answer_that_fails_in_the_middle_ends_the_connection(served: Served) -> None:
    (slow,) = readers(served.place, 1, "/fails")
    until(lambda: is_full(served, slow), seconds=20, what="the server has met a full window")
    slow.settimeout(20)
    assert len(served.rest(slow)) < 400 * 65536
    assert served.answers()


def test_fewer_bytes_than_announced_end_the_connection(served: Served) -> None:
    with socket.create_connection(served.place) as connection:
        connection.sendall(b"GET /short HTTP/1.1\r\nHost: a\r\n\r\n")
        connection.settimeout(10)
        assert served.rest(connection).endswith(b"\r\n\r\nx") and is_cut(connection)


@pytest.mark.parametrize("path", ["/", "/parts", "/file"])
def test_head_has_no_body_and_the_connection_goes_on(served: Served, path: str) -> None:
    answer = served.send(
        f"HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        + b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert b"Content-Length: " in head and rest.startswith(b"HTTP/1.1 200 OK") and b"/next" in rest


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"transfer-encoding:chunked\r\ncontent-length:5\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n",
        b"Transfer-Encoding: identity, chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length : 5\r\n",
        b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n",
    ],
)
def test_a_body_whose_end_is_a_matter_of_opinion_is_refused(served: Served, lines: bytes) -> None:
    answer = served.send(
        b"POST / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400", b"HTTP/1.1 501", b"HTTP/1.0 501"))
    assert b"smuggled" not in answer and answer.count(b"HTTP/1.") == 1


def test_a_body_in_chunks_is_read(served: Served) -> None:
    answer = served.send(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    )
    assert b"'body': 'abc'" in answer


@pytest.mark.parametrize(("path", "kind"), [("/api/v1/jobs", b"application/json"), ("/login/", b"text/plain")])
def test_what_is_too_large_is_refused_in_the_askers_language(served: Served, path: str, kind: bytes) -> None:
    answer = served.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 413") and kind in answer
    answer = served.send(f"GET {path} HTTP/1.1\r\nHost: a\r\nX: {'x' * 70000}\r\n\r\n".encode())
    assert b" 431 " in answer.splitlines()[0]


def test_a_proxy_is_still_seen(served: Served) -> None:
    answer = served.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\nConnection: close\r\n\r\n")
    assert b"'forwarded': '9.9.9.9'" in answer


def test_a_signal_lets_what_has_begun_end_and_takes_nothing_new(served: Served) -> None:
    with socket.create_connection(served.place) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: "begun" in served.said, what="it is being answered")
        served.process.send_signal(signal.SIGTERM)
        until(lambda: not served.answers(), what="it takes nothing new")
        connection.settimeout(10)
        assert b"'/slow'" in served.rest(connection)
    assert served.process.wait(15) == 0 and served.said[-1] == "ended"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_time_with_every_connection_held(served: Served, number: int) -> None:
    held = heads(served.place, 20, "/") + bodies(served.place, 20, "/")
    held += [each for path in ("/parts", "/chunks", "/file") for each in readers(served.place, 20, path)]
    with kept_busy(held, lambda _: None):
        served.process.send_signal(number)
        assert served.process.wait(12) == 0


def test_a_fast_reader_lets_others_have_their_turn(served: Served) -> None:
    with served.file.open("ab") as file:
        file.truncate(3 * 1024 * MB)
    fast = readers(served.place, 3, "/file")
    for each in fast:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * MB)
    with kept_busy(fast, lambda each: [each.recv(MB) for _ in range(200)]):
        assert max(latencies(served.place, "/", 2)) < 2


def whole(connection: socket.socket) -> bytes:
    """An answer with its body, which may come in pieces."""
    answer = connection.recv(MB)
    while not answer.endswith(b"}"):
        answer += connection.recv(MB)
    return answer


def test_pages_that_are_only_open_keep_nobody_out(tmp_path: Path) -> None:
    """With places for some sixty, three hundred open pages and one who comes after them: each is answered at once."""
    with serving(tmp_path, "few") as served:
        kept = []
        for _ in range(300):
            kept.append(one := socket.create_connection(served.place, timeout=5))
            one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert whole(one).startswith(b"HTTP/1.1 200")
        assert ask(served.place, "/", timeout=2) == 200
        newest = kept[-1]
        newest.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert whole(newest).startswith(b"HTTP/1.1 200"), "the one that asked last has kept its place"
        assert is_cut(kept[0])
        for one in kept:
            one.close()


def test_an_answer_that_is_being_read_keeps_its_place(tmp_path: Path) -> None:
    with serving(tmp_path, "few") as served, readers(served.place, 1, "/file")[0] as slow:
        pages = [socket.create_connection(served.place, timeout=5) for _ in range(120)]
        assert ask(served.place, "/", timeout=5) == 200
        for one in pages:
            one.close()
        slow.settimeout(20)
        left = 20 * MB
        while left > 0 and (data := slow.recv(MB)):
            left -= len(data)
        assert left <= 0, "the whole file came"
