"""A replay while it goes and when it has ended, its answers, and the run that goes on from them."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.files.downloads import Content, answer, refusal
from console.views.access import ConsoleRequest, needs
from console.views.run import find
from console.views.shell import page
from console.whole_number import whole_number
from jobs import clock
from jobs.errors import ConsoleError, PlatformError, RequestError
from jobs.interpreters.artifacts import open_exactly
from jobs.models import Replay, Resend, Run
from jobs.resends.rerun_dependents import follow_up, preview, unused
from jobs.states import ResendStatus

SCREEN: Final = 100


@require_GET
@needs("jobs.view_replay")
def replay(request: ConsoleRequest, pk: int) -> HttpResponse:
    """The page, or for htmx what it refreshes until the replay has ended."""
    row = get_object_or_404(Replay, pk=pk)
    after = whole_number(request.GET.get("after", ""), most=99_999_999)
    start = -1 if after is None else after
    turns = row.resends.filter(position__gt=start).select_related("record", "followed_by").defer("record__response")
    shown = list(turns.order_by("position")[: SCREEN + 1])
    context = {
        "replay": row,
        "turns": shown[:SCREEN],
        "after": shown[SCREEN - 1].position if len(shown) > SCREEN else None,
        "start": start,
        "runs": _runs_to_follow(row) if row.is_final else [],
    }
    if request.htmx:
        return render(request, "replays/_replay.html", context)
    return page(request, "replays/show.html", context, title=f"Replay #{pk}")


def _runs_to_follow(row: Replay) -> list[int]:
    """Runs that could go on with the answers."""
    answered = row.resends.filter(status=ResendStatus.SUCCEEDED, followed_by=None).exclude(record__node="")
    return list(answered.order_by("record__run_id").values_list("record__run_id", flat=True).distinct()[:20])


@require_POST
@needs("jobs.replay_requestrecord")
def replay_cancel(request: ConsoleRequest, pk: int) -> HttpResponse:
    """Send no more of it."""
    try:
        get_object_or_404(Replay, pk=pk).cancel(at=clock.now())
        messages.success(request, "No more of it is sent.")
    except ConsoleError as error:
        messages.error(request, str(error))
    return redirect("replay", pk)


@require_GET
@needs("jobs.download_artifact")
def replay_answer(request: ConsoleRequest, pk: int) -> HttpResponseBase:
    """The whole answer that a replayed request got, as a file."""
    row = get_object_or_404(Resend, pk=pk)
    if not row.sha256:
        raise Http404("This answer is not kept.")
    opener = partial(open_exactly, row.sha256, row.file_name)
    content = Content(opener, row.file_name, row.size_bytes, "application/octet-stream", row.sha256)
    try:
        return answer(request, content)
    except PlatformError as error:
        return refusal(error)


@require_http_methods(["GET", "POST"])
@needs("jobs.retry_run")
def run_follow_up(request: ConsoleRequest, number: int) -> HttpResponse:
    """What would run again with the answers; posted, it starts and leads to the new run."""
    run = find(number)
    if request.method == "POST":
        try:
            new = follow_up(run, at=clock.now(), by=request.user)
            messages.success(request, f"Run #{new.pk} goes on from run #{run.pk}.")
            return redirect("run", new.pk)
        except ConsoleError as error:
            messages.error(request, str(error))
    return page(request, "replays/follow_up.html", {"run": run, **_previewed(run)}, title=f"Go on from run #{number}")


def _previewed(run: Run) -> dict[str, Any]:
    try:
        return {"parts": preview(run), "answers": unused(run), "refusal": ""}
    except RequestError as error:
        return {"parts": [], "answers": [], "refusal": str(error)}


urlpatterns = [
    path("replays/<int:pk>/", replay, name="replay"),
    path("replays/<int:pk>/cancel/", replay_cancel, name="replay_cancel"),
    path("replays/answers/<int:pk>/", replay_answer, name="replay_answer"),
    path("runs/<int:number>/follow-up/", run_follow_up, name="run_follow_up"),
]
