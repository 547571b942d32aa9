"""Middleware that answers for a database that is not ready, or that does not answer: 503, and when to ask again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from jobs import schema
from jobs.reconnect import AWAY

logger = logging.getLogger(__name__)

READY: Final = threading.Event()
"""Cleared by a start that found the database not ready; set again by the first request that finds it so."""
READY.set()
UNASKED: Final = ("/live", "/ready", "/api/v1/health")
"""They say for themselves what is ready."""
LOOK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = "5"
NO_ANSWER: Final = "The database does not answer or is busy: try again."
NOT_YET: Final = "The database is not ready yet: try again in a moment."


class SayThatThereIsNone:
    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self._answer = answer
        self._looking = threading.Lock()
        self._asked_at = 0.0

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not READY.is_set() and request.path_info not in UNASKED and not self._is_ready():
            return refusal(request, NOT_YET)
        return self._answer(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """A page that the database did not answer; the API says so itself."""
        if not isinstance(error, AWAY):
            return None
        logger.error("The database did not answer: %s", error)
        return refusal(request, NO_ANSWER)

    def _is_ready(self) -> bool:
        """Looked for once a second, however many ask; what is missing is in the log, and nobody else's business."""
        with self._looking:
            if not READY.is_set() and time.monotonic() - self._asked_at >= LOOK_SECONDS:
                self._asked_at = time.monotonic()
                if not schema.obstacle():
                    logger.warning("The pages waited for the database and go on: it is ready.")
                    READY.set()
        return READY.is_set()


def refusal(request: HttpRequest, sentence: str) -> HttpResponse:
    """503 with this sentence, as JSON to whoever asks the API."""
    if request.path_info.startswith("/api/"):
        answer: HttpResponse = JsonResponse({"detail": sentence}, status=503)
    else:
        answer = HttpResponse(render_to_string("503.html"), status=503)
    answer["Retry-After"] = RETRY_SECONDS
    return answer
