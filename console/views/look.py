"""What the page of an artifact fetches to show it: windows of a table, a web page, a PDF."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import path
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.views.decorators.http import require_GET, require_safe

from console.files.downloads import answer, refusal
from console.files.previews import HTML_BYTES
from console.files.tables.asked import description, wish
from console.files.tables.readers import rows_of
from console.files.tables.wishes import TableError, Wish
from console.pages.look import look
from console.views.access import needs
from console.views.artifacts import find_artifact
from console.whole_number import whole_number
from jobs.errors import PlatformError

HTML_SANDBOX: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'"
)
TO_OURSELVES: Final = "frame-ancestors 'self'"
NEVER_CHANGES: Final = 3_600
"""Seconds for which a browser keeps a window; its address has the file's id in it."""


@require_GET
@needs("jobs.download_artifact")
def artifact_rows(request: HttpRequest, uuid: str) -> HttpResponse:
    """A window of a table, with `described` what its columns hold; a sentence as `detail` when it cannot be had."""
    row = find_artifact(uuid)
    sheet = whole_number(request.GET.get("sheet", ""), most=9_999)
    try:
        response = JsonResponse(rows_of(row, _wish(request), sheet=-1 if sheet is None else sheet))
    except TableError as error:
        return JsonResponse({"detail": str(error)})  # an answer: the file is what it is
    except PlatformError as error:
        return JsonResponse({"detail": str(error)}, status=503)
    patch_cache_control(response, private=True, max_age=NEVER_CHANGES)
    patch_vary_headers(response, ["Cookie"])
    return response


def _wish(request: HttpRequest) -> Wish:
    given = request.GET
    if "described" in given:
        return description()
    first, limit = (whole_number(given.get(name, usual)) for name, usual in (("first", "0"), ("limit", "100")))
    return wish(
        -1 if first is None else first,
        -1 if limit is None else limit,
        sort=given.get("sort", ""),
        find=given.get("find", ""),
        where=given.getlist("where"),
    )


@require_GET
@needs("jobs.download_artifact")
def artifact_html(request: HttpRequest, uuid: str) -> HttpResponse:
    """An HTML artifact for the frame on its page: no scripts, no origin, nothing loaded from anywhere."""
    shown = look(find_artifact(uuid), request.GET)
    if shown["preview"].kind != "html":
        raise Http404("This artifact is not an HTML file.")
    with shown["source"].open() as file:
        response = HttpResponse(file.read(HTML_BYTES), content_type="text/html; charset=utf-8")
    response["Content-Security-Policy"] = HTML_SANDBOX
    response["X-Frame-Options"] = "SAMEORIGIN"
    response["X-Content-Type-Options"] = "nosniff"
    patch_cache_control(response, private=True, no_cache=True)
    return response


@require_safe
@needs("jobs.download_artifact")
def artifact_pdf(request: HttpRequest, uuid: str) -> HttpResponseBase:
    """A PDF for the frame on its page, which the browser's own reader fills: that runs nothing in our origin."""
    shown = look(find_artifact(uuid), request.GET)
    if shown["preview"].kind != "pdf":
        raise Http404("This artifact is not a PDF document.")
    try:
        response = answer(request, shown["source"].content)
    except PlatformError as error:
        return refusal(error)
    response["Content-Type"] = "application/pdf"
    response["Content-Disposition"] = "inline"
    response["Content-Security-Policy"] = TO_OURSELVES
    response["X-Frame-Options"] = "SAMEORIGIN"
    return response


urlpatterns = [
    path("artifacts/<uuid:uuid>/rows/", artifact_rows, name="artifact_rows"),
    path("artifacts/<uuid:uuid>/html/", artifact_html, name="artifact_html"),
    path("artifacts/<uuid:uuid>/pdf/", artifact_pdf, name="artifact_pdf"),
]
