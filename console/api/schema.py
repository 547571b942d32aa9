"""The OpenAPI document and its page, served from our own files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from django.http import Http404
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from console.api.door import Door

if TYPE_CHECKING:  # its making of subclasses has no types

    class Scheme:
        target_class: str
        name: str

else:
    Scheme = OpenApiAuthenticationExtension


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
