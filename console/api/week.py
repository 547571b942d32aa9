"""The week ahead over the API: what is due, what stands in its way, and which quotas fall short."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.door import MISPUT, REFUSED, Door, asked
from console.api.shapes import Moment
from jobs import clock
from jobs.insight.ahead import week_ahead

KINDS = ["overlap", "collision", "busy", "nobody", "quota"]


class WeekAsked(serializers.Serializer[Any]):
    hours = serializers.IntegerField(min_value=1, max_value=168, required=False, default=168)


class LaneShape(serializers.Serializer[Any]):
    """A pipeline that runs in these days."""

    pipeline_name = serializers.CharField(source="pipeline.name")
    project = serializers.CharField(source="pipeline.project.name")
    usual_seconds = serializers.FloatField(allow_null=True)
    runs = serializers.SerializerMethodField(help_text="How many.")
    flagged = serializers.IntegerField(help_text="Those with something in their way.")
    first_at = serializers.SerializerMethodField(help_text="When the first is due.")

    def get_runs(self, lane: Any) -> int:
        return len(lane.runs)

    def get_first_at(self, lane: Any) -> str:
        return str(Moment().to_representation(lane.runs[0].due.at))


class ForeseenProblemShape(serializers.Serializer[Any]):
    """What stands in the way of a pipeline's runs: the first time of it, and how often it happens."""

    pipeline_name = serializers.CharField(source="pipeline.name")
    project = serializers.CharField(source="pipeline.project.name")
    kind = serializers.ChoiceField(KINDS)
    sentence = serializers.CharField()
    first_at = Moment()
    count = serializers.IntegerField()


class ShortfallShape(serializers.Serializer[Any]):
    """A window of a quota of which more is needed than it allows."""

    quota = serializers.CharField(source="quota.name")
    window = serializers.CharField()
    allowed = serializers.IntegerField(source="window.allowed")
    needed = serializers.IntegerField()
    begin = Moment()
    end = Moment()


class WeekShape(serializers.Serializer[Any]):
    begin = Moment()
    end = Moment()
    slots = serializers.IntegerField(help_text="Of the workers that are alive now.")
    runs = serializers.IntegerField()
    lanes = LaneShape(many=True)
    problems = ForeseenProblemShape(many=True)
    shortfalls = ShortfallShape(many=True)
    assumed = serializers.ListField(child=serializers.CharField(), help_text="What the forecast takes for granted.")


class Week(Door):
    needs = {"GET": "jobs.view_schedule"}

    @extend_schema(operation_id="week_show", parameters=[WeekAsked], responses={200: WeekShape, **REFUSED, **MISPUT})
    def get(self, request: Request) -> Response:
        """What schedules, rules and backfills will do in the coming days, if all goes as it usually does."""
        at = clock.now()
        until = at + timedelta(hours=asked(WeekAsked, request)["hours"])
        return Response(WeekShape(week_ahead(at, until=until)).data)
