"""What the dialog that asks first gets as an answer: where to go on, instead of the page there."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase, HttpResponseRedirectBase

HEADER = "X-Console-Dialog"


def tell_where(answer: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: a script that followed the redirect itself would use up the sentence that the next page shows."""

    def respond(request: HttpRequest) -> HttpResponseBase:
        response = answer(request)
        if HEADER in request.headers and isinstance(response, HttpResponseRedirectBase):
            return JsonResponse({"to": response.url})
        return response

    return respond
