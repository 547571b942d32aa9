"""A run's log: the tab, the lines that it asks for while one reads, and the whole as a file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_GET

from console.ansi import plain
from console.views.access import needs
from console.views.run import answer, find
from jobs import read_logs
from jobs.models import Run
from jobs.read_logs import LEVELS, Lines, Only

BATCH = 500


@require_GET
@needs("jobs.view_logchunk")
def run_logs(request: HttpRequest, number: int) -> HttpResponseBase:
    """The log tab; with `lines` only lines: `before`, `after` or `around` a number, or the first `error`."""
    run = find(number)
    if "download" in request.GET:
        return _download(run)
    only = _only(request)
    asked = {"log": _lines(request, run, only), "only": only}
    if "lines" in request.GET:
        return render(request, "runs/_lines.html", {"run": run, **asked})
    return answer(request, run, "logs", levels=LEVELS, **asked)


def _only(request: HttpRequest) -> Only:
    level = request.GET.get("level", "")
    return Only(
        node=request.GET.get("node", ""), level=level if level in LEVELS else "", text=request.GET.get("text", "")[:200]
    )


def _lines(request: HttpRequest, run: Run, only: Only) -> Lines:
    for name, read in (("before", read_logs.older), ("after", read_logs.newer), ("around", read_logs.around)):
        number = request.GET.get(name, "")
        if number.isdecimal() and len(number) < 18:
            return read(run, int(number), only)
    if "error" in request.GET and (first := read_logs.first_error(run)) is not None:
        return read_logs.around(run, first, only)
    return read_logs.newest(run, only)


def _download(run: Run) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(_text(run), content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="run-{run.pk}.log"'
    return answer


def _text(run: Run) -> Iterator[bytes]:
    lines = read_logs.every(run)
    while batch := list(islice(lines, BATCH)):
        yield "".join(
            f"{datetime.fromtimestamp(line.at, UTC):%Y-%m-%dT%H:%M:%S.%fZ} {line.level:<8} "
            f"{f'[{line.node}] ' if line.node else ''}{f'{line.logger}: ' if line.logger else ''}{plain(line.text)}\n"
            for line in batch
        ).encode("utf-8", "replace")


urlpatterns = [path("runs/<int:number>/logs/", run_logs, name="run_logs")]
