"""What a request may ask for; a field that is not named here is a mistake."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rest_framework import serializers

from console.api.shapes import JOB_STATUS
from jobs.insight.find_in_logs import MOST_AROUND
from jobs.insight.read_logs import LEVELS
from jobs.runs.prioritize import LAST
from jobs.states import Runner
from jobs.structure.selection import ALL, Selection, meant

LARGEST: Final = 2**63 - 1
LONGEST_NAME: Final = 500


class Asked(serializers.Serializer[Any]):
    """A body that takes no other fields than its own."""

    def to_internal_value(self, data: Any) -> Any:
        refuse_unknown(data, self.fields)
        return super().to_internal_value(data)


class Nothing(Asked):
    """A body without any fields."""


def refuse_unknown(data: Any, known: Iterable[str]) -> None:
    """A ValidationError for each field that is not known, with the nearest names."""
    names = list(known)
    unknown = [name for name in data if name not in names] if isinstance(data, Mapping) else []
    if unknown:
        said = "There is no such field here."
        raise serializers.ValidationError({name: f"{said}{meant(name, names)}" for name in unknown})


def _names(help_text: str) -> serializers.ListField:
    child = serializers.CharField(max_length=LONGEST_NAME, trim_whitespace=False)
    return serializers.ListField(child=child, max_length=1000, required=False, default=list, help_text=help_text)


class SelectionAsked(Asked):
    """What of a pipeline runs, in the words of `kedro run`; several choices of nodes count together."""

    nodes = _names("Only these nodes.")
    from_nodes = _names("Only these nodes and all that need them.")
    to_nodes = _names("Only these nodes and all that they need.")
    from_inputs = _names("Only nodes that read these datasets, and all that need them.")
    to_outputs = _names("Only nodes that make these datasets, and all that they need.")
    tags = _names("Only nodes with one of these tags.")
    namespaces = _names("Only nodes in one of these namespaces; `a.b` is in `a`.")
    only_missing_outputs = serializers.BooleanField(
        required=False, default=False, help_text="Only nodes whose outputs are not there, and what these need."
    )
    load_versions = serializers.DictField(
        child=serializers.CharField(max_length=LONGEST_NAME),
        required=False,
        default=dict,
        help_text="Versioned dataset → the version to load.",
    )
    env = serializers.CharField(
        max_length=80,
        required=False,
        default="",
        allow_blank=True,
        help_text="Kedro environment.",
    )

    @property
    def selection(self) -> Selection:
        return Selection(**{name: value for name, value in self.validated_data.items() if name in ALL})


class JobAsked(SelectionAsked):
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
    everything = serializers.BooleanField(
        required=False, default=False, help_text="Also what did not change, where the pipeline re-runs only that."
    )


class WishAsked(Asked):
    """What is wanted of a job that waits."""

    priority = serializers.IntegerField(min_value=0, max_value=LAST, help_text="0 goes first, 9 last.")


class CancelAsked(Asked):
    """How to cancel a job."""

    force = serializers.BooleanField(
        required=False, default=False, help_text="Kill its processes at once instead of asking them to stop first."
    )


class ResumeAsked(Asked):
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


class FilesAsked(serializers.Serializer[Any]):
    after = serializers.UUIDField(required=False, default=None, help_text="The id of the last one of a page.")
    limit = serializers.IntegerField(min_value=1, max_value=1_000, required=False, default=1_000)


class LogAsked(RecordsAsked):
    node = serializers.CharField(
        max_length=LONGEST_NAME, required=False, default="", allow_blank=True, help_text="Only what this node wrote."
    )
    level = serializers.ChoiceField(
        LEVELS, required=False, default="", allow_blank=True, help_text="Lines of this level and worse."
    )
    text = serializers.CharField(
        max_length=200,
        required=False,
        default="",
        allow_blank=True,
        trim_whitespace=False,
        help_text="Lines that have this text, in upper or lower case.",
    )


class LogLinesAsked(LogAsked):
    context = serializers.IntegerField(  # type: ignore[assignment]
        min_value=0,
        max_value=MOST_AROUND,
        required=False,
        default=0,
        help_text="So many lines on both sides of each hit of `level` and `text` too; `limit` counts hits.",
    )


class LatestAsked(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=255, help_text="The file's name.")
    pipeline = serializers.CharField(max_length=300, required=False, default="", help_text="Or “project/pipeline”.")
