"""Schedules over the API: read, written with the checks of their page, paused, resumed, run now, proven before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from zoneinfo import available_timezones

from django.contrib.auth.models import User
from django.http import Http404
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.asked import LARGEST, Asked
from console.api.door import MISPUT, MISSING, REFUSED, Door, asked, find_job, refuse_fields
from console.api.permissions import name_of
from console.api.shapes import JobShape, Moment, ParametersField, address
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
from jobs.schedules.due import in_words, next_dues
from jobs.schedules.edit import Wanted, create, delete, edit, wanted_of
from jobs.schedules.rules import RuleError, read_rule, stored
from jobs.schedules.standing import State, standing
from jobs.schedules.start import run_now
from jobs.schedules.switch import pause, resume
from jobs.states import Missed, Overlap, Runner, TickDecision
from jobs.structure.values import restored

LONGEST_NAME: Final = 300
ZONE: Final = "IANA name, such as Europe/Berlin."
RULE: Final = (
    'When it is due, as data: {"kind": "cron", "text": "0 6 * * mon-fri"}, {"kind": "days", "times": ["06:00"], '
    '"weekdays": [1, 5], "days_of_month": [1], "is_last": true, "nth": [[-1, 5]], "months": [1]}, '
    '{"kind": "every", "seconds": 900}, {"kind": "once", "at": "2026-12-01T06:00:00+01:00"}; '
    'each may have "left_out": [["2026-12-24", "2026-12-26"]].'
)


class RuleField(serializers.JSONField):
    """A rule as data; it is read once, where it is checked."""

    def to_internal_value(self, data: Any) -> Any:
        try:
            return read_rule(super().to_internal_value(data), at=clock.now())
        except RuleError as refusal:
            raise serializers.ValidationError(str(refusal)) from refusal


class ZoneField(serializers.CharField):
    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        known = available_timezones()
        if name not in known:
            hint = did_you_mean(nearest_of(name, known), " Write such as Europe/Berlin.")
            raise serializers.ValidationError(f"There is no time zone “{name}”.{hint}")
        return str(name)


class ScheduleFields(serializers.Serializer[Any]):
    """What is read as it was written."""

    name = serializers.CharField(max_length=200)
    zone = ZoneField(max_length=64, default="UTC", help_text=ZONE)
    selection = serializers.JSONField(
        default=dict, help_text='In the words of `kedro run`: {"tags": ["daily"], "env": "prod"}.'
    )
    runner = serializers.ChoiceField(
        Runner.choices, default="", allow_blank=True, help_text="Empty: the pipeline's own."
    )
    overlap = serializers.ChoiceField(
        Overlap.choices, default="", allow_blank=True, help_text="Empty: as the pipeline is set."
    )
    missed = serializers.ChoiceField(Missed.choices, default=Missed.NEWEST)
    missed_most = serializers.IntegerField(min_value=1, max_value=10_000, default=10)
    missed_hours = serializers.IntegerField(min_value=0, max_value=8_760, default=24, help_text="0: however old.")
    begins_at = Moment(default=None, allow_null=True)
    ends_at = Moment(default=None, allow_null=True)
    jitter_seconds = serializers.IntegerField(min_value=0, max_value=86_400, default=0)
    note = serializers.CharField(max_length=2_000, default="", allow_blank=True)
    date_parameter = serializers.ListField(
        child=serializers.CharField(max_length=200), max_length=20, default=list,
        help_text="The keys that lead to the parameter in which a backfill puts the date.",
    )  # fmt: skip


class ScheduleAsked(Asked, ScheduleFields):
    """A schedule. Pipelines are written “project/pipeline”, or by their name alone where one project has it."""

    pipeline = serializers.CharField(max_length=LONGEST_NAME, help_text="The pipeline that it starts.")
    rule = RuleField(help_text=RULE)
    parameters = serializers.DictField(default=dict, help_text="What differs from the pipeline's own.")
    owner = serializers.CharField(max_length=150, default="", allow_blank=True, help_text="A user's name.")


class TickShape(serializers.Serializer[Any]):
    """One due time and what came of it; `run` is null where none was started."""

    id = serializers.IntegerField(source="pk")
    due_at = Moment()
    decision = serializers.ChoiceField(TickDecision.choices)
    reason = serializers.CharField()
    run = serializers.IntegerField(source="run_id", allow_null=True, help_text="The number of the job.")
    status = serializers.CharField(source="run.status", default=None, allow_null=True, help_text="Of that job.")
    decided_at = Moment()
    lateness_seconds = serializers.FloatField(allow_null=True, help_text="From due until its first node began.")
    dismissed_at = Moment(allow_null=True)
    dismissed_by = serializers.CharField()


class ScheduleShape(ScheduleFields):
    """A schedule as it is, its rule also as a sentence."""

    id = serializers.IntegerField(source="pk")
    url = serializers.SerializerMethodField(help_text="The schedule's page.")
    pipeline = serializers.SerializerMethodField(help_text="null: it is gone.")
    rule = serializers.JSONField(help_text=RULE)
    sentence = serializers.SerializerMethodField()
    parameters = ParametersField()
    owner = serializers.SerializerMethodField()
    state = serializers.SerializerMethodField()
    reason = serializers.SerializerMethodField(help_text="Why it is in that state.")
    paused_since = Moment(allow_null=True)
    paused_until = Moment(allow_null=True)
    paused_by = serializers.CharField()
    paused_reason = serializers.CharField()
    next_due_at = serializers.SerializerMethodField(help_text="null: paused without an end, or over.")
    created_at = Moment()
    edited_at = Moment()

    def get_url(self, row: Schedule) -> str:
        return address(self.context, f"/schedules/{row.pk}/")

    def get_pipeline(self, row: Schedule) -> str | None:
        return f"{row.pipeline.project.name}/{row.pipeline.name}" if row.pipeline else None

    def get_sentence(self, row: Schedule) -> str:
        return in_words(row)

    def get_owner(self, row: Schedule) -> str:
        return row.owner.get_username() if row.owner else ""

    @extend_schema_field(serializers.ChoiceField(State.choices))
    def get_state(self, row: Schedule) -> str:
        return str(self.context["standings"][row.pk].state)

    def get_reason(self, row: Schedule) -> str:
        return str(self.context["standings"][row.pk].reason)

    @extend_schema_field(Moment(allow_null=True))
    def get_next_due_at(self, row: Schedule) -> str | None:
        found = next_dues(row, 1, self.context["at"])
        return Moment().to_representation(found[0]) if found else None


class SchedulePauseAsked(Asked):
    reason = serializers.CharField(max_length=300, required=False, default="", allow_blank=True)
    until = Moment(required=False, allow_null=True, default=None, help_text="null: until somebody resumes it.")

    def validate_until(self, until: Any) -> Any:
        if until is not None and until <= clock.now():
            raise serializers.ValidationError("This time has passed: give one in the future, or null.")
        return until


class TicksAsked(serializers.Serializer[Any]):
    limit = serializers.IntegerField(min_value=1, max_value=500, default=50)
    before = serializers.IntegerField(
        min_value=1, max_value=LARGEST, default=None, help_text="Due before the tick of this id."
    )


class NextAsked(serializers.Serializer[Any]):
    count = serializers.IntegerField(min_value=1, max_value=100, default=10)


class FlagShape(serializers.Serializer[Any]):
    kind = serializers.CharField()
    sentence = serializers.CharField()


class DueShape(serializers.Serializer[Any]):
    due_at = Moment()
    flags = FlagShape(many=True)


class PreviewAsked(Asked):
    """A rule, and of the schedule what its due times and their flags depend on."""

    rule = RuleField(help_text=RULE)
    zone = ZoneField(max_length=64, default="UTC", help_text=ZONE)
    pipeline = serializers.CharField(max_length=LONGEST_NAME, default="", allow_blank=True)
    begins_at = Moment(default=None, allow_null=True)
    ends_at = Moment(default=None, allow_null=True)
    missed = serializers.ChoiceField(Missed.choices, default=Missed.NEWEST)
    missed_most = serializers.IntegerField(min_value=1, max_value=10_000, default=10)
    missed_hours = serializers.IntegerField(min_value=0, max_value=8_760, default=24)
    count = serializers.IntegerField(min_value=1, max_value=100, default=10)


class ProofShape(serializers.Serializer[Any]):
    """What it will do; `outage` and `overlap` tell by policy what a scheduler that is down for five hours leaves."""

    sentence = serializers.CharField()
    next = DueShape(many=True, source="dues")
    usual_seconds = serializers.FloatField(allow_null=True)
    outage = serializers.DictField(child=serializers.CharField())
    overlap = serializers.DictField(child=serializers.CharField())


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
    return Response(_shape([find_schedule(row.pk)], request)[0], status=status)


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

    @extend_schema(operation_id="schedules_show", responses={200: ScheduleShape, **REFUSED, **MISSING})
    def get(self, request: Request, schedule: int) -> Response:
        """One schedule."""
        return _one(find_schedule(schedule), request)

    @extend_schema(
        operation_id="schedules_update",
        request=ScheduleAsked(partial=True),
        responses={200: ScheduleShape, **REFUSED, **MISSING, **MISPUT},
    )
    def patch(self, request: Request, schedule: int) -> Response:
        """Change what is sent. Only due times after the change count, and nothing is started."""
        row = find_schedule(schedule)
        given = ScheduleAsked(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
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
