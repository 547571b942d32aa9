"""The form that starts a run, and what it says before it does."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.http import require_http_methods, require_POST

from console.forms.forms import RunForm
from console.pages.copies import as_command, as_curl
from console.pages.will_run import will_run
from console.views.access import needs
from console.views.shell import page
from console.whole_number import whole_number
from jobs import clock
from jobs.errors import BadParameters, ConsoleError
from jobs.models import Pipeline, Run, Snapshot
from jobs.quotas.usage import taken_by
from jobs.runs.launch import launch, snapshot_of
from jobs.runs.order import Order
from jobs.states import Cause
from jobs.structure.content import digest
from jobs.structure.selection import Selection, selection_of
from kedro_console.wire import SnapshotPipeline, packed

LATEST = 6  # runs whose parameters are offered
LOOKED_AT = 60
OFFERED = ("pipeline", "parameters", "nodes", "selection", "status", "requested_by_name", "created_at")


@require_http_methods(["GET", "POST"])
@needs("jobs.start_pipeline")
def pipeline_run(request: HttpRequest, pk: int) -> HttpResponse:
    """The form; posted, it starts the run and leads to it, or comes back with a sentence on each wrong field."""
    row = get_object_or_404(Pipeline.objects.select_related("project"), pk=pk)
    earlier = _earlier(request, row)
    try:
        snapshot = snapshot_of(row, _env(request, earlier), at=clock.now())
    except ConsoleError as error:
        context = {"pipeline": row, "snapshot": row.project.snapshot, "error": str(error)}
        return page(request, "pipelines/unknown.html", context, title=row.name)
    structure = snapshot.pipeline(row.name)
    if structure is None:
        return page(request, "pipelines/unknown.html", {"pipeline": row, "snapshot": snapshot}, title=row.name)
    if request.method == "GET":
        return _page(request, _form(request, row, snapshot, structure, earlier), snapshot)
    form = _form(request, row, snapshot, structure, earlier, data=request.POST)
    run = _start(request, form) if form.is_valid() else None
    return redirect("run", run.pk) if run else _page(request, form, snapshot)


@require_POST
@needs("jobs.start_pipeline")
def pipeline_run_preview(request: HttpRequest, pk: int) -> HttpResponse:
    """What would run, and the same as curl and as a command, for the form as it stands."""
    row = get_object_or_404(Pipeline.objects.select_related("project"), pk=pk)
    try:
        snapshot = snapshot_of(row, _env(request), at=clock.now())
    except ConsoleError:
        return HttpResponse(status=409)
    structure = snapshot.pipeline(row.name)
    if structure is None:
        return HttpResponse(status=409)
    form = _form(request, row, snapshot, structure, _earlier(request, row), data=request.POST)
    form.is_valid()
    return render(request, "pipelines/_will_run.html", {"form": form, **_will_run(request, form, snapshot)})


def _env(request: HttpRequest, earlier: Run | None = None) -> str:
    """The Kedro environment whose values the form shows: the one asked for, else that of the run it starts from."""
    if request.method == "POST":
        return str(request.POST.get("env", ""))
    asked = request.GET.get("env")
    return selection_of(earlier).env if asked is None and earlier else str(asked or "")


def _earlier(request: HttpRequest, row: Pipeline) -> Run | None:
    """The run that `from` names."""
    number = request.POST.get("from", "") or request.GET.get("from", "")
    key = whole_number(number)
    earlier = None if key is None else row.runs.filter(pk=key).first()
    if number and earlier is None and request.method == "GET":
        messages.warning(request, f"This pipeline has no run #{number}: the form shows its usual values.")
    return earlier


def _form(
    request: HttpRequest,
    row: Pipeline,
    snapshot: Snapshot,
    structure: SnapshotPipeline,
    earlier: Run | None,
    *,
    data: Any = None,
) -> RunForm:
    """A form that began with the pipeline's own values, or with those of an earlier run."""
    env = _env(request, earlier)
    selection = replace(selection_of(earlier), env=env) if earlier else Selection(env=env)
    if starts := request.GET.getlist("from_nodes"):
        selection = Selection(from_nodes=starts, load_versions=selection.load_versions, env=env)
    form = RunForm(
        row,
        structure,
        snapshot.picture,
        data=data,
        parameters=earlier.parameters if earlier else None,
        selection=selection,
        kedro=snapshot.kedro_version,
    )
    if earlier:
        form.initial["runner"] = earlier.runner
    return form


def _start(request: HttpRequest, form: RunForm) -> Run | None:
    """The run, or None with the reason on the form. The same form sent twice unchanged is one run."""
    assert isinstance(request.user, User)  # noqa: S101 - narrows the type
    at = clock.now()
    try:
        order = Order(
            form.pipeline,
            Cause.MANUAL,
            by=request.user,
            parameters=form.asked(form.changes),
            selection=form.selection,
            runner=form.cleaned_data["runner"],
            everything=form.cleaned_data["everything"],
            idempotency_key=_key(request.user, form),
        )
        run = launch(order, at=at)
    except BadParameters as error:
        form.refuse(error)
        return None
    except ConsoleError as error:
        form.add_error(None, str(error))
        return None
    if run.created_at != at:
        messages.info(request, f"This form has already started run #{run.pk}: nothing was started twice.")
    return run


def _key(user: User, form: RunForm) -> str | None:
    """The same for one form and content: a form that was changed after “back” is another wish."""
    if not (key := form.cleaned_data.get("key")):
        return None
    chosen = form.selection
    how = [form.cleaned_data["runner"], form.cleaned_data["everything"]]
    content = [packed(form.changes), chosen.stored, how]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    return f"form:{user.pk}:{form.pipeline.pk}:{key}:{digest}"


def _page(request: HttpRequest, form: RunForm, snapshot: Snapshot) -> HttpResponse:
    row = form.pipeline
    mine = row.runs.filter(requested_by=request.user.pk).order_by("-id").first()
    latest = _latest(row, mine)
    context = {
        "pipeline": row,
        "form": form,
        "latest": latest,
        "mine": mine,
        "refusal": "" if form.non_field_errors() else row.project.refusal(row.name),
        "from": request.POST.get("from", "") or request.GET.get("from", ""),
        **_will_run(request, form, snapshot),
    }
    return page(request, "pipelines/run.html", context, title=f"Run {row.name}")


def _latest(row: Pipeline, mine: Run | None) -> list[Run]:
    """The newest run of each other set of values among the last ones, but for those that changed nothing."""
    found = {_set_of(mine): mine} if mine else {}
    for run in row.runs.order_by("-id").only(*OFFERED)[:LOOKED_AT]:
        if run.parameters or run.nodes or run.selection:
            found.setdefault(_set_of(run), run)
    return [run for run in found.values() if run != mine][:LATEST]


def _set_of(run: Run) -> str:
    return digest([packed(run.parameters), run.nodes, run.selection])


def _will_run(request: HttpRequest, form: RunForm, snapshot: Snapshot) -> dict[str, Any]:
    """The box beside the form, with copies of the wish for a terminal."""
    return {
        **will_run(form, snapshot, clock.now()),
        "is_refused": bool(form.pipeline.project.refusal(form.pipeline.name)),
        "takes": taken_by(form.pipeline, clock.now()),
        "curl": as_curl(form, request.build_absolute_uri("/api/v1/jobs")),
        "command": as_command(form),
    }


urlpatterns = [
    path("pipelines/<int:pk>/run/", pipeline_run, name="pipeline_run"),
    path("pipelines/<int:pk>/run/preview/", pipeline_run_preview, name="pipeline_run_preview"),
]
