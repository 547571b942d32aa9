"""The version of what people edit, as HTTP knows it: `ETag` in an answer, `If-Match` in a change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db.models import Model
from django.utils.http import parse_etags, quote_etag
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.shapes import StaleShape
from jobs.models.version import as_seen, version_of

STALE: Final = {412: OpenApiResponse(StaleShape, "Somebody else has changed it since: read it again.")}
IF_MATCH: Final = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The `ETag` of what was read: change it only while nobody else has. Without it, what is sent is set.",
)
ETAG: Final = OpenApiParameter(
    "ETag",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    response=[200],
    description="The version of what can be changed of it, for `If-Match`.",
)
NO_VERSION: Final = "-"
VERSIONS: Final = [IF_MATCH, ETAG]


def with_version(answer: Response, row: Model) -> Response:
    """The answer, with the version of the row as it is in memory."""
    answer.headers["ETag"] = quote_etag(version_of(row))
    return answer


@contextmanager
def unless_stale(row: Model, request: Request) -> Iterator[None]:
    """A transaction that holds the row; Stale when it is none of the versions that the request names."""
    with as_seen(row, *_named(request)):
        yield


def _named(request: Request) -> list[str]:
    """The versions that it names; none when it asks nothing."""
    sent = request.headers.get("If-Match", "")
    tags = [each.removeprefix("W/").strip('"') or NO_VERSION for each in parse_etags(sent)]
    return [] if not sent or "*" in tags else tags or [NO_VERSION]
