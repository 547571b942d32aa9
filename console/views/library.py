"""The library of files that pipelines make again and again, what one pins, and the links one has given away."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.views.decorators.http import require_GET, require_POST

from console.files.kinds import FAMILIES
from console.pages.library import Wanted, library
from console.views.access import ConsoleRequest, back, needs
from console.views.shell import page
from console.whole_number import whole_number
from jobs.models import Pin, Share, Shelf

LINKS = 200


@require_GET
@needs("jobs.view_artifact")
def shelves(request: ConsoleRequest) -> HttpResponse:
    """The page, or for htmx the cards that fit the words typed so far."""
    wanted = Wanted(
        words=request.GET.get("q", "").replace("\0", " ").strip()[:200],
        family=request.GET.get("kind", ""),
        has_intermediate=request.GET.get("all") == "1",
        before=whole_number(request.GET.get("before", "")),
    )
    found = library(wanted, request.user)
    context = {"found": found, "older": found.older, "wanted": wanted, "families": FAMILIES}
    if request.htmx:
        return render(request, "library/_shelves.html", context)
    return page(request, "library/index.html", context, title="Library")


@require_GET
@needs("jobs.view_artifact")
def artifacts(request: HttpRequest) -> HttpResponseBase:
    """Where the library was before."""
    query = request.META.get("QUERY_STRING", "")
    return redirect(f"{reverse('library')}{'?' if query else ''}{query}")


@require_POST
@needs("jobs.view_artifact")
def pin(request: ConsoleRequest, pk: int) -> HttpResponseBase:
    """First in one's own library, or no longer."""
    shelf = get_object_or_404(Shelf, pk=pk)
    row, is_new = Pin.objects.get_or_create(user=request.user, shelf=shelf)
    if not is_new:
        row.delete()
    return redirect(back(request, "library"))


@require_GET
@needs("jobs.share_artifact")
def links(request: ConsoleRequest) -> HttpResponse:
    """One's own links, the newest first; whoever may delete links sees everybody's."""
    rows = Share.objects.known()
    if not request.user.has_perm("jobs.delete_share"):
        rows = rows.filter(made_by=request.user)
    return page(request, "library/links.html", {"links": rows[:LINKS]}, title="Links")


urlpatterns = [
    path("library/", shelves, name="library"),
    path("library/links/", links, name="library_links"),
    path("library/pins/<int:pk>/", pin, name="library_pin"),
    path("artifacts/", artifacts, name="artifacts"),
]
