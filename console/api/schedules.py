"""Schedules over the API: read, written with the checks of their page, paused, resumed, run now, proven before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib.auth.models import User
from django.http import Http404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.door import MISPUT, MISSING, REFUSED, Door, asked, find_job, refuse_fields
from console.api.permissions import name_of
from console.api.schedule_shapes import (
    DueShape,
    NextAsked,
    PreviewAsked,
    ProofShape,
    ScheduleAsked,
    SchedulePauseAsked,
    ScheduleShape,
    TicksAsked,
    TickShape,
)
from console.api.shapes import JobShape
from console.api.versions import ETAG, STALE, VERSIONS, unless_stale, with_version
from jobs import clock
from jobs.errors import (
    AmbiguousPipeline,
    BadParameters,
    UnknownPipeline,
    UnknownProject,
    did_you_mean,
    nearest_of,
)
from jobs.insight.prove import prove
from jobs.models import Pipeline, Schedule, Tick
from jobs.runs.find import find_pipeline
from jobs.schedules.bars import last_ticks
from jobs.schedules.due import next_dues
from jobs.schedules.edit import Wanted, create, delete, edit, wanted_of
from jobs.schedules.rules import stored
from jobs.schedules.standing import standing
from jobs.schedules.start import run_now
from jobs.schedules.switch import pause, resume
from jobs.structure.values import restored


def find_schedule(pk: int) -> Schedule:
    row: Schedule | None = Schedule.objects.known().select_related("owner").filter(pk=pk).first()
    if row is None:
        raise Http404(f"There is no schedule {pk}: `GET /api/v1/schedules` lists them.")
    return row


def _shape(rows: list[Schedule], request: Request) -> list[dict[str, Any]]:
    at, ticks = clock.now(), last_ticks(rows)
    standings = {row.pk: standing(row, ticks[row.pk], at) for row in rows}
    return list(ScheduleShape(rows, many=True, context={"request": request, "standings": standings, "at": at}).data)


def _one(row: Schedule, request: Request, status: int = 200) -> Response:
    row = find_schedule(row.pk)
    return with_version(Response(_shape([row], request)[0], status=status), row)


def _pipeline(name: str) -> Pipeline:
    try:
        return find_pipeline(name)
    except (UnknownPipeline, UnknownProject, AmbiguousPipeline) as error:
        raise BadParameters({"pipeline": str(error)}) from error


def _owner(name: str) -> User | None:
    if not name:
        return None
    found = User.objects.filter(username=name, is_active=True).first()
    if found is None:
        hint = did_you_mean(nearest_of(name, User.objects.values_list("username", flat=True), 2, 0.6))
        raise BadParameters({"owner": f"There is no user “{name[:80]}”.{hint}"})
    return found


def _given(data: dict[str, Any], before: Schedule | None = None) -> dict[str, Any]:
    """Names turned into rows; a secret that was sent back masked stays what it is."""
    if "pipeline" in data:
        data["pipeline"] = _pipeline(data["pipeline"])
    if "owner" in data:
        data["owner"] = _owner(data["owner"])
    if "date_parameter" in data:
        data["date_parameter"] = tuple(data["date_parameter"])
    if before and "parameters" in data:
        data["parameters"] = restored(data["parameters"], before.parameters)
    return data


class Schedules(Door):
    needs = {"GET": "jobs.view_schedule", "POST": "jobs.add_schedule"}

    @extend_schema(operation_id="schedules_list", responses={200: ScheduleShape(many=True), **REFUSED})
    def get(self, request: Request) -> Response:
        """All schedules that start a pipeline, by name."""
        rows = Schedule.objects.known().select_related("owner").order_by("periodic_task__name")
        return Response(_shape(list(rows), request))

    @extend_schema(
        operation_id="schedules_create", request=ScheduleAsked, responses={201: ScheduleShape, **REFUSED, **MISPUT}
    )
    def post(self, request: Request) -> Response:
        """A new schedule; due times from now on count, and nothing is started."""
        given = ScheduleAsked(data=request.data)
        given.is_valid(raise_exception=True)
        row = create(Wanted(**_given(dict(given.validated_data))), at=clock.now())
        return _one(row, request, 201)


class OneSchedule(Door):
    needs = {"GET": "jobs.view_schedule", "PATCH": "jobs.change_schedule", "DELETE": "jobs.delete_schedule"}

    @extend_schema(
        operation_id="schedules_show", parameters=[ETAG], responses={200: ScheduleShape, **REFUSED, **MISSING}
    )
    def get(self, request: Request, schedule: int) -> Response:
        """One schedule."""
        return _one(find_schedule(schedule), request)

    @extend_schema(
        operation_id="schedules_update",
        request=ScheduleAsked(partial=True),
        parameters=VERSIONS,
        responses={200: ScheduleShape, **REFUSED, **MISSING, **STALE, **MISPUT},
    )
    def patch(self, request: Request, schedule: int) -> Response:
        """Change what is sent. Only due times after the change count, and nothing is started."""
        row = find_schedule(schedule)
        given = ScheduleAsked(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        with unless_stale(row, request):
            edit(row, replace(wanted_of(row), **_given(dict(given.validated_data), row)), at=clock.now())
        return _one(row, request)

    @extend_schema(
        operation_id="schedules_delete", responses={204: OpenApiResponse(description="Gone."), **REFUSED, **MISSING}
    )
    def delete(self, request: Request, schedule: int) -> Response:
        """Delete it and its ticks; the jobs that it started stay."""
        delete(find_schedule(schedule))
        return Response(status=204)


class PauseSchedule(Door):
    needs = {"POST": "jobs.pause_schedule"}

    @extend_schema(
        operation_id="schedules_pause",
        request=SchedulePauseAsked,
        responses={200: ScheduleShape, **REFUSED, **MISSING, **MISPUT},
    )
    def post(self, request: Request, schedule: int) -> Response:
        """Due times during a pause start nothing, and are not made up for."""
        row = find_schedule(schedule)
        given = SchedulePauseAsked(data=request.data)
        given.is_valid(raise_exception=True)
        pause(row, at=clock.now(), by=name_of(request), **given.validated_data)
        return _one(row, request)


class ResumeSchedule(Door):
    needs = {"POST": "jobs.pause_schedule"}

    @extend_schema(operation_id="schedules_resume", request=None, responses={200: ScheduleShape, **REFUSED, **MISSING})
    def post(self, request: Request, schedule: int) -> Response:
        """Due times from now on count."""
        row = find_schedule(schedule)
        refuse_fields(request)
        resume(row, at=clock.now(), by=name_of(request))
        return _one(row, request)


class RunSchedule(Door):
    needs = {"POST": "jobs.start_pipeline"}

    @extend_schema(
        operation_id="schedules_run", request=None, responses={201: JobShape, **REFUSED, **MISSING, **MISPUT}
    )
    def post(self, request: Request, schedule: int) -> Response:
        """One extra job, as the schedule would start it; its own due times do not change."""
        row = find_schedule(schedule)
        refuse_fields(request)
        by = request.user if isinstance(request.user, User) else None
        run = run_now(row, at=clock.now(), by=by, by_name=name_of(request))
        return Response(JobShape(find_job(str(run.uuid)), context={"request": request}).data, status=201)


class Ticks(Door):
    needs = {"GET": "jobs.view_tick"}

    @extend_schema(
        operation_id="schedules_ticks",
        parameters=[TicksAsked],
        responses={200: TickShape(many=True), **REFUSED, **MISSING, **MISPUT},
    )
    def get(self, request: Request, schedule: int) -> Response:
        """Its due times and what came of each, the newest first."""
        row, wanted = find_schedule(schedule), asked(TicksAsked, request)
        rows = Tick.objects.filter(schedule=row).newest()
        if wanted["before"] is not None:
            rows = rows.filter(due_at__lt=_due_of(row, wanted["before"]))
        return Response(TickShape(rows[: wanted["limit"]], many=True).data)


def _due_of(row: Schedule, number: int) -> Any:
    tick = Tick.objects.filter(schedule=row, pk=number).first()
    if tick is None:
        raise BadParameters({"before": f"The schedule has no tick {number}."})
    return tick.due_at


class NextDues(Door):
    needs = {"GET": "jobs.view_schedule"}

    @extend_schema(
        operation_id="schedules_next",
        parameters=[NextAsked],
        responses={200: DueShape(many=True), **REFUSED, **MISSING, **MISPUT},
    )
    def get(self, request: Request, schedule: int) -> Response:
        """Its next due times that will count, with what stands in their way; none while it is paused indefinitely."""
        row, wanted = find_schedule(schedule), asked(NextAsked, request)
        at = clock.now()
        known = {due.due_at: due for due in prove(row, at=at, count=wanted["count"]).dues}
        dues = [known.get(due, {"due_at": due, "flags": []}) for due in next_dues(row, wanted["count"], at)]
        return Response(DueShape(dues, many=True).data)


class PreviewSchedule(Door):
    needs = {"POST": "jobs.view_schedule"}

    @extend_schema(
        operation_id="schedules_preview", request=PreviewAsked, responses={200: ProofShape, **REFUSED, **MISPUT}
    )
    def post(self, request: Request) -> Response:
        """What a schedule would do: its sentence, its next due times, and what stands in their way. Nothing is kept."""
        given = PreviewAsked(data=request.data)
        given.is_valid(raise_exception=True)
        data, at = dict(given.validated_data), clock.now()
        count, name, rule = data.pop("count"), data.pop("pipeline"), stored(data.pop("rule"))
        pipeline = _pipeline(name) if name else None
        trial = Schedule(**data, rule=rule, pipeline=pipeline, counts_since=at, decided_until=at)
        return Response(ProofShape(prove(trial, at=at, count=count)).data)
