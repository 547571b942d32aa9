"""Give a file away by a link, take the link back, and what whoever has it sees."""

from __future__ import annotations

from datetime import datetime, time
from typing import Final

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.access.addresses import client_address, whose_address
from console.access.limits import LOGINS
from console.env import Rate
from console.files.downloads import answer, content_of, disposition, note_download, refusal, safe_type
from console.pages.library import Shelved
from console.views.access import ConsoleRequest, needs
from console.views.shell import looks
from jobs import clock
from jobs.errors import BadParameters, PlatformError
from jobs.interpreters.artifacts import link
from jobs.library.share import ShareOrder, opens, revoke, share
from jobs.models import Artifact, Share
from jobs.models.act import Actor, Door, acting

TRIES: Final = Rate(20, 60)
"""Wrong links and passwords from one address."""
OPENED: Final = "opened_shares"


@require_POST
@needs("jobs.share_artifact")
def artifact_share(request: ConsoleRequest, uuid: str) -> HttpResponseBase:
    """A new link; its address is shown this once."""
    row = get_object_or_404(Artifact.objects.select_related("run__pipeline__project"), uuid=uuid)
    try:
        made, token = share(_ordered(request, row), at=clock.now(), by=request.user)
    except BadParameters as error:
        messages.error(request, " ".join(error.fields.values()))
        return redirect("artifact", row.uuid)
    request.session["new_share"] = [made.pk, request.build_absolute_uri(reverse("share", args=[token]))]
    return redirect(f"{reverse('artifact', args=[row.uuid])}#share")


def _ordered(request: HttpRequest, row: Artifact) -> ShareOrder:
    return ShareOrder(
        row,
        _end_of(request.POST.get("until", "")),
        is_newest=request.POST.get("which") == "newest",
        needs_login=request.POST.get("who") == "people",
        password=request.POST.get("password", ""),
    )


def _end_of(day: str) -> datetime:
    """The last moment of that day where the viewer is. BadParameters when it is none."""
    try:
        found = parse_date(day)
    except ValueError:
        found = None
    if found is None:
        raise BadParameters({"until": "Choose the day until which the link holds."})
    return timezone.make_aware(datetime.combine(found, time(23, 59, 59)))


@require_POST
@needs("jobs.share_artifact")
def share_revoke(request: ConsoleRequest, uuid: str) -> HttpResponseBase:
    """One's own; whoever may delete links takes back everybody's."""
    rows = Share.objects.known()
    if not request.user.has_perm("jobs.delete_share"):
        rows = rows.filter(made_by=request.user)
    made = get_object_or_404(rows, uuid=uuid)
    revoke(made, at=clock.now())
    messages.success(request, "The link leads nowhere any more.")
    return redirect(f"{reverse('artifact', args=[made.file.uuid])}#share" if made.file else "library_links")


@require_http_methods(["GET", "HEAD", "POST"])
def shared(request: HttpRequest, token: str) -> HttpResponseBase:
    """What the link leads to; its password first where it has one."""
    made = _led(request, token)
    if not isinstance(made, Share):
        return made
    if made.needs_login and not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    if request.method == "POST":
        return _opened(request, made, token)
    return _shown(request, made, token)


@require_safe
def shared_download(request: HttpRequest, token: str) -> HttpResponseBase:
    """The file itself, counted and recorded."""
    made = _led(request, token)
    if not isinstance(made, Share):
        return made
    if made.needs_login and not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    row = made.file
    if row is None or not _is_opened(request, made):
        return redirect("share", token)
    with acting(lambda: _bearer(request, made)):
        note_download(request, row)
    if request.method == "GET":
        made.count_use(clock.now())
    try:
        return _private(answer(request, content_of(row), link(row, disposition(row.name), safe_type(row.media_type))))
    except PlatformError as error:
        return refusal(error)


def _led(request: HttpRequest, token: str) -> Share | HttpResponseBase:
    """The link, where it leads somewhere; else the page that says why not."""
    name = f"share {whose_address(request)}"
    if wait := LOGINS.wait(name, TRIES):
        return _over(request, "Too many wrong links. Wait a minute and try again.", 429, wait=wait)
    made = Share.objects.called(token)
    if made is None:
        LOGINS.take(name, TRIES)
        return _over(request, "There is no such link: it may have lost its end when it was copied.", 404)
    if not made.is_open(clock.now()) or made.file is None:
        return _over(request, "This link is over. Ask whoever sent it for a new one.", 410)
    return made


def _opened(request: HttpRequest, made: Share, token: str) -> HttpResponseBase:
    name = f"share {whose_address(request)}"
    if not opens(made, request.POST.get("password", "")):
        LOGINS.take(name, TRIES)
        return _shown(request, made, token, is_wrong=True)
    request.session[OPENED] = [*request.session.get(OPENED, [])[-20:], made.pk]
    return redirect("share", token)


def _is_opened(request: HttpRequest, made: Share) -> bool:
    return not made.password or made.pk in request.session.get(OPENED, [])


def _shown(request: HttpRequest, made: Share, token: str, *, is_wrong: bool = False) -> HttpResponseBase:
    is_opened = _is_opened(request, made)
    context = {
        **looks(),
        "share": made,
        "token": token,
        "is_opened": is_opened,
        "is_wrong": is_wrong,
        "shelved": Shelved(made.file) if is_opened and made.file else None,
    }
    return _private(render(request, "library/share.html", context, status=403 if is_wrong else 200))


def _over(request: HttpRequest, sentence: str, status: int, *, wait: int = 0) -> HttpResponseBase:
    response = render(request, "library/share_over.html", {**looks(), "sentence": sentence}, status=status)
    if wait:
        response["Retry-After"] = str(wait)
    return _private(response)


def _private(response: HttpResponseBase) -> HttpResponseBase:
    """The address is the secret: it goes to no other page, into no search engine and no cache."""
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Cache-Control"] = "private, no-store"
    return response


def _bearer(request: HttpRequest, made: Share) -> Actor:
    if request.user.is_authenticated:
        return Actor(request.user.get_username(), Door.PAGE, request.user.pk, address=client_address(request))
    return Actor(f"a link of {made.made_by_name or 'somebody'}", Door.PAGE, address=client_address(request))


urlpatterns = [
    path("artifacts/<uuid:uuid>/share/", artifact_share, name="artifact_share"),
    path("shares/<uuid:uuid>/revoke/", share_revoke, name="share_revoke"),
    path("share/<str:token>/", shared, name="share"),
    path("share/<str:token>/download/", shared_download, name="share_download"),
]
