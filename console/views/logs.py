"""A run's log: the tab, the lines that it asks for while one reads, and the whole as a file."""

from __future__ import annotations

from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_GET

from console.pages.log_text import whole_log
from console.views.access import ConsoleRequest, needs
from console.views.run import answer, find
from console.whole_number import whole_number
from jobs.insight import read_logs
from jobs.insight.read_logs import LEVELS, Lines, Only
from jobs.models import Run


@require_GET
@needs("jobs.view_logchunk")
def run_logs(request: ConsoleRequest, number: int) -> HttpResponseBase:
    """The log tab; with `lines` only lines: `before`, `after` or `around` a number, or the first `error`."""
    run = find(number, is_whole="lines" not in request.GET)
    if "download" in request.GET:
        return whole_log(run)
    only = _only(request)
    asked = {"log": _lines(request, run, only), "only": only}
    if "lines" in request.GET:
        return render(request, "runs/_lines.html", {"run": run, **asked})
    return answer(request, run, "logs", levels=LEVELS, **asked)


def _only(request: ConsoleRequest) -> Only:
    level = request.GET.get("level", "")
    return Only(
        node=request.GET.get("node", ""), level=level if level in LEVELS else "", text=request.GET.get("text", "")[:200]
    )


def _lines(request: ConsoleRequest, run: Run, only: Only) -> Lines:
    for name, read in (("before", read_logs.older), ("after", read_logs.newer), ("around", read_logs.around)):
        if (number := whole_number(request.GET.get(name, ""))) is not None:
            return read(run, number, only)
    if "error" in request.GET and (first := read_logs.first_error(run)) is not None:
        return read_logs.around(run, first, only)
    return read_logs.newest(run, only)


urlpatterns = [path("runs/<int:number>/logs/", run_logs, name="run_logs")]
