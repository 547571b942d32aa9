"""Resume a run that ended: first what it would execute, reuse and do a second time, then the start."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_http_methods

from console.views.access import ConsoleRequest, needs
from console.views.run import answer, find
from jobs import clock
from jobs.errors import BadParameters, ConsoleError
from jobs.models import Run
from jobs.runs.resume import preview, resume


@require_http_methods(["GET", "POST"])
@needs("jobs.retry_run")
def run_resume(request: ConsoleRequest, number: int) -> HttpResponse:
    """The preview, for htmx its columns alone; posted, it starts the new run and leads to it."""
    run = find(number, is_whole=True)
    if request.method == "POST":
        try:
            return _started(request, run)
        except ConsoleError as error:
            messages.error(request, str(error))
    text = request.POST.get("parameters", "") or request.GET.get("parameters", "")
    shown = {"text": text, **_columns(run, text)}
    if request.htmx:
        return render(request, "runs/_resume.html", {"run": run, **shown})
    return answer(request, run, "resume", **shown, title=f"Resume run #{number}")


def _started(request: ConsoleRequest, run: Run) -> HttpResponse:
    changes = _read(request.POST.get("parameters", ""))
    new = resume(run, at=clock.now(), by=request.user, parameters=changes)
    messages.success(request, f"Run #{new.pk} resumes run #{run.pk}.")
    return redirect("run", new.pk)


def _columns(run: Run, text: str) -> dict[str, Any]:
    """The preview, or the sentence why there is none."""
    try:
        return {"preview": preview(run, _read(text)), "refusal": ""}
    except ConsoleError as error:
        return {"preview": None, "refusal": str(error)}


def _read(text: str) -> dict[str, Any]:
    """The changed parameters as they were typed; BadParameters when they are no JSON object."""
    try:
        given = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise BadParameters({"parameters": f"Is not JSON ({error})."}) from error
    if not isinstance(given, dict):
        raise BadParameters({"parameters": 'Write an object of names and values, such as {"options": {"top": 5}}.'})
    return given


urlpatterns = [path("runs/<int:number>/resume/", run_resume, name="run_resume")]
