"""Somebody with a login, and web's process as the machine sees it."""

from __future__ import annotations

import http.cookiejar
import re
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bench.stage import Console
from bench.store_download import web_processes

GROWTH: Final = 120
"""Megabytes, of which most are what web grows by when it shows its first pages."""


class Person:
    """Somebody with a login, and web's process as the machine sees it."""

    def __init__(self, made: Console) -> None:
        self.made, self.base = made, made.url.removesuffix("/api/v1")
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))
        form = self.read("/login/")
        found = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', form)
        assert found, form[:300]
        given = {"username": "admin", "password": made.password, "csrfmiddlewaretoken": found[1]}
        self.opener.open(f"{self.base}/login/", urllib.parse.urlencode(given).encode()).read()
        self.web = _listener(made)
        self.at_first = self.memory()

    def read(self, path: str) -> str:
        text: str = self.opener.open(f"{self.base}{path}", timeout=120).read().decode()
        return text

    def seconds(self, path: str) -> float:
        began = time.monotonic()
        self.read(path)
        return time.monotonic() - began

    def memory(self, name: str = "VmRSS") -> float:
        text = Path(f"/proc/{self.web}/status").read_text()
        return int(text.partition(f"{name}:")[2].split()[0]) / 1024

    @contextmanager
    def growth(self) -> Iterator[list[float]]:
        """Megabytes of web above what it held before, at the most."""
        Path(f"/proc/{self.web}/clear_refs").write_text("5")
        before, found = self.memory(), list[float]()
        yield found
        found.append(self.memory("VmHWM") - before)

    @contextmanager
    def reading(self, path: str) -> Iterator[list[float]]:
        """The page is asked for again and again meanwhile."""
        found: list[float] = []
        is_over = threading.Event()

        def ask() -> None:
            while not is_over.wait(0.2):
                found.append(self.seconds(path))

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        yield found
        is_over.set()
        asking.join(150)


def _listener(made: Console) -> int:
    """The process of the tree that listens where the pages are: web."""
    port = int(made.url.removesuffix("/api/v1").rpartition(":")[2])
    heads = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (inode,) = {f"socket:[{row[9]}]" for row in heads if row[1].endswith(f":{port:04X}") and row[3] == "0A"}
    for pid in web_processes(made):
        if any(_leads_to(each, inode) for each in Path(f"/proc/{pid}/fd").iterdir()):
            return pid
    raise SystemExit("Web was not found.")


def _leads_to(link: Path, target: str) -> bool:
    with suppress(OSError):
        return str(link.readlink()) == target
    return False
