"""The inbox of failed requests, the page of one, and what can be done with them."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from console.templatetags.console import plural
from console.views.access import ConsoleRequest, back, needs
from console.views.shell import page
from console.whole_number import whole_number
from jobs import clock
from jobs.errors import ConsoleError
from jobs.models import IgnoredHost, Replay, RequestRecord
from jobs.models.request_record import RequestRecordQuerySet
from jobs.requests import SENDABLE, TEXTS, groups
from jobs.resends.replay import start_replay

SCREEN: Final = 50
FEW: Final = 4
MOST_IGNORED: Final = 200


@require_GET
@needs("jobs.view_requestrecord")
def requests(request: ConsoleRequest) -> HttpResponse:
    """The open ones by host and reason; with `host` and `reason` those of one group, page by page."""
    host, reason = request.GET.get("host"), request.GET.get("reason")
    if host is not None and reason is not None:
        return _group(request, host, reason)
    found = groups()
    for group in found:
        rows = RequestRecord.objects.open().filter(host=group["host"], reason=group["reason"])
        group["newest"] = list(rows.newest().defer(*TEXTS)[:FEW])
    context = {
        "groups": found,
        "replays": Replay.objects.order_by("-id")[:5],
        "total": sum(group["count"] for group in found),
        "ignored": IgnoredHost.objects.all()[:MOST_IGNORED],
    }
    return page(request, "requests/index.html", context, title="Failed requests")


def _group(request: ConsoleRequest, host: str, reason: str) -> HttpResponse:
    rows = RequestRecord.objects.open().filter(host=host, reason=reason)
    before = whole_number(request.GET.get("before", ""))
    older = rows if before is None else rows.filter(pk__lt=before)
    shown = list(older.newest().defer(*TEXTS)[: SCREEN + 1])
    context = {
        "host": host,
        "reason": reason,
        "records": shown[:SCREEN],
        "before": shown[SCREEN - 1].pk if len(shown) > SCREEN else None,
        "count": rows.count(),
        "sendable": rows.filter(SENDABLE).count(),
    }
    return page(request, "requests/group.html", context, title=f"{reason} from {host}")


@require_GET
@needs("jobs.view_requestrecord")
def request_shown(request: ConsoleRequest, pk: int) -> HttpResponse:
    """One failed request: what was sent, each attempt, what came back, and where it belongs."""
    record = get_object_or_404(RequestRecord.objects.newest(), pk=pk)
    context = {
        "record": record,
        "like": RequestRecord.objects.like(record).count(),
        "resends": record.resends.select_related("replay", "followed_by").order_by("-pk")[:20],
    }
    return page(request, "requests/show.html", context, title=f"{record.method} {record.host}")


@require_POST
@needs("jobs.replay_requestrecord")
def requests_replay(request: ConsoleRequest) -> HttpResponse:
    """Send the chosen ones again; the answer is the replay's page."""
    try:
        replay = start_replay(_chosen(request).newest().defer(*TEXTS), at=clock.now(), by=request.user)
    except ConsoleError as error:
        messages.error(request, str(error))
        return redirect(back(request, "requests"))
    return redirect("replay", replay.pk)


@require_POST
@needs("jobs.dismiss_requestrecord")
def requests_dismiss(request: ConsoleRequest) -> HttpResponse:
    """Take the chosen ones out of the inbox; the reason is asked for."""
    why = request.POST.get("why", "").strip()
    if not why:
        messages.error(request, "Say why: the reason stays with the request.")
        return redirect(back(request, "requests"))
    count = _chosen(request).dismiss(at=clock.now(), by=request.user.get_username(), why=why)
    messages.success(request, f"{count} request{'' if count == 1 else 's'} dismissed.")
    return redirect(back(request, "requests"))


@require_POST
@needs("jobs.dismiss_requestrecord")
def requests_ignore(request: ConsoleRequest) -> HttpResponse:
    """Keep a host's failed requests out of the inbox from now on."""
    host = request.POST.get("host", "")
    try:
        count = IgnoredHost.ignore(host, at=clock.now(), by=request.user.get_username())
        messages.success(request, f"{host} is ignored; {count} open request{'' if count == 1 else 's'} left the inbox.")
    except ConsoleError as error:
        messages.error(request, str(error))
    return redirect("requests")


@require_POST
@needs("jobs.dismiss_requestrecord")
def requests_heed(request: ConsoleRequest) -> HttpResponse:
    """Stop ignoring a host: what was ignored of it is in the inbox again."""
    host = request.POST.get("host", "")
    try:
        count = IgnoredHost.heed(host)
        messages.success(request, f"{host} is no longer ignored; {plural(count, 'request is,requests are')} open.")
    except ConsoleError as error:
        messages.error(request, str(error))
    return redirect("requests")


def _chosen(request: ConsoleRequest) -> RequestRecordQuerySet:
    """The open requests that the form names, one by one or all of a host and reason."""
    given: Any = request.POST
    rows = RequestRecord.objects.open()
    if "host" in given and "reason" in given:
        return rows.filter(host=given["host"], reason=given["reason"])
    return rows.filter(pk__in=filter(None, map(whole_number, given.getlist("request"))))


urlpatterns = [
    path("requests/", requests, name="requests"),
    path("requests/replay/", requests_replay, name="requests_replay"),
    path("requests/dismiss/", requests_dismiss, name="requests_dismiss"),
    path("requests/ignore/", requests_ignore, name="requests_ignore"),
    path("requests/heed/", requests_heed, name="requests_heed"),
    path("requests/<int:pk>/", request_shown, name="request"),
]
