"""Asks the pages again and again, as people and programs do: for an answer, and to start runs."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, Final

from tests import live
from tests.chaos.ledger import Answer, Ledger

EVERY_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 15.0


class Visitor(threading.Thread):
    """Notes twice a second whether the pages answer, until it is asked to end."""

    def __init__(self, address: str, ledger: Ledger, token: str = "") -> None:
        super().__init__(name="visitor", daemon=True)
        self._address, self._ledger, self._token = address, ledger, token
        self._is_over = threading.Event()

    def run(self) -> None:
        while not self._is_over.wait(EVERY_SECONDS):
            at = time.time()
            self._ledger.note(Answer(at, is_there=bool(ask(f"{self._address}/api/v1/health"))))

    def end(self) -> None:
        self._is_over.set()
        self.join()

    def start_run(self, pipeline: str, parameters: dict[str, Any], key: str) -> None:
        """Start a run through the API; asked again with the same key until there is an answer that it was made."""
        wish = {"pipeline_name": pipeline, "parameters": parameters}
        made = (200, 201)
        live.until(
            lambda: ask(f"{self._address}/api/v1/jobs", wish, key, self._token) in made,
            seconds=180,
            what=f"{key} by the API",
        )


def ask(url: str, body: dict[str, Any] | None = None, key: str = "", token: str = "") -> int:
    """The status of the answer; 0 when there was none."""
    headers = {"Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code
    except (OSError, HTTPException):
        return 0
