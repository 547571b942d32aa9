"""When the page answers."""

from __future__ import annotations

import http.client
import time
from typing import Final

ANSWER_SECONDS: Final = 60
POLL_SECONDS: Final = 0.05


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
