"""Every refusal as JSON: `{"detail": sentence}` with the right status, never a traceback."""

from __future__ import annotations

import logging
from typing import Any, Final
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import DataError
from django.http import Http404
from rest_framework import status
from rest_framework.exceptions import (
    APIException,
    MethodNotAllowed,
    NotAuthenticated,
    Throttled,
    UnsupportedMediaType,
    ValidationError,
)
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

from console.files.tables.wishes import TableError
from console.no_database import NO_ANSWER
from console.tree import starting
from jobs.errors import (
    AmbiguousPipeline,
    BadParameters,
    IllegalMove,
    NoSharedStore,
    NothingToResume,
    NotNow,
    PlatformError,
    ProjectError,
    RequestError,
    Stale,
    UnknownPipeline,
    UnknownProject,
    UnknownQueue,
)
from jobs.reconnect import AWAY

logger = logging.getLogger(__name__)

STATUS: Final[list[tuple[type[Exception], int]]] = [
    (UnknownPipeline, status.HTTP_404_NOT_FOUND),
    (UnknownProject, status.HTTP_404_NOT_FOUND),
    (AmbiguousPipeline, status.HTTP_409_CONFLICT),
    (UnknownQueue, status.HTTP_404_NOT_FOUND),
    (BadParameters, status.HTTP_422_UNPROCESSABLE_ENTITY),
    (Stale, status.HTTP_412_PRECONDITION_FAILED),
    (IllegalMove, status.HTTP_409_CONFLICT),
    (NotNow, status.HTTP_409_CONFLICT),
    (NothingToResume, status.HTTP_409_CONFLICT),
    (TableError, status.HTTP_422_UNPROCESSABLE_ENTITY),
    (RequestError, status.HTTP_400_BAD_REQUEST),
    (ProjectError, status.HTTP_409_CONFLICT),
    (NoSharedStore, status.HTTP_409_CONFLICT),
    (PlatformError, status.HTTP_503_SERVICE_UNAVAILABLE),
    (RequestDataTooBig, status.HTTP_413_REQUEST_ENTITY_TOO_LARGE),
    (SuspiciousOperation, status.HTTP_400_BAD_REQUEST),
]
"""The first that fits counts."""


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "This body is too large: parameters are text, pass the name of a file instead."


class LengthMissing(APIException):
    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "Send the body with a Content-Length, not in chunks."


class Conflict(APIException):
    status_code = status.HTTP_409_CONFLICT


def answer(error: Exception, context: dict[str, Any]) -> Response:
    """The answer to a request that ended in this exception."""
    if isinstance(error, ValidationError):
        return _invalid(error)
    if isinstance(error, APIException | Http404):
        return _named(error, context)
    set_rollback()
    if isinstance(error, UnknownPipeline) and (left := starting.left(settings.VAR)):
        return Response({"detail": f"{left[0]} Ask again in a moment."}, status=503, headers={"Retry-After": "2"})
    for kind, code in STATUS:
        if isinstance(error, kind):
            return Response({"detail": _sentence(error), **_particulars(error)}, status=code)
    if isinstance(error, AWAY):
        logger.error("The database did not answer: %s", error)
        return Response({"detail": NO_ANSWER}, status=503)
    if isinstance(error, DataError | OverflowError):
        logger.warning("Refused: %s", error)
        return Response({"detail": "A number or a text in the request is too large: write a smaller one."}, status=400)
    return _unexpected(error)


def _named(error: APIException | Http404, context: dict[str, Any]) -> Response:
    """What the framework refuses, with our words where its own do not say what to do."""
    response = exception_handler(error, context)
    assert response is not None  # noqa: S101 - it answers every error of these two kinds
    if isinstance(error, NotAuthenticated):
        command = f"{settings.CONSOLE_COMMAND} token create USER"
        detail = f"Log in, or send `Authorization: Bearer TOKEN` (`{command}` makes a token)."
    elif isinstance(error, UnsupportedMediaType):
        detail = "Send JSON: add the header `Content-Type: application/json`."
    elif isinstance(error, MethodNotAllowed):
        detail = f"{error.args[0] if error.args else 'This method'} is not possible here."
    elif isinstance(error, Throttled):
        detail = f"Asked too often: try again in {response.headers['Retry-After']} s."
    elif isinstance(error, Http404):
        detail = str(error) or "There is nothing here."
    else:
        detail = str(error.detail)
    response.data = {"detail": detail}
    return response


def _sentence(error: Exception) -> str:
    if isinstance(error, RequestDataTooBig):
        return TooLarge.default_detail
    return str(error) or "This request could not be read."


def _particulars(error: Exception) -> dict[str, Any]:
    if isinstance(error, BadParameters):
        return {"errors": error.fields}
    if isinstance(error, Stale):
        return {"changed": error.names}
    if isinstance(error, TableError):
        return {"errors": {error.field: str(error)} if error.field else {}}
    if isinstance(error, UnknownPipeline | UnknownProject | UnknownQueue):
        return {"nearest": error.nearest}
    if isinstance(error, AmbiguousPipeline):
        return {"projects": error.projects}
    return {}


def _invalid(error: ValidationError) -> Response:
    fields = dict(_flat(error.detail))
    if whole := fields.pop("non_field_errors", None):
        return Response({"detail": whole, "errors": fields}, status=422)
    return Response({"detail": str(BadParameters(fields)), "errors": fields}, status=422)


def _flat(detail: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested messages as (dotted name, sentence); of several for one field the first."""
    if isinstance(detail, dict):
        parts = [_flat(inner, f"{name}.{key}" if name else str(key)) for key, inner in detail.items()]
        return [pair for part in parts for pair in part]
    if isinstance(detail, list):
        return _flat(detail[0], name) if detail else []
    return [(name or "non_field_errors", str(detail))]


def _unexpected(error: Exception) -> Response:
    mark = uuid4().hex[:8]
    logger.error("Unexpected, answered as %s", mark, exc_info=error)
    return Response({"detail": f"Something went wrong in the console; the log says what under {mark}."}, status=500)
