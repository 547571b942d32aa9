"""Middleware that answers whoever watches over the pages: `/live` and `/ready`, for any Host, without a login."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse

from console.tree import starting
from jobs import schema
from jobs.reconnect import reconnect

ASK_AGAIN_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 2.0
NO_ANSWER: Final = "The database does not answer."
NOT_MIGRATED: Final = "The database is not migrated yet."


class Probes:
    """The first middleware: what comes later looks at names, sessions and people."""

    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self._answer = answer
        self._asking = threading.Lock()
        self._asked_at = float("-inf")
        self._missing: list[str] = []

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info == "/live":
            return JsonResponse({"status": "live"})
        if request.path_info == "/ready":
            missing = self._what_is_missing()
            said = {"status": "not ready", "missing": missing} if missing else {"status": "ready"}
            return JsonResponse(said, status=503 if missing else 200)
        return self._answer(request)

    def _what_is_missing(self) -> list[str]:
        """Sentences for anybody's eyes. Asked once a second, however many probe; nobody waits long for who asks."""
        if not self._asking.acquire(timeout=PATIENCE_SECONDS):
            return [NO_ANSWER]
        try:
            if time.monotonic() - self._asked_at >= ASK_AGAIN_SECONDS:
                self._missing = [*_database(), *starting.left(settings.VAR)]
                self._asked_at = time.monotonic()
            return self._missing
        finally:
            self._asking.release()


def _database() -> list[str]:
    try:
        return [] if schema.schema_is_current() else [NOT_MIGRATED]
    except Error:
        reconnect()
        return [NO_ANSWER]
