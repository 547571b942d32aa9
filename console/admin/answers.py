"""How an action of a dialog sends the browser on."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django_htmx.http import HttpResponseClientRedirect


def answered(request: HttpRequest, url: str) -> HttpResponse:
    """Go there: a dialog was posted by htmx, which has to be told in its own way."""
    return HttpResponseClientRedirect(url) if request.headers.get("HX-Request") else redirect(url)
