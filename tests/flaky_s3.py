"""An S3 server in a process of its own, and before it a proxy that fails, refuses, hangs or is slow when told to."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3

from tests import live

KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "testing"}
REGION = "us-east-1"
HOP = frozenset({"connection", "transfer-encoding", "keep-alive", "date", "server"})


@dataclass(frozen=True)
class Call:
    """One that came to the proxy, and how many bytes of a body went back."""

    method: str
    path: str
    status: int
    sent: int


class Proxy:
    """Stands before the server at `port`; what is set on it holds for the next call."""

    def __init__(self, port: int, seed: int = 1) -> None:
        self.to = port
        self.failing = 0.0
        """The share of calls that end in a 500, or in a reset before or after the server did them."""
        self.fates: list[str] = []
        """What the next calls come to, one each; then `failing` decides."""
        self.is_away = False
        self.bytes_per_second = 0
        self.files: dict[str, Path] = {}
        """By path, objects of which parts are given from here: moto reads the whole of one for each of its ranges."""
        self.calls: list[Call] = []
        self.failed = 0
        self._draw = random.Random(seed)
        self._goes = threading.Event()
        self._goes.set()
        self._server = _Listener(("127.0.0.1", 0), _Between)
        self._server.proxy = self
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def hang(self) -> None:
        """Take calls and answer none, until `go_on`."""
        self._goes.clear()

    def go_on(self) -> None:
        self._goes.set()
        self.is_away = False

    def wait_while_hung(self) -> None:
        self._goes.wait(600)

    def fate(self) -> str:
        if self.fates:
            return self.fates.pop(0)
        if self._draw.random() >= self.failing:
            return ""
        self.failed += 1
        return self._draw.choice(["500", "reset", "reset afterwards"])

    def close(self) -> None:
        self.go_on()
        self._server.shutdown()
        self._server.server_close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    proxy: Proxy

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)  # a slow reader is felt by who sends
        super().server_bind()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is no news."""


class _Between(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def handle_one_request(self) -> None:
        if self.server.proxy.is_away:
            self._reset()
        else:
            super().handle_one_request()

    def _any(self) -> None:
        proxy = self.server.proxy
        body = self._body(int(self.headers.get("Content-Length") or 0))
        proxy.wait_while_hung()
        fate = "reset" if proxy.is_away else proxy.fate()
        if fate == "500":
            self._say(500, {}, b"")
        elif fate == "reset":
            self._reset()
        else:
            answer = self._ask(body)
            self._reset() if fate else self._say(*answer)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._any
        raise AttributeError(name)

    def _body(self, length: int) -> bytes:
        parts = []
        while length > 0 and (part := self.rfile.read1(min(length, 65536))):  # type: ignore[attr-defined]
            parts.append(part)
            length -= len(part)
            if pace := self.server.proxy.bytes_per_second:
                time.sleep(len(part) / pace)
        return b"".join(parts)

    def _part(self, file: Path) -> tuple[int, dict[str, str], bytes]:
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        with file.open("rb") as whole:
            whole.seek(first)
            data = whole.read(last - first + 1)
        return 206, {"Content-Range": f"bytes {first}-{last}/{file.stat().st_size}", "ETag": '"kept"'}, data

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if self.command == "GET" and (file := self.server.proxy.files.get(self.path.partition("?")[0])):
            return self._part(file)
        server = http.client.HTTPConnection("127.0.0.1", self.server.proxy.to, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in {"expect", "connection"}}
        try:
            server.request(self.command, self.path, body=body or None, headers=headers)
            answer = server.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            server.close()

    def _say(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self.server.proxy.calls.append(Call(self.command, self.path, status, len(data)))
        self.send_response(status)
        given = {name: value for name, value in headers.items() if name.lower() not in HOP}
        for name, value in given.items():
            self.send_header(name, value)
        if "content-length" not in {name.lower() for name in given}:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found: int = free.getsockname()[1]
        return found


@contextmanager
def server(log: Path) -> Iterator[int]:
    """Moto's server, listening; its port."""
    port = free_port()
    with live.process(sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port), log=log):
        live.until(lambda: _listens(port), what="the S3 server listens")
        yield port


def _listens(port: int) -> bool:
    with socket.socket() as asker:
        return asker.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def flaky_s3(log: Path) -> Iterator[tuple[Proxy, Any]]:
    """The proxy, and a bucket of its own behind it that is asked directly."""
    with server(log) as port:
        proxy = Proxy(port)
        try:
            yield proxy, bucket(port)
        finally:
            proxy.close()


def bucket(port: int) -> Any:
    s3 = boto3.resource("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name=REGION, **KEYS)
    return s3.create_bucket(Bucket=f"kept-{uuid.uuid4()}")


def store_settings(bucket_name: str, url: str, **more: Any) -> dict[str, Any]:
    """The store as an entry of Django's STORAGES."""
    options = {
        "bucket_name": bucket_name, "location": "console", "endpoint_url": url, "access_key": "test",
        "secret_key": "testing", "region_name": REGION, "file_overwrite": True, **more,
    }  # fmt: skip
    return {"BACKEND": "console.files.s3_store.S3Store", "OPTIONS": options}


def environment(bucket_name: str, url: str) -> dict[str, str]:
    """The same for a process."""
    keys = {name.upper(): value for name, value in KEYS.items()}
    return {"ARTIFACT_STORE": f"s3://{bucket_name}/console", "S3_ENDPOINT_URL": url, **keys}
