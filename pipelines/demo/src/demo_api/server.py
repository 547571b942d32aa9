"""The HTTP server: one thread a connection, HTTP/1.1 with connections kept open."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

from demo_api import control
from demo_api.limits import Limits
from demo_api.messages import MEDIA_TYPE, Answer, Refusal, Request
from demo_api.policies import Policy
from demo_api.routes import POLICIES, ROUTES, answer

LARGEST_BODY_BYTES = 1024 * 1024
IDLE_SECONDS = 30
UNLOGGED = {"/health", "/limits", "/arrivals"}
HOST = re.compile(r"[A-Za-z0-9.\-\[\]:]{1,255}")


class ApiServer(ThreadingHTTPServer):
    """Serves on (host, port) from the moment it is made; port 0 takes a free one."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        host: str,
        port: int,
        policies: Sequence[tuple[str, Policy]] = POLICIES,
        limits: Limits | None = None,
    ) -> None:
        super().__init__((host, port), ApiHandler)
        self.limits = limits or Limits()
        self.policies = [("/", self.limits.guard), *policies]
        self.routes = ROUTES + control.routes(self.limits)

    @property
    def url(self) -> str:
        """The address to ask, with the port that was really taken."""
        return f"http://{self.server_address[0]!s}:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news; anything else is told as usual."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class ApiHandler(BaseHTTPRequestHandler):
    """Reads one request after another from a connection and answers each as `demo_api.routes` says."""

    server: ApiServer
    protocol_version = "HTTP/1.1"
    server_version = "demo-api"
    sys_version = ""
    timeout: ClassVar[float] = IDLE_SECONDS
    # Head and body leave in one packet at once; written apart, they wait 40 ms for the client's delayed ACK.
    wbufsize = 64 * 1024
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.respond()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def respond(self) -> None:
        try:
            request = self.understood()
        except Refusal as refusal:
            self.close_connection = True
            self.send(Answer.refused(refusal))
            return
        reply = answer(request, self.server.policies, self.server.routes)
        if request.path not in UNLOGGED:
            self.server.limits.note(request, reply.status)
        self.send(reply)

    def understood(self) -> Request:
        target = urlsplit(self.path)
        return Request(
            method="GET" if self.command == "HEAD" else self.command,
            path=unquote(target.path).rstrip("/") or "/",
            base=self.asked_address(),
            arrived=time.monotonic(),
            query=dict(parse_qsl(target.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.read_body(),
            client=self.client_address[0],
        )

    def asked_address(self) -> str:
        """The address as the client wrote it, so that links work through a forwarded port."""
        host = self.headers.get("Host", "")
        return f"http://{host}" if HOST.fullmatch(host) else self.server.url

    def read_body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > LARGEST_BODY_BYTES:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Send a body of 1 MiB at most, with its Content-Length.")
        return self.rfile.read(int(length))

    def send(self, reply: Answer) -> None:
        body = reply.encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", MEDIA_TYPE)
        self.send_header("Content-Length", str(len(body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of http.server
        """Nothing: one line a request would bury the line that says where it serves."""
