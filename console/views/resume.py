"""Resume a run that ended: first what it would execute, reuse and do a second time, then the start."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_http_methods, require_POST

from console.forms.resume_form import ResumeForm
from console.views.access import ConsoleRequest, needs
from console.views.run import answer, find
from jobs import clock
from jobs.errors import BadParameters, ConsoleError
from jobs.insight.outlook import outlook
from jobs.models import Run
from jobs.runs.keep_copies import WORDS, copies_of, keep_copies
from jobs.runs.launch import snapshot_of
from jobs.runs.resume import preview, resume
from jobs.structure.selection import selection_of


@require_http_methods(["GET", "POST"])
@needs("jobs.retry_run")
def run_resume(request: ConsoleRequest, number: int) -> HttpResponse:
    """The form and the preview, for htmx the preview alone; posted, it starts the new run and leads to it."""
    run = find(number, is_whole=True)
    form, refusal = _form(run, request.POST if request.method == "POST" else None)
    if request.method == "POST" and not request.htmx and not refusal and (form is None or form.is_valid()):
        try:
            return _started(request, run, form)
        except BadParameters as error:
            form.refuse(error) if form else messages.error(request, str(error))
        except ConsoleError as error:
            messages.error(request, str(error))
    shown = {"form": form, **_outlook(run, form, refusal)}
    if request.htmx:
        return render(request, "runs/_resume.html", {"run": run, **shown})
    return answer(request, run, "resume", **shown, title=f"Resume run #{number}")


def _form(run: Run, data: Any) -> tuple[ResumeForm | None, str]:
    """The pipeline's own form with what the run had; or why there is none."""
    try:
        snapshot = snapshot_of(run.pipeline, selection_of(run).env, at=clock.now())
    except ConsoleError as error:
        return None, str(error)
    structure = snapshot.pipeline(run.pipeline.name)
    return (ResumeForm(run, snapshot, structure, data=data), "") if structure else (None, "")


def _started(request: ConsoleRequest, run: Run, form: ResumeForm | None) -> HttpResponse:
    changes = form.asked(form.changes) if form else {}
    new = resume(run, at=clock.now(), by=request.user, parameters=changes)
    messages.success(request, f"Run #{new.pk} resumes run #{run.pk}.")
    return redirect("run", new.pk)


def _outlook(run: Run, form: ResumeForm | None, refusal: str) -> dict[str, Any]:
    """The preview with what it comes to, or the sentence why there is none."""
    copies = {"copies": copies_of(run.pipeline), "ways": WORDS}
    if form and form.is_bound and not form.is_valid():
        refusal = f"Not right yet: {', '.join(form.bad_names)}."
    if refusal:
        return {"preview": None, "refusal": refusal, **copies}
    try:
        found = preview(run, form.asked(form.changes) if form and form.changes else None)
    except ConsoleError as error:
        return {"preview": None, "refusal": str(error), **copies}
    return {"preview": found, "outlook": outlook(run, found), "refusal": "", **copies}


@require_POST
@needs("jobs.change_pipeline")
def run_copies(request: ConsoleRequest, number: int) -> HttpResponse:
    """From now on, runs of the pipeline keep what a resumed one needs; or they do not."""
    run = find(number)
    try:
        keep_copies(run.pipeline, request.POST.get("copies", ""))
        messages.success(request, f"From the next run of {run.pipeline.name} on, {WORDS[copies_of(run.pipeline)]}.")
    except ConsoleError as error:
        messages.error(request, str(error))
    return redirect("run_resume", number)


urlpatterns = [
    path("runs/<int:number>/resume/", run_resume, name="run_resume"),
    path("runs/<int:number>/copies/", run_copies, name="run_copies"),
]
