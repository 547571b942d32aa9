"""Backfills over the API: what one would do, begin one, how it stands, pause, resume, stop, change, run again."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.asked import LARGEST, LONGEST_NAME, Asked, SelectionAsked
from console.api.door import MISPUT, MISSING, REFUSED, Door, asked, refuse_fields
from console.api.permissions import name_of
from console.api.shapes import Moment, ParametersField, RefusalShape, address
from jobs import clock
from jobs.backfills.begin import begin
from jobs.backfills.control import change, pause, resume, run_again, stop
from jobs.backfills.find import find_schedule
from jobs.backfills.plan import EVERY, Wanted, plan
from jobs.models import Backfill, BackfillDate
from jobs.models.backfill import MOST_AT_ONCE
from jobs.runs.find import find_pipeline
from jobs.states import Again, BackfillStatus, DateStatus, Direction, Runner
from jobs.structure.paths import written
from jobs.structure.selection import ALL
from jobs.structure.values import shown

BUSY = {409: OpenApiResponse(RefusalShape, "Something stands against it now, or it is over.")}


class BackfillAsked(SelectionAsked):
    """Which dates of which pipeline are run; “from” and “to” are days of the zone, both included."""

    pipeline_name = serializers.CharField(max_length=300, help_text="Or “project/pipeline”.")
    project = serializers.CharField(max_length=80, required=False, default="", allow_blank=True)
    schedule = serializers.CharField(
        max_length=LONGEST_NAME,
        required=False,
        default="",
        allow_blank=True,
        help_text="Name or id of the schedule whose due times, parameters and choices count; empty: every `every`.",
    )
    every = serializers.ChoiceField(list(EVERY), required=False, default="day", help_text="Without a schedule.")
    zone = serializers.CharField(
        max_length=64,
        required=False,
        default="",
        allow_blank=True,
        help_text="Empty: the schedule's, or the console's.",
    )
    again = serializers.ChoiceField(Again.choices, required=False, default=Again.UNSUCCESSFUL)
    direction = serializers.ChoiceField(Direction.choices, required=False, default=Direction.OLDEST)
    at_once = serializers.IntegerField(min_value=1, max_value=MOST_AT_ONCE, required=False, default=1)
    date_parameter = serializers.CharField(
        max_length=LONGEST_NAME,
        required=False,
        allow_null=True,
        allow_blank=True,
        default=None,
        help_text="The parameter that gets the date, such as params:date; empty: none, null: as the schedule has it.",
    )
    parameters = serializers.DictField(required=False, allow_null=True, help_text="The same for every date.")
    runner = serializers.ChoiceField(Runner.choices, required=False, default="", allow_blank=True)

    def get_fields(self) -> dict[str, Any]:
        """With “from”, which is a word of Python's own."""
        return {
            **super().get_fields(),
            "from": serializers.DateField(source="first_day", help_text="The first day."),
            "to": serializers.DateField(source="last_day", help_text="The last day."),
        }

    def wanted(self) -> Wanted:
        given = self.validated_data
        pipeline = find_pipeline(given["pipeline_name"], given["project"])
        named = {"first_day", "last_day", "every", "zone", "again", "direction", "at_once", "date_parameter", "runner"}
        has_choices = any(name in self.initial_data for name in ALL)
        return Wanted(
            pipeline=pipeline,
            schedule=find_schedule(given["schedule"], pipeline) if given["schedule"] else None,
            parameters=given.get("parameters") or {},
            selection=self.selection.stored if has_choices else None,
            **{name: given[name] for name in named},
        )


class PlannedShape(serializers.Serializer[Any]):
    """What would happen to one date."""

    due_at = Moment()
    verb = serializers.ChoiceField(["create", "again", "skip"])
    reason = serializers.CharField()
    value = serializers.SerializerMethodField(help_text="What the date parameter would get; null without one.")
    job = serializers.IntegerField(source="run.pk", allow_null=True, default=None, help_text="The newest run for it.")

    def get_value(self, planned: Any) -> Any:
        return shown(planned.value)


class CallsShape(serializers.Serializer[Any]):
    quota = serializers.CharField(source="quota.name")
    requests = serializers.IntegerField()
    done_at = Moment(allow_null=True, help_text="null: not within ten years, or not before somebody opens it.")


class PlanShape(serializers.Serializer[Any]):
    """A backfill that nobody has begun: its dates and what they would cost."""

    due = serializers.CharField(source="words")
    runs = serializers.IntegerField()
    at_once = serializers.IntegerField(source="together", help_text="1 where the pipeline's runs do not overlap.")
    usual_seconds = serializers.FloatField(allow_null=True, help_text="Of one run.")
    seconds = serializers.FloatField(allow_null=True, help_text="Of the whole backfill, if it does not have to wait.")
    calls = CallsShape(many=True)
    dates = PlannedShape(many=True)


class DateShape(serializers.Serializer[Any]):
    due_at = Moment()
    status = serializers.ChoiceField(DateStatus.choices)
    reason = serializers.CharField()
    attempt = serializers.IntegerField()
    job = serializers.UUIDField(source="run.uuid", allow_null=True, default=None)
    job_number = serializers.IntegerField(source="run.pk", allow_null=True, default=None)


class BackfillShape(serializers.Serializer[Any]):
    """A backfill and how far it is."""

    id = serializers.IntegerField(source="pk")
    url = serializers.SerializerMethodField(help_text="Its page.")
    pipeline_name = serializers.CharField(source="pipeline.name")
    project = serializers.CharField(source="pipeline.project.name")
    schedule = serializers.CharField(source="schedule.name", allow_null=True, default=None)
    due = serializers.CharField(source="rule_words")
    zone = serializers.CharField()
    again = serializers.ChoiceField(Again.choices)
    direction = serializers.ChoiceField(Direction.choices)
    at_once = serializers.IntegerField()
    date_parameter = serializers.SerializerMethodField()
    parameters = ParametersField(help_text="Secrets are `***`.")
    selection = serializers.DictField()
    runner = serializers.ChoiceField(Runner.choices, help_text="Empty: the pipeline's own.")
    status = serializers.ChoiceField(BackfillStatus.choices)
    wait_reason = serializers.CharField(help_text="Why its next date does not start; empty when nothing holds it.")
    requested_by = serializers.CharField(source="requested_by_name")
    created_at = Moment()
    finished_at = Moment(allow_null=True)
    counts = serializers.SerializerMethodField(help_text="How many of its dates are in each status.")

    def get_fields(self) -> dict[str, Any]:
        days = {"from": serializers.DateField(source="first_day"), "to": serializers.DateField(source="last_day")}
        return {**super().get_fields(), **days}

    def get_url(self, backfill: Backfill) -> str:
        return address(self.context, backfill.get_absolute_url())

    def get_date_parameter(self, backfill: Backfill) -> str:
        return written(backfill.path)

    def get_counts(self, backfill: Backfill) -> dict[str, int]:
        known: dict[int, dict[str, int]] = self.context.get("counts", {})
        return known.get(backfill.pk) or backfill.dates.counts()


class WholeBackfillShape(BackfillShape):
    """…with its dates, the oldest first."""

    dates = serializers.SerializerMethodField()

    def get_dates(self, backfill: Backfill) -> list[dict[str, Any]]:
        rows = backfill.dates.select_related("run").only("due_at", "status", "reason", "attempt", "run__uuid")
        return list(DateShape(rows.order_by("due_at"), many=True).data)


class BackfillsAsked(serializers.Serializer[Any]):
    limit = serializers.IntegerField(min_value=1, max_value=500, required=False, default=50)
    before = serializers.IntegerField(min_value=1, max_value=LARGEST, required=False, default=None)
    pipeline = serializers.CharField(max_length=300, required=False, default="", help_text="Or “project/pipeline”.")
    status = serializers.ChoiceField(BackfillStatus.choices, required=False, default="")


class StopAsked(Asked):
    cancel_jobs = serializers.BooleanField(required=False, default=False, help_text="Also those that are under way.")


class ChangeAsked(Asked):
    """What is left out stays as it is."""

    at_once = serializers.IntegerField(min_value=1, max_value=MOST_AT_ONCE, required=False)
    direction = serializers.ChoiceField(Direction.choices, required=False)


def _found(pk: int) -> Backfill:
    found = Backfill.objects.newest().filter(pk=pk).first()
    if found is None:
        raise Http404(f"There is no backfill {pk}: `GET /api/v1/backfills` lists them.")
    return found


def _shown(row: Backfill, request: Request, status: int = 200) -> Response:
    fresh = _found(row.pk)
    return Response(WholeBackfillShape(fresh, context={"request": request}).data, status=status)


class Backfills(Door):
    needs = {"GET": "jobs.view_backfill", "POST": "jobs.start_pipeline"}

    @extend_schema(
        operation_id="backfills_list",
        parameters=[BackfillsAsked],
        responses={200: BackfillShape(many=True), **REFUSED, **MISSING, **MISPUT},
    )
    def get(self, request: Request) -> Response:
        """Backfills, the newest first."""
        wanted = asked(BackfillsAsked, request)
        rows = Backfill.objects.newest().before(wanted["before"])
        if wanted["status"]:
            rows = rows.filter(status=wanted["status"])
        if wanted["pipeline"]:
            rows = rows.filter(pipeline=find_pipeline(wanted["pipeline"]))
        found = list(rows[: wanted["limit"]])
        context = {"request": request, "counts": BackfillDate.objects.counts_of(found)}
        return Response(BackfillShape(found, many=True, context=context).data)

    @extend_schema(
        operation_id="backfills_create",
        request=BackfillAsked,
        responses={201: WholeBackfillShape, **REFUSED, **MISSING, **MISPUT, **BUSY},
    )
    def post(self, request: Request) -> Response:
        """Begin one: its first runs start at once."""
        given = BackfillAsked(data=request.data)
        given.is_valid(raise_exception=True)
        by = request.user if request.user.is_authenticated and request.user.pk else None
        return _shown(begin(given.wanted(), at=clock.now(), by=by, by_name=name_of(request)), request, status=201)


class PreviewBackfill(Door):
    needs = {"POST": "jobs.start_pipeline"}

    @extend_schema(
        operation_id="backfills_preview",
        request=BackfillAsked,
        responses={200: PlanShape, **REFUSED, **MISSING, **MISPUT, **BUSY},
    )
    def post(self, request: Request) -> Response:
        """What it would do, date by date, without starting anything."""
        given = BackfillAsked(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(PlanShape(plan(given.wanted(), clock.now())).data)


class OneBackfill(Door):
    needs = {"GET": "jobs.view_backfill", "PATCH": "jobs.control_backfill"}

    @extend_schema(operation_id="backfills_get", responses={200: WholeBackfillShape, **REFUSED, **MISSING})
    def get(self, request: Request, backfill: int) -> Response:
        """One backfill, with each of its dates."""
        return _shown(_found(backfill), request)

    @extend_schema(
        operation_id="backfills_update",
        request=ChangeAsked,
        responses={200: WholeBackfillShape, **REFUSED, **MISSING, **MISPUT, **BUSY},
    )
    def patch(self, request: Request, backfill: int) -> Response:
        """Another limit or order; it counts from the next start on."""
        row = _found(backfill)
        given = ChangeAsked(data=request.data)
        given.is_valid(raise_exception=True)
        change(row, at=clock.now(), **given.validated_data)
        return _shown(row, request)


class PauseBackfill(Door):
    needs = {"POST": "jobs.control_backfill"}

    @extend_schema(
        operation_id="backfills_pause", request=None, responses={200: WholeBackfillShape, **REFUSED, **MISSING, **BUSY}
    )
    def post(self, request: Request, backfill: int) -> Response:
        """Start no further date until it is resumed; what runs goes on."""
        row = _found(backfill)
        refuse_fields(request)
        pause(row, at=clock.now(), by=name_of(request))
        return _shown(row, request)


class ResumeBackfill(Door):
    needs = {"POST": "jobs.control_backfill"}

    @extend_schema(
        operation_id="backfills_resume", request=None, responses={200: WholeBackfillShape, **REFUSED, **MISSING, **BUSY}
    )
    def post(self, request: Request, backfill: int) -> Response:
        """Go on with the next dates."""
        row = _found(backfill)
        refuse_fields(request)
        resume(row, at=clock.now(), by=name_of(request))
        return _shown(row, request)


class StopBackfill(Door):
    needs = {"POST": "jobs.control_backfill"}

    @extend_schema(
        operation_id="backfills_stop",
        request=StopAsked,
        responses={200: WholeBackfillShape, **REFUSED, **MISSING, **MISPUT, **BUSY},
    )
    def post(self, request: Request, backfill: int) -> Response:
        """Start no date any more, for good."""
        row = _found(backfill)
        given = StopAsked(data=request.data)
        given.is_valid(raise_exception=True)
        cancels_runs = given.validated_data["cancel_jobs"]
        stop(row, at=clock.now(), by=name_of(request), cancels_runs=cancels_runs)
        return _shown(row, request)


class RunBackfillAgain(Door):
    needs = {"POST": "jobs.control_backfill"}

    @extend_schema(
        operation_id="backfills_retry", request=None, responses={200: WholeBackfillShape, **REFUSED, **MISSING, **BUSY}
    )
    def post(self, request: Request, backfill: int) -> Response:
        """Run the dates once more that did not succeed."""
        row = _found(backfill)
        refuse_fields(request)
        run_again(row, at=clock.now(), by=name_of(request))
        return _shown(row, request)
