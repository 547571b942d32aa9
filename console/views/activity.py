"""Everything that people and tokens did, and what was done to one thing."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Final

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_GET

from console.views.access import needs
from console.views.shell import page
from console.whole_number import whole_number
from jobs.models import Act
from jobs.models.act import VERBS, ActQuerySet, Door

SCREEN: Final = 50
EXPORTED: Final = 100_000
PAGE: Final = 1_000
OF_ONE_THING: Final = 30
COLUMNS: Final = ("at", "actor", "token", "door", "address", "verb", "kind", "key", "name", "why", "before", "after")
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@require_GET
@needs("jobs.view_act")
def activity(request: HttpRequest) -> HttpResponseBase:
    """One screenful, the newest first, found by key; `export=csv` sends all of what is chosen."""
    rows = _chosen(request)
    if request.GET.get("export") == "csv":
        return _exported(rows)
    found = list(rows[: SCREEN + 1])
    context = {
        "acts": found[:SCREEN],
        "older": found[SCREEN - 1].pk if len(found) > SCREEN else None,
        "doors": dict(Door.choices),
        "verbs": VERBS,
        "is_narrowed": any(request.GET.get(name) for name in ("actor", "verb", "object")),
        **{name: request.GET.get(name, "") for name in ("actor", "verb", "object")},
    }
    return page(request, "activity/index.html", context, title="Activity")


@require_GET
@needs("jobs.view_act")
def activity_of(request: HttpRequest) -> HttpResponse:
    """The last acts on one thing, for the drawer on its page."""
    thing = request.GET.get("object", "")[:200]
    found = list(Act.objects.narrowed(thing=thing)[: OF_ONE_THING + 1])
    context = {"acts": found[:OF_ONE_THING], "has_more": len(found) > OF_ONE_THING, "object": thing}
    return render(request, "activity/_of.html", context)


def _chosen(request: HttpRequest) -> ActQuerySet:
    asked = {name: request.GET.get(name, "").strip()[:200] for name in ("actor", "verb", "object")}
    before = whole_number(request.GET.get("before", ""))
    return Act.objects.narrowed(actor=asked["actor"], verb=asked["verb"], thing=asked["object"], before=before)


def _exported(rows: ActQuerySet) -> StreamingHttpResponse:
    response = StreamingHttpResponse(_lines(rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="activity.csv"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


class _Echo:
    def write(self, text: str) -> str:
        return text


def _lines(rows: ActQuerySet) -> Iterator[str]:
    """In pages found by key: between two of them a slow reader holds no cursor, and any thread may go on."""
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    found, sent = list(rows[:PAGE]), 0
    while found and sent < EXPORTED:
        yield "".join(writer.writerow([_cell(getattr(act, name)) for name in COLUMNS]) for act in found)
        sent += len(found)
        found = list(rows.filter(pk__lt=found[-1].pk)[:PAGE])


def _cell(value: object) -> str:
    """As text; what a spreadsheet would take for a formula begins with an apostrophe."""
    text = json.dumps(value) if isinstance(value, dict) else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


urlpatterns = [
    path("activity/", activity, name="activity"),
    path("activity/of/", activity_of, name="activity_of"),
]
