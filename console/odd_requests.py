"""Middleware that refuses what no database takes, wherever in a request it stands, before anything looks at it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, Final

from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

LARGEST: Final = 2**63 - 1
FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
NOT_TEXT: Final = "The request contains a character that is not valid text (NUL): leave it out."
TOO_LARGE: Final = "A number or a text in the request is too large: write a smaller one."

logger = logging.getLogger(__name__)


class RefuseOddRequests:
    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if any("\x00" in text for text in _texts(request)):
            return refusal(request, NOT_TEXT)
        return self._answer(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, parts: dict[str, Any]) -> HttpResponse | None:
        """Nothing has a number that no row can have."""
        if not any(isinstance(part, int) and part > LARGEST for part in parts.values()):
            return None
        if _is_api(request):
            return JsonResponse({"detail": "There is nothing with this number."}, status=404)
        raise Http404("There is nothing with this number.")

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """What slipped through to the database, which did not take it."""
        if not isinstance(error, DataError | OverflowError):
            return None
        logger.warning("Refused %s: %s", request.path[:200], error)
        return refusal(request, TOO_LARGE)


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/")


def _texts(request: HttpRequest) -> Iterator[str]:
    yield request.path_info
    for data in (request.GET, *([request.POST] if _is_form(request) else [])):
        for name, texts in data.lists():
            yield name
            yield from texts


def _is_form(request: HttpRequest) -> bool:
    return request.method == "POST" and request.content_type in FORMS and not _is_api(request)


def refusal(request: HttpRequest, sentence: str) -> HttpResponse:
    """400 with this sentence, as JSON to whoever asks the API."""
    if _is_api(request):
        return JsonResponse({"detail": sentence}, status=400)
    return render(request, "400.html", {"sentence": sentence}, status=400)
