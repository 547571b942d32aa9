"""Write a schedule: the run form of its pipeline, when it is due, and beside them the proof of what it will do."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.forms.forms import RunForm
from console.forms.schedule_form import SchedulePageForm
from console.views.access import ConsoleRequest, needs
from console.views.schedules import find
from console.views.shell import page, status_of
from console.whole_number import whole_number
from jobs import clock
from jobs.errors import BadParameters, ConsoleError
from jobs.insight.prove import prove
from jobs.models import Pipeline, Schedule, Snapshot
from jobs.runs.launch import snapshot_of
from jobs.schedules.edit import Wanted, create, edit
from jobs.structure.selection import Selection, read, selection_of


@require_GET
@needs("jobs.add_schedule")
def schedule_new(request: ConsoleRequest) -> HttpResponse:
    """Which pipeline it is to start; `pipeline` goes straight on."""
    if number := whole_number(request.GET.get("pipeline", "")):
        return redirect("schedule_new_for", number)
    rows = Pipeline.objects.filter(is_registered=True).select_related("project").order_by("project__name", "name")
    return page(request, "schedules/choose.html", {"pipelines": rows}, title="New schedule")


@require_http_methods(["GET", "POST"])
@needs("jobs.add_schedule")
def schedule_new_for(request: ConsoleRequest, pipeline: int) -> HttpResponse:
    """The form; `from` names a run whose parameters and choices it shows, a run form sends its own."""
    row = get_object_or_404(Pipeline.objects.select_related("project"), pk=pipeline)
    return _edit(request, row, None)


@require_http_methods(["GET", "POST"])
@needs("jobs.change_schedule")
def schedule_edit(request: ConsoleRequest, pk: int) -> HttpResponse:
    row = find(pk)
    if row.pipeline is None:
        messages.error(request, "The pipeline that it starts is gone: delete this schedule and make a new one.")
        return redirect("schedule", pk)
    return _edit(request, row.pipeline, row)


def _edit(request: ConsoleRequest, pipeline: Pipeline, schedule: Schedule | None) -> HttpResponse:
    try:
        snapshot = snapshot_of(pipeline, _env(request, schedule), at=clock.now())
    except ConsoleError as error:
        unread = {"pipeline": pipeline, "snapshot": pipeline.project.snapshot, "error": str(error)}
        return page(request, "pipelines/unknown.html", unread, title=pipeline.name)
    if snapshot.pipeline(pipeline.name) is None:
        return page(
            request, "pipelines/unknown.html", {"pipeline": pipeline, "snapshot": snapshot}, title=pipeline.name
        )
    is_sent = request.method == "POST" and "carry" not in request.POST
    form = _form(request, pipeline, schedule, snapshot, data=request.POST if is_sent else None)
    if is_sent and form.is_valid() and (saved := _saved(request, form)):
        return redirect("schedule", saved.pk)
    title = schedule.name if schedule else f"Schedule {pipeline.name}"
    name, key = ("schedule", schedule.pk) if schedule else ("schedule_new", pipeline.pk)
    context = {
        "form": form,
        "pipeline": pipeline,
        "schedule": schedule,
        "address": reverse("schedule_edit" if schedule else "schedule_new_for", args=[key]),
        "address_of_proof": reverse(f"{name}_proof", args=[key]),
        **_proof(form),
    }
    return page(request, "schedules/edit.html", context, title=title, status=status_of(form))


def _saved(request: ConsoleRequest, form: SchedulePageForm) -> Schedule | None:
    wanted, at = form.wanted, clock.now()
    assert wanted  # noqa: S101 - a valid form has it
    try:
        saved = form.saved_as_seen(lambda: _write(form.schedule, wanted, at))
    except BadParameters as refusal:
        form.refuse(refusal)
        return None
    except ConsoleError as refusal:
        form.add_error(None, str(refusal))
        return None
    if saved is None:
        return None
    messages.success(request, f"{saved.name} is saved: due times from now on count, and nothing was started.")
    return saved


def _write(schedule: Schedule | None, wanted: Wanted, at: datetime) -> Schedule:
    return edit(schedule, wanted, at=at) if schedule else create(wanted, at=at)


@require_POST
@needs("jobs.add_schedule")
def schedule_new_proof(request: ConsoleRequest, pipeline: int) -> HttpResponse:
    return _proven(request, get_object_or_404(Pipeline.objects.select_related("project"), pk=pipeline), None)


@require_POST
@needs("jobs.change_schedule")
def schedule_proof(request: ConsoleRequest, pk: int) -> HttpResponse:
    row = find(pk)
    return _proven(request, row.pipeline, row) if row.pipeline else HttpResponse(status=409)


def _proven(request: ConsoleRequest, pipeline: Pipeline, schedule: Schedule | None) -> HttpResponse:
    """What the schedule as it is typed will do; its parts go to their places beside the fields."""
    try:
        snapshot = snapshot_of(pipeline, _env(request, schedule), at=clock.now())
    except ConsoleError:
        return HttpResponse(status=409)
    if snapshot.pipeline(pipeline.name) is None:
        return HttpResponse(status=409)
    form = _form(request, pipeline, schedule, snapshot, data=request.POST)
    form.is_valid()
    return render(request, "schedules/_proof_parts.html", {"form": form, **_proof(form)})


def _env(request: ConsoleRequest, schedule: Schedule | None) -> str:
    if request.method == "POST":
        return str(request.POST.get("env", ""))
    return str(request.GET.get("env", schedule.env if schedule else ""))


def _form(
    request: ConsoleRequest, pipeline: Pipeline, schedule: Schedule | None, snapshot: Snapshot, *, data: Any
) -> SchedulePageForm:
    """It begins with the stored schedule, with an earlier run, or with what a run form sends along."""
    structure = snapshot.pipeline(pipeline.name)
    assert structure is not None  # noqa: S101 - asked by whoever calls
    parameters, selection, runner = _begun(request, pipeline, schedule, snapshot)
    form = SchedulePageForm(
        pipeline,
        structure,
        snapshot.picture,
        data=data,
        parameters=parameters,
        selection=replace(selection, env=_env(request, schedule)),
        kedro=snapshot.kedro_version,
        schedule=schedule,
        at=clock.now(),
    )
    if schedule is None:
        form.initial.update({"name": free_name(str(pipeline)), "owner": request.user.pk, "runner": runner})
    return form


def _begun(
    request: ConsoleRequest, pipeline: Pipeline, schedule: Schedule | None, snapshot: Snapshot
) -> tuple[dict[Any, Any] | None, Selection, str]:
    if schedule:
        return schedule.parameters, read(schedule.selection), schedule.runner
    if "carry" in request.POST:
        return _carried(request, pipeline, snapshot)
    number = whole_number(request.GET.get("from", ""))
    earlier = pipeline.runs.filter(pk=number).first() if number is not None else None
    return (earlier.parameters, selection_of(earlier), "") if earlier else (None, Selection(), "")


def _carried(
    request: ConsoleRequest, pipeline: Pipeline, snapshot: Snapshot
) -> tuple[dict[Any, Any] | None, Selection, str]:
    """What stands in a run form, as far as it is right."""
    structure = snapshot.pipeline(pipeline.name)
    assert structure is not None  # noqa: S101 - asked by whoever calls
    form = RunForm(pipeline, structure, snapshot.picture, data=request.POST, kedro=snapshot.kedro_version)
    form.is_valid()
    runner = form.cleaned_data.get("runner", "")
    return form.asked(form.changes), form.selection, "" if runner == pipeline.runner else runner


def _proof(form: SchedulePageForm) -> dict[str, Any]:
    """With no proof where the rule cannot be read yet; the page asks for that of a form that nobody sent."""
    trial = form.trial
    return {"proof": prove(trial, at=form.at) if trial else None}


def free_name(wanted: str) -> str:
    """This name for a schedule, numbered when it is taken."""
    taken = set(
        Schedule.objects.filter(periodic_task__name__startswith=wanted).values_list("periodic_task__name", flat=True)
    )
    numbers = (f"{wanted} ({number})" for number in range(2, len(taken) + 3))
    return next(name for name in (wanted, *numbers) if name not in taken)


urlpatterns = [
    path("schedules/new/", schedule_new, name="schedule_new"),
    path("schedules/new/<int:pipeline>/", schedule_new_for, name="schedule_new_for"),
    path("schedules/new/<int:pipeline>/proof/", schedule_new_proof, name="schedule_new_proof"),
    path("schedules/<int:pk>/edit/", schedule_edit, name="schedule_edit"),
    path("schedules/<int:pk>/proof/", schedule_proof, name="schedule_proof"),
]
