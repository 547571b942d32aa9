"""The list of runs, its live rows, and what can be done to many at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from console.pages.complete_search import completions
from console.pages.find_runs import LOOK, LOOK_ON
from console.pages.run_list import SCREEN, Screen, rows, screen
from console.pages.search import parse
from console.views.access import ConsoleRequest, back, needs
from console.views.shell import page
from console.whole_number import whole_number
from jobs import clock
from jobs.errors import ConsoleError
from jobs.models import Run
from jobs.runs.cancel import cancel
from jobs.runs.retry import retry


@require_GET
@needs("jobs.view_run")
def runs(request: ConsoleRequest) -> HttpResponse:
    """The page; for htmx with `rows=` those rows alone until the last has ended, with `further=` what follows."""
    at = clock.now()
    if request.htmx and "rows" in request.GET:
        shown = Screen(rows(_numbers(request.GET["rows"].split(","))))
        return render(request, "runs/_live_rows.html", {"screen": shown, "at": at})
    search = parse(request.GET.get("q", ""))
    before, after, so_far = (whole_number(request.GET.get(name, "")) for name in ("before", "after", "further"))
    if request.htmx and so_far is not None:
        shown = screen(search, at, before=before, look=LOOK_ON)
        context = {"screen": shown, "search": search, "at": at, "so_far": so_far + len(shown.runs)}
        return render(request, "runs/_found_further.html", context)
    found = screen(search, at, look=LOOK, before=before, after=after)
    context = {"screen": found, "search": search, "at": at, "so_far": len(found.runs)}
    return page(request, "runs/index.html", context, title="Runs")


@require_GET
@needs("jobs.view_run")
def runs_complete(request: ConsoleRequest) -> HttpResponse:
    """What may follow what stands in the search box."""
    return render(request, "runs/_completions.html", {"completions": completions(request.GET.get("q", ""))})


@require_POST
@needs("jobs.cancel_run")
def runs_cancel(request: ConsoleRequest) -> HttpResponse:
    """Ask the chosen runs to stop."""
    _each(request, "asked to stop", lambda run, at: cancel(run, at=at, by=request.user.get_username()))
    return redirect(back(request, "runs"))


@require_POST
@needs("jobs.retry_run")
def runs_retry(request: ConsoleRequest) -> HttpResponse:
    """Start the chosen runs once more."""
    _each(request, "started again", lambda run, at: retry(run, at=at, by=request.user))
    return redirect(back(request, "runs"))


def _each(request: ConsoleRequest, done: str, act: Callable[[Run, datetime], Run]) -> None:
    """Act on each chosen run and say how many there were; those that refuse say why."""
    count, at = 0, clock.now()
    for run in Run.objects.filter(pk__in=_numbers(request.POST.getlist("run"))).newest():
        try:
            act(run, at)
            count += 1
        except ConsoleError as error:
            messages.error(request, f"Run #{run.pk}: {error}")
    messages.success(request, f"{count} run{'' if count == 1 else 's'} {done}.")


def _numbers(texts: list[str]) -> list[int]:
    """The whole numbers among these, at most two screens of them."""
    return [number for text in texts if (number := whole_number(text)) is not None][: 2 * SCREEN]


urlpatterns = [
    path("runs/", runs, name="runs"),
    path("runs/complete/", runs_complete, name="runs_complete"),
    path("runs/cancel/", runs_cancel, name="runs_cancel"),
    path("runs/retry/", runs_retry, name="runs_retry"),
]
