"""Pages that only show something need not ask the database for the time each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from jobs import clock

SAFE: Final = frozenset({"GET", "HEAD"})


def keep_time(answer: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: what only reads goes on from the time that the database said last."""

    def respond(request: HttpRequest) -> HttpResponseBase:
        if request.method not in SAFE:
            return answer(request)
        with clock.for_reading():
            return answer(request)

    return respond
