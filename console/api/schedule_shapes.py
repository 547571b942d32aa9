"""What a schedule, its ticks and its rule look like over the API, and what may be sent."""

from __future__ import annotations

from typing import Any, Final
from zoneinfo import available_timezones

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from console.api.asked import LARGEST, Asked
from console.api.shapes import Moment, ParametersField, address
from jobs import clock
from jobs.errors import (
    did_you_mean,
    nearest_of,
)
from jobs.models import Schedule
from jobs.schedules.due import in_words, next_dues
from jobs.schedules.rules import RuleError, read_rule
from jobs.schedules.standing import State
from jobs.states import Missed, Overlap, Runner, TickDecision

LONGEST_NAME: Final = 300
ZONE: Final = "IANA name, such as Europe/Berlin."
RULE: Final = (
    'When it is due, as data: {"kind": "cron", "text": "0 6 * * mon-fri"}, {"kind": "days", "times": ["06:00"], '
    '"weekdays": [1, 5], "days_of_month": [1], "is_last": true, "nth": [[-1, 5]], "months": [1]}, '
    '{"kind": "every", "seconds": 900}, {"kind": "once", "at": "2026-12-01T06:00:00+01:00"}, '
    '{"kind": "sun", "event": "sunrise", "latitude": 52.5, "longitude": 13.4}; '
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
