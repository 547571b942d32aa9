"""What every call of the API has in common."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Exists, F, QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiResponse
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from console.access.refusals import token_refused
from console.api.asked import Nothing
from console.api.body import PlainJSON, StrictJSON
from console.api.errors import LengthMissing
from console.api.limits import AskLess, count_refusal
from console.api.shapes import FieldsRefusalShape, RefusalShape
from console.whole_number import whole_number
from jobs.models import Run, Upload

REFUSED = {
    400: OpenApiResponse(RefusalShape, "It cannot be read, or not be used as it is."),
    401: OpenApiResponse(RefusalShape, "No valid token or session."),
    403: OpenApiResponse(RefusalShape, "The role is not sufficient."),
    429: OpenApiResponse(RefusalShape, "Asked too often: Retry-After says for how many seconds to wait."),
    503: OpenApiResponse(RefusalShape, "The database or the platform does not answer: ask again."),
}
MISSING = {404: OpenApiResponse(RefusalShape, "There is nothing by that name.")}
MISPUT = {422: OpenApiResponse(FieldsRefusalShape, "Something in it is invalid; a sentence for each field.")}


class Door(APIView):
    """A view of the API; `needs` names the permission for each method that it answers."""

    needs: ClassVar[dict[str, str]] = {}
    parser_classes = [StrictJSON]
    renderer_classes = [PlainJSON]
    metadata_class = None
    throttle_classes = [AskLess]

    def initial(self, request: Request, *args: Any, **named: Any) -> None:
        """Whoever may ask has to send a body that can be read: WSGI shows none without its length."""
        try:
            super().initial(request, *args, **named)
        except (AuthenticationFailed, NotAuthenticated) as refusal:
            if isinstance(refusal, AuthenticationFailed):
                token_refused(request, str(refusal.detail))
            count_refusal(request)
            raise
        if request.headers.get("Transfer-Encoding") and not request.META.get("CONTENT_LENGTH"):
            raise LengthMissing

    def finalize_response(self, request: Request, response: Any, *args: Any, **named: Any) -> Response:
        """Answers are for whoever asked, now: nothing between us keeps them."""
        answer: Response = super().finalize_response(request, response, *args, **named)
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer


def refuse_fields(request: Request) -> None:
    """For a request that takes no body: what is in it would change nothing, and whoever sent it thinks otherwise."""
    Nothing(data=request.data).is_valid(raise_exception=True)


def asked(shape: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    """The checked query of this request."""
    given = shape(data=request.query_params.dict())
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


def jobs(before: int | None = None) -> QuerySet[Run]:
    """The newest first; older than number `before` when it is given."""
    facts = {"retried_uuid": F("retry_of__uuid"), "may_wait": Exists(Upload.objects.all())}
    return Run.objects.newest().before(before).annotate(**facts).prefetch_related("unkept_files")


def find_job(name: str) -> Run:
    """The job with this id, or with this run number; Http404 that says so."""
    found = jobs().filter(**_key(name)).first()
    if found is None:
        raise Http404(f"There is no job {name[:60]}: `GET /api/v1/jobs` lists the newest.")
    return found


def _key(name: str) -> dict[str, Any]:
    if (number := whole_number(name)) is not None:
        return {"pk": number}
    try:
        return {"uuid": UUID(name)}
    except ValueError:
        return {"pk": None}
