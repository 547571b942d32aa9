"""What a request may ask for; fields that are not named here are ignored."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers

from console.api.shapes import JOB_STATUS
from jobs.prioritize import LAST
from jobs.selection import Selection
from jobs.states import Runner

LARGEST: Final = 2**63 - 1


def _names(help_text: str) -> serializers.ListField:
    child = serializers.CharField(max_length=500)
    return serializers.ListField(child=child, max_length=1000, required=False, default=list, help_text=help_text)


class JobAsked(serializers.Serializer[Any]):
    """A job to start."""

    pipeline_name = serializers.CharField(
        max_length=300, help_text="A pipeline's name, also as “project/pipeline” where two projects have it."
    )
    parameters = serializers.DictField(
        required=False, allow_null=True, help_text="Runtime parameters, nested or with dotted names."
    )
    project = serializers.CharField(max_length=80, required=False, default="", allow_blank=True)
    runner = serializers.ChoiceField(
        Runner.choices, required=False, default="", allow_blank=True, help_text="Empty: the pipeline's own."
    )
    from_nodes = _names("Only these nodes and all that need them.")
    to_nodes = _names("Only these nodes and all that they need.")
    tags = _names("Only nodes with one of these tags.")
    everything = serializers.BooleanField(
        required=False, default=False, help_text="Also what did not change, where the pipeline re-runs only that."
    )

    @property
    def selection(self) -> Selection:
        asked = self.validated_data
        return Selection(from_nodes=asked["from_nodes"], to_nodes=asked["to_nodes"], tags=asked["tags"])


class WishAsked(serializers.Serializer[Any]):
    """What is wanted of a job that waits."""

    priority = serializers.IntegerField(min_value=0, max_value=LAST, help_text="0 goes first, 9 last.")


class ResumeAsked(serializers.Serializer[Any]):
    """How to resume a job."""

    parameters = serializers.DictField(
        required=False, allow_null=True, help_text="Laid over the job's own; nodes that read what changed run again."
    )


class JobsAsked(serializers.Serializer[Any]):
    limit = serializers.IntegerField(min_value=1, max_value=500, required=False, default=50)
    before = serializers.IntegerField(
        min_value=1, max_value=LARGEST, required=False, default=None, help_text="Jobs older than this number."
    )
    pipeline = serializers.CharField(max_length=300, required=False, default="", help_text="Or “project/pipeline”.")
    status = serializers.ChoiceField(JOB_STATUS, required=False, default="")


class RecordsAsked(serializers.Serializer[Any]):
    after = serializers.IntegerField(
        min_value=0, max_value=LARGEST, required=False, default=0, help_text="Records with a greater `seq`."
    )
    limit = serializers.IntegerField(min_value=1, max_value=5000, required=False, default=1000)


class LatestAsked(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=255, help_text="The file's name.")
    pipeline = serializers.CharField(max_length=300, required=False, default="", help_text="Or “project/pipeline”.")
