"""The OpenAPI document and its page, served from our own files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from django.http import Http404
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from console.api.door import Door

if TYPE_CHECKING:  # its making of subclasses has no types

    class Scheme:
        target_class: str
        name: str

    class Component:
        target_class: str
        match_subclasses: bool
        target: Any

else:
    Scheme, Component = OpenApiAuthenticationExtension, OpenApiSerializerExtension


class BearerTokenScheme(Scheme):
    target_class = "console.api.authentication.BearerToken"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class BrowserSessionScheme(Scheme):
    target_class = "console.api.authentication.BrowserSession"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}


class LocalAnonymousScheme(Scheme):
    target_class = "console.api.authentication.LocalAnonymous"
    name = "none, from this machine"

    def get_security_definition(self, auto_schema: Any) -> list[Any]:
        return []

    def get_security_requirement(self, auto_schema: Any) -> dict[str, list[Any]]:
        return {}


class OnlyItsOwnFields(Component):
    """What may be sent is closed, as a field that is not known is refused; an answer may get more fields."""

    target_class = "console.api.asked.Asked"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        found: dict[str, Any] = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**found, "additionalProperties": False} if direction == "request" else found


REFUSED_BODIES: Final = {
    "411": ("RefusalShape", "The body came in chunks, without a Content-Length."),
    "413": ("RefusalShape", "The body is too large."),
    "415": ("RefusalShape", "The body is not announced as application/json."),
    "422": ("FieldsRefusalShape", "Something in it is invalid; a sentence for each field."),
}


def say_how_bodies_are_refused(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """The document, with the refusals of a body at each call that reads one, also where none is wanted."""
    for calls in result["paths"].values():
        for method in {"post", "patch", "put"} & set(calls):
            for status, (shape, sentence) in REFUSED_BODIES.items():
                content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{shape}"}}}
                calls[method]["responses"].setdefault(status, {"description": sentence, "content": content})
    return result


class Document(SpectacularJSONAPIView):
    """The same for everybody: it says what the API is, not what is in it."""

    authentication_classes = []


class Page(SpectacularSwaggerSplitView):
    authentication_classes = []
    metadata_class = None
    url_name = "api:openapi"


class NotHere(Door):
    """Every address of the API that is none."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(exclude=True)
    def get(self, request: Request, **_: Any) -> NoReturn:
        raise Http404(f"There is nothing at {request.path[:200]}: `/api/v1/docs` lists what there is.")

    post = put = patch = delete = get
