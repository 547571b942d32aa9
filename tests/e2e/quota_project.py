"""A Kedro project that uses an API under a quota, and the API: it answers 429 to whoever comes too early."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.toys import write_toy

NODES = """
import time
import urllib.error
import urllib.request

from kedro_console import quotas


def call(url):
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, None
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("Retry-After")


def asks_once(url):
    with quotas.grant("chat") as held:
        status, retry_after = call(url)
        held.settle(status, retry_after)
    return {"status": status}


def just_calls(url):
    return {"status": call(url)[0]}


def asks_in_threads(url, count):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        return {"statuses": [done["status"] for done in pool.map(asks_once, [url] * count)]}
"""
PIPELINES = """
from kedro.pipeline import node, pipeline
from . import nodes as f


def one(function, inputs):
    return pipeline([node(function, inputs, "out", name=function.__name__)])


def register_pipelines():
    return {
        "asks_once": one(f.asks_once, "params:url"),
        "just_calls": one(f.just_calls, "params:url"),
        "asks_in_threads": one(f.asks_in_threads, ["params:url", "params:count"]),
    }
"""


def write_project(folder: Path, url: str) -> Path:
    write_toy(folder, package="asker")
    (folder / "src" / "asker" / "nodes.py").write_text(NODES)
    (folder / "src" / "asker" / "pipeline_registry.py").write_text(PIPELINES)
    (folder / "conf" / "base" / "parameters.yml").write_text(f"url: {url}\ncount: 6\n")
    (folder / "conf" / "base" / "catalog.yml").write_text("")
    return folder


class Api:
    """Allows one request in `seconds` and remembers when each came and what it was answered."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.url = seconds, ""
        self.arrivals: list[float] = []
        self.statuses: list[int] = []
        self._lock = threading.Lock()

    def arrive(self) -> int:
        now = time.monotonic()
        with self._lock:
            is_early = bool(self.arrivals) and now - self.arrivals[-1] < self.seconds
            if not is_early:
                self.arrivals.append(now)
            self.statuses.append(429 if is_early else 200)
            return self.statuses[-1]


@contextmanager
def api(seconds: float = 2.0) -> Iterator[Api]:
    served = Api(seconds)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = served.arrive()
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", str(int(seconds)))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
