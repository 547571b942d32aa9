"""The page of one run, and what can be done to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from console.pages.library import Shelved
from console.pages.look import look
from console.pages.run_page import LABELS, context, files, first_tab, strip
from console.pages.shared_polls import PANES, POLLS
from console.views.access import ConsoleRequest, back, needs
from console.views.shell import page
from console.whole_number import whole_number
from jobs import clock
from jobs.errors import ConsoleError
from jobs.insight.belongings import with_belongings
from jobs.models import Run
from jobs.runs.cancel import cancel, force
from jobs.runs.prioritize import prioritize
from jobs.runs.retry import retry


@require_GET
@needs("jobs.view_run")
def run(request: ConsoleRequest, number: int) -> HttpResponse:
    """The page, or for htmx what it refreshes; an ended run comes without the part that asks again."""
    tab = request.GET.get("tab", "")
    if tab == "logs" and not request.htmx:
        return redirect("run_logs", number)
    run = find(number, is_whole="poll" not in request.GET)
    shown = tab if tab in LABELS else first_tab(run)
    return answer(request, run, shown, **(_files(request, run) if shown == "artifacts" else {}))


def find(number: int, *, is_whole: bool = False) -> Run:
    """The run with what its header shows, for a whole page with what belongs to it; 404 when there is none."""
    rows: QuerySet[Run] = Run.objects.select_related("pipeline__project", "snapshot__project", "retry_of")
    rows = rows.defer("snapshot__content", "pipeline__project__environment")
    return get_object_or_404(with_belongings(rows, number) if is_whole else rows, pk=number)


def answer(request: ConsoleRequest, run: Run, tab: str, **asked: Any) -> HttpResponse:
    """This tab of the run's page: whole, or the fragment that the whole page includes."""
    at, is_poll = clock.now(), bool(request.htmx and "poll" in request.GET)
    if is_poll and tab in PANES and not (asked or run.cancel_requested_at):
        return _shared(request, run, tab, at)
    shown = {"is_poll": is_poll, **context(run, tab, at, request.GET, **asked)}
    if not is_poll:
        shown["strip"] = strip(shown["neighbours"], shown["where"], at)
    if request.htmx:
        return render(request, "runs/_run.html", shown)
    return page(request, "runs/show.html", shown, title=asked.get("title", f"Run #{run.pk}"))


def _shared(request: ConsoleRequest, run: Run, tab: str, at: datetime) -> HttpResponse:
    """A refresh: the panes as somebody else with the same permissions got them a moment ago, and one's own buttons."""
    state = (run.pk, run.seq, run.status, run.nodes_done, tab, request.GET.urlencode())
    key = (*state, frozenset(request.user.get_all_permissions()))
    kept = POLLS.get(key)
    if kept is None:
        shown = {"is_poll": True, "is_shared": True, **context(run, tab, at, request.GET)}
        html = render_to_string("runs/_run.html", shown, request)
        kept = POLLS.keep(key, html, {name: shown[name] for name in ("question", "priority", "priorities")})
    buttons = render_to_string("runs/_actions.html", {**kept.facts, "run": run, "is_oob": True}, request)
    return HttpResponse(buttons + kept.html)


def _files(request: ConsoleRequest, run: Run) -> dict[str, Any]:
    """A page of its files, and the one that is looked at."""
    return {**files(run, whole_number(request.GET.get("after", "")) or 0), **_file(request, run)}


def _file(request: ConsoleRequest, run: Run) -> dict[str, Any]:
    """The file of the run that the address names, with a look inside for those who may open it."""
    try:
        artifact = run.artifacts.select_related("run__pipeline__project").filter(uuid=request.GET["file"]).first()
    except (KeyError, ValidationError):  # none is named, or what is named is no id
        return {}
    may_open = request.user.has_perm("jobs.download_artifact")
    if artifact is None or "poll" in request.GET:
        return {"artifact": artifact, "may_open": may_open}
    shown = look(artifact, request.GET) if may_open else {}
    return {"artifact": artifact, "shelved": Shelved(artifact), **shown, "may_open": may_open}


@require_POST
@needs("jobs.cancel_run")
def run_cancel(request: ConsoleRequest, number: int) -> HttpResponse:
    """Ask the run to stop."""
    try:
        asked = cancel(find(number), at=clock.now(), by=request.user.get_username())
        messages.success(request, f"Run #{number} {'is cancelled' if asked.is_final else 'was asked to stop'}.")
    except ConsoleError as error:
        messages.error(request, str(error))
    return redirect(back(request, "run", number))


@require_POST
@needs("jobs.cancel_run")
def run_force(request: ConsoleRequest, number: int) -> HttpResponse:
    """Kill what is left of a run that was asked to stop."""
    try:
        forced = force(find(number), at=clock.now(), by=request.user.get_username())
        did = f"Run #{number} had ended before" if forced.is_final else f"What is left of run #{number} is being killed"
        messages.success(request, f"{did}.")
    except ConsoleError as error:
        messages.error(request, str(error))
    return redirect("run", number)


@require_POST
@needs("jobs.retry_run")
def run_retry(request: ConsoleRequest, number: int) -> HttpResponse:
    """Start it once more; the answer is the new run's page."""
    try:
        again = retry(find(number), at=clock.now(), by=request.user)
        messages.success(request, f"Run #{again.pk} repeats run #{number}.")
        return redirect("run", again.pk)
    except ConsoleError as error:
        messages.error(request, str(error))
    return redirect("run", number)


@require_POST
@needs("jobs.start_pipeline")
def run_priority(request: ConsoleRequest, number: int) -> HttpResponse:
    """Let what waits of it go before others, or after them."""
    asked = whole_number(request.POST.get("priority", ""), most=9)
    priority = -1 if asked is None else asked
    try:
        prioritize(find(number), priority, at=clock.now(), by=request.user.get_username())
        messages.success(request, f"What is waiting in run #{number} now has priority {priority}.")
    except ConsoleError as error:
        messages.error(request, str(error))
    return redirect(back(request, "run", number))


urlpatterns = [
    path("runs/<int:number>/", run, name="run"),
    path("runs/<int:number>/cancel/", run_cancel, name="run_cancel"),
    path("runs/<int:number>/force/", run_force, name="run_force"),
    path("runs/<int:number>/retry/", run_retry, name="run_retry"),
    path("runs/<int:number>/priority/", run_priority, name="run_priority"),
]
