"""A short-lived child of the tree: it says when the page answers, reads the projects, and ends."""

from __future__ import annotations

import http.client
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

ANSWER_SECONDS: Final = 60
POLL_SECONDS: Final = 0.05


def fork(work: Callable[[], None]) -> int:
    """Do this work in a child that ends at the latest with its parent; the child's number."""
    sys.stdout.flush()
    parent = os.getpid()
    if child := os.fork():
        return child
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _leave)
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
        work()
        code = 0
    except SystemExit:
        pass  # asked to end
    finally:
        sys.stdout.flush()
        os._exit(code)


def _leave(*_: object) -> None:
    raise SystemExit


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS * 4)
    os.kill(os.getpid(), signal.SIGTERM)


def wait_for_page(host: str, port: int) -> bool:
    """Whether the login page answered in time; a refusal is an answer, a broken page is not."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        if 200 <= _status(host, port) < 500:
            return True
        time.sleep(POLL_SECONDS)
    return False


def _status(host: str, port: int) -> int:
    """The status that the login page answers with, 0 when nobody answers."""
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", "/login/")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
