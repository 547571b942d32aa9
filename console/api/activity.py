"""Who did what, to what, when and through which door."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.door import MISPUT, REFUSED, Door, asked
from console.api.shapes import Moment
from jobs.models import Act
from jobs.models.act import VERBS


class ActivityAsked(serializers.Serializer[Any]):
    actor = serializers.CharField(max_length=150, required=False, default="", help_text="A person's or a token's name.")
    verb = serializers.ChoiceField(VERBS, required=False, default="")
    object = serializers.CharField(max_length=200, required=False, default="", help_text="`run`, or `run:12`.")
    before = serializers.IntegerField(min_value=1, max_value=2**62, required=False, default=None, help_text="An id.")
    limit = serializers.IntegerField(min_value=1, max_value=1_000, required=False, default=100)


class ActShape(serializers.ModelSerializer[Act]):
    at = Moment()

    class Meta:
        model = Act
        fields = (
            "id", "at", "actor", "token", "door", "address", "verb", "kind", "key", "name", "object", "before", "after",
            "why",
        )  # fmt: skip
        extra_kwargs = {"object": {"help_text": "As the filter takes it."}}

    object = serializers.CharField(read_only=True)


class Activity(Door):
    needs = {"GET": "jobs.view_act"}

    @extend_schema(
        operation_id="activity_list",
        parameters=[ActivityAsked],
        responses={200: ActShape(many=True), **REFUSED, **MISPUT},
    )
    def get(self, request: Request) -> Response:
        """What people and tokens did, the newest first; ask again with `before` the last id."""
        wanted = asked(ActivityAsked, request)
        rows = Act.objects.narrowed(
            actor=wanted["actor"], verb=wanted["verb"], thing=wanted["object"], before=wanted["before"]
        )
        return Response(ActShape(rows[: wanted["limit"]], many=True).data)
