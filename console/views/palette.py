"""The palette's lines, for the script that shows them while somebody types."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_GET

from console.pages.palette import entries
from console.pages.records import records
from console.views.shell import sidebar


@require_GET
@login_required
def palette(request: HttpRequest) -> HttpResponse:
    found = entries(request.GET.get("q", ""), request.user, [*sidebar(request), *records(request)])
    return render(request, "_palette_lines.html", {"entries": found})


urlpatterns = [path("palette/", palette, name="palette")]
