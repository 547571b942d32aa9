"""What resuming a run comes to, as the API and the command tell it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from jobs.insight.outlook import outlook
from jobs.models import Run
from jobs.runs.keep_copies import WAYS, copies_of
from jobs.runs.preview_reuse import Preview


class PartShape(serializers.Serializer[Any]):
    node = serializers.CharField()
    reason = serializers.CharField()


class SpaceShape(serializers.Serializer[Any]):
    """What resuming comes to in one namespace, "" for the nodes outside of any."""

    name = serializers.CharField()
    reused = serializers.IntegerField()
    rerun = serializers.IntegerField()
    seconds = serializers.FloatField(allow_null=True, help_text="About so long, by usual times; null: not known.")


class ResumePreviewShape(serializers.Serializer[Any]):
    reused = serializers.IntegerField()
    rerun = serializers.IntegerField()
    seconds = serializers.FloatField(allow_null=True)
    namespaces = SpaceShape(many=True)
    rerun_nodes = PartShape(many=True)
    reused_nodes = PartShape(many=True)
    again = PartShape(many=True, help_text="What is written a second time.")
    copies = serializers.ChoiceField(WAYS, help_text="Whether runs of the pipeline keep what a resumed one needs.")


def told_of(run: Run, found: Preview) -> dict[str, Any]:
    """The preview as plain values."""
    told = outlook(run, found)
    facts = {"reused": told.reused, "rerun": told.rerun, "seconds": told.seconds, "namespaces": told.spaces}
    parts = {"rerun_nodes": found.rerun, "reused_nodes": found.reuse, "again": found.again}
    return dict(ResumePreviewShape({**facts, **parts, "copies": copies_of(run.pipeline)}).data)
