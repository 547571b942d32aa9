"""A small HTTP server that answers the status that the path names, for tests of requests."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Api:
    """`/500` answers 500; `/503,503,200` answers so in turn, the last one forever; what is `fixed` answers 200."""

    url: str = ""
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    turns: dict[str, int] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    answer: Any = field(default_factory=lambda: {"detail": "no", "access_token": "answered-token-77"})
    fixed: set[str] = field(default_factory=set)
    release: threading.Event = field(default_factory=threading.Event)

    def status(self, path: str) -> int:
        codes = path.strip("/").split("?")[0].split("/")[0].split(",")
        turn = self.turns[path] = self.turns.get(path, 0) + 1
        if path in self.fixed:
            return 200
        if codes[0] == "slow":
            self.release.wait(20)
            return 200
        return int(codes[min(turn, len(codes)) - 1] or 200)


def _handler(api: Api) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            api.seen.append((self.command, self.path, dict(self.headers), body))
            answer = api.answer(self.path) if callable(api.answer) else api.answer
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(api.status(self.path))
            for name, value in {"Content-Type": "application/json", **api.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            return

    return Handler


@contextmanager
def flaky_api() -> Iterator[Api]:
    api = Api()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        api.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
