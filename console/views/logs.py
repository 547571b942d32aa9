"""A run's log: the tab, the lines, hits and counts that it asks for while one reads, and the whole as a file."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Final

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_GET

from console.pages.log_text import whole_log
from console.views.access import ConsoleRequest, needs
from console.views.run import answer, find
from console.whole_number import whole_number
from jobs.insight import read_logs
from jobs.insight.find_in_logs import AROUND, found, outline
from jobs.insight.read_logs import LEVELS, Lines, Only
from jobs.models import Run

MOST_HITS: Final = 10_000
"""A page counts no further: it says that there are more."""
AROUNDS: Final = {"0": 0, "3": AROUND, "all": None}
"""How many lines a page shows around each hit."""


@require_GET
@needs("jobs.view_logchunk")
def run_logs(request: ConsoleRequest, number: int) -> HttpResponseBase:
    """The log tab; with `lines` only lines: `before`, `after` or `around` a number, or the next `error`."""
    run = find(number, is_whole="lines" not in request.GET)
    if "download" in request.GET:
        return whole_log(run)
    only = _only(request)
    asked = {"log": _lines(request, run, only), "only": only, "around": _around(request)}
    if "lines" in request.GET:
        return render(request, "runs/_lines.html", {"run": run, **asked})
    is_spilled = run.steps.exclude(log_sha256="").exists()
    facts = {"levels": LEVELS, "is_folded": "folded" in request.GET, "is_spilled": is_spilled}
    return answer(request, run, "logs", **facts, **asked)


@require_GET
@needs("jobs.view_logchunk")
def run_log_hits(request: ConsoleRequest, number: int) -> JsonResponse:
    """The numbers of lines that match, `before` or `after` a number: as far as one question may look."""
    run, only = find(number), _only(request)
    before = whole_number(request.GET.get("before", ""))
    after = whole_number(request.GET.get("after", "")) or 0
    if before is not None:
        page = read_logs.older(run, before, only, most=1)
    else:
        page = read_logs.newer(run, after, only, most=MOST_HITS)
    has_more = page.has_newer or page.has_older
    numbers = [line.seq for line in page.lines]
    return JsonResponse({"hits": numbers, "first": page.first, "last": page.last, "has_more": has_more})


@require_GET
@needs("jobs.view_logchunk")
def run_log_counts(request: ConsoleRequest, number: int) -> JsonResponse:
    """How many lines, hits and errors each node wrote, `after` a number: as far as one question may look."""
    after = whole_number(request.GET.get("after", "")) or 0
    return JsonResponse(asdict(outline(find(number), _only(request), after)))


def _only(request: HttpRequest) -> Only:
    level = request.GET.get("level", "")
    return Only(
        node=request.GET.get("node", ""),
        level=level if level in LEVELS else "",
        text=request.GET.get("text", "")[:200],
        is_outside="outside" in request.GET,
    )


def _around(request: HttpRequest) -> str:
    asked = request.GET.get("context", "")
    return asked if asked in AROUNDS else str(AROUND)


def _lines(request: HttpRequest, run: Run, only: Only) -> Lines:
    around = AROUNDS[_around(request)]
    if "error" in request.GET:
        error = read_logs.next_error(run, whole_number(request.GET.get("after", "")) or 0)
        if error.lines:
            return found(run, only, around, partial(read_logs.around, run, error.lines[0].seq))
        return error if error.has_newer else found(run, only, around, partial(read_logs.newest, run))
    for name, read in (("before", read_logs.older), ("after", read_logs.newer), ("around", read_logs.around)):
        if (number := whole_number(request.GET.get(name, ""))) is not None:
            return found(run, only, around, partial(read, run, number))
    return found(run, only, around, partial(read_logs.newest, run))


urlpatterns = [
    path("runs/<int:number>/logs/", run_logs, name="run_logs"),
    path("runs/<int:number>/logs/hits/", run_log_hits, name="run_log_hits"),
    path("runs/<int:number>/logs/counts/", run_log_counts, name="run_log_counts"),
]
