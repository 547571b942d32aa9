"""What a job and its records look like from outside; the OpenAPI document is made of these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.reverse import reverse

from jobs import clock
from jobs.insight.explain import Act
from jobs.models import Artifact, Run, Upload
from jobs.states import Cause, NodeStatus, Runner, Status
from jobs.structure.values import shown
from jobs.telling.links import own_address

WORDS: Final[dict[str, str]] = {
    Status.QUEUED: "pending",
    Status.RUNNING: "running",
    Status.SUCCEEDED: "completed",
    Status.FAILED: "failed",
    Status.CRASHED: "failed",
    Status.CANCELLED: "cancelled",
}
"""Our status → the API's word for it; what crashed has failed, and `error_message` says how."""

JOB_STATUS: Final = ["pending", "running", "completed", "failed", "cancelled"]


class Moment(serializers.DateTimeField):
    """A time in UTC."""

    def __init__(self, **how: Any) -> None:
        super().__init__(default_timezone=UTC, **how)


def address(context: Mapping[str, Any], path: str) -> str:
    """The whole address of this path, as whoever asks reaches us; a command's is the one that `up` serves."""
    request = context.get("request")
    return str(request.build_absolute_uri(path)) if request else f"{own_address()}{path}"


class ParametersField(serializers.DictField):
    """Parameters as everybody may see them."""

    def to_representation(self, value: Any) -> Any:
        return shown(value)


class ProgressShape(serializers.Serializer[Any]):
    nodes_done = serializers.IntegerField()
    nodes_total = serializers.IntegerField()


class UnkeptShape(serializers.Serializer[Any]):
    """A file or folder that a job left behind and that is not kept, or not all of it."""

    name = serializers.CharField()
    dataset = serializers.CharField()
    node = serializers.CharField()
    path = serializers.CharField(help_text="Where it lies, or lay.")
    reason = serializers.CharField(help_text="Why it is not kept and what to do, as one sentence.")


class UnsentShape(serializers.Serializer[Any]):
    """A file that waits for the artifact store."""

    name = serializers.CharField()
    sha256 = serializers.CharField()
    size_bytes = serializers.IntegerField()
    host = serializers.CharField(help_text="The machine that keeps it.")
    attempts = serializers.IntegerField(help_text="How often the store did not take it.")
    reason = serializers.SerializerMethodField(help_text="Why the store does not have it yet, as a sentence.")
    next_try_at = Moment(source="due_at")

    def get_reason(self, upload: Upload) -> str:
        return upload.sentence(clock.now())


class JobShape(serializers.Serializer[Any]):
    """A job. `started_at`, `completed_at`, `execution_time`, `results` and `error_message` are null until known."""

    id = serializers.UUIDField(source="uuid")
    number = serializers.IntegerField(source="pk", help_text="The run's number in the console.")
    url = serializers.SerializerMethodField(help_text="The run's page.")
    project = serializers.CharField(source="pipeline.project.name")
    pipeline_name = serializers.CharField(source="pipeline.name")
    user_id = serializers.SerializerMethodField(help_text="Who asked for it; “anonymous”, or the cause for nobody.")
    cause = serializers.ChoiceField(Cause.choices)
    status = serializers.SerializerMethodField()
    parameters = ParametersField(help_text="Secrets are `***`, and what JSON cannot hold is text.")
    results = serializers.JSONField(
        allow_null=True,
        help_text="Dataset → its type, and rows, columns, parts, size_bytes, path, value, artifact where known.",
    )
    error_message = serializers.SerializerMethodField(help_text="Why it failed, as one sentence.")
    created_at = Moment()
    started_at = Moment(allow_null=True)
    completed_at = Moment(source="finished_at", allow_null=True)
    execution_time = serializers.SerializerMethodField(help_text="Seconds between start and end.")
    runner = serializers.ChoiceField(Runner.choices)
    nodes = serializers.ListField(child=serializers.CharField(), help_text="The chosen nodes; empty: all of them.")
    selection = serializers.DictField(help_text="What was asked for, in the words of `kedro run`; empty: all of it.")
    env = serializers.CharField(help_text="The Kedro environment; empty: the project's default.")
    progress = ProgressShape(source="*")
    wait_reason = serializers.CharField(help_text="Why it has to wait; empty when nothing holds it back.")
    warning = serializers.CharField(help_text="What went wrong when its processes ended, after their nodes had.")
    plan_reason = serializers.CharField(help_text="Why it has fewer steps than asked for; empty: it has not.")
    cancel_requested_at = Moment(allow_null=True)
    retry_of = serializers.SerializerMethodField(help_text="The job that this one repeats.")
    revision = serializers.CharField(help_text="The code revision of the project that it began with.")
    revisions = serializers.ListField(child=serializers.CharField(), help_text="Every revision that it ran.")
    graph_change = serializers.CharField(help_text="How its nodes differ from those that were planned; empty: not.")
    code_change = serializers.CharField(help_text="From which node on it ran other code; empty: it is one piece.")
    peak_memory_bytes = serializers.IntegerField()
    not_kept = serializers.SerializerMethodField(help_text="What it left behind and is not kept.")
    not_in_store = serializers.SerializerMethodField(
        help_text="What we keep and the artifact store does not have yet; it can be downloaded meanwhile."
    )

    def get_url(self, run: Run) -> str:
        return address(self.context, run.get_absolute_url())

    @extend_schema_field(UnkeptShape(many=True))
    def get_not_kept(self, run: Run) -> Any:
        return UnkeptShape(run.unkept_files.all() if run.started_at else [], many=True).data

    @extend_schema_field(UnsentShape(many=True))
    def get_not_in_store(self, run: Run) -> Any:
        return UnsentShape(run.unsent if getattr(run, "may_wait", True) else [], many=True).data

    def get_user_id(self, run: Run) -> str:
        return run.requested_by_name or run.cause

    @extend_schema_field(serializers.ChoiceField(JOB_STATUS))
    def get_status(self, run: Run) -> str:
        return WORDS[run.status]

    def get_error_message(self, run: Run) -> str | None:
        return run.error or None

    def get_execution_time(self, run: Run) -> float | None:
        return run.duration.total_seconds() if run.duration is not None else None

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_retry_of(self, run: Run) -> str | None:
        if run.retry_of_id is None:
            return None
        known = getattr(run, "retried_uuid", None)  # a list brings it along, one query for all
        return str(known or run.retry_of.uuid)  # type: ignore[union-attr]


class NodeShape(serializers.Serializer[Any]):
    """One execution of one node; `failure` holds the exception with its frames, the project's own marked."""

    name = serializers.CharField()
    position = serializers.IntegerField()
    status = serializers.ChoiceField(NodeStatus.choices)
    reason = serializers.CharField(help_text="Why it was reused or ran, where only what changed runs again.")
    attempts = serializers.IntegerField()
    started_at = Moment(allow_null=True)
    finished_at = Moment(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)
    progress = serializers.JSONField(allow_null=True, help_text="The newest progress bar: label, done, total, unit.")
    error = serializers.CharField()
    failure = serializers.JSONField(allow_null=True)


class WaitShape(serializers.Serializer[Any]):
    """One thing that holds a job back, what it waits for, and what helps."""

    sentence = serializers.CharField()
    is_bad = serializers.BooleanField(help_text="Whether it stays like that unless somebody does something.")
    at = Moment(allow_null=True, help_text="When it should be over.")
    since = Moment(allow_null=True)
    mend = serializers.CharField(help_text="A command that helps, or empty.")
    run = serializers.IntegerField(source="run.pk", default=None, allow_null=True, help_text="The run it waits for.")
    quota = serializers.CharField(source="quota.name", default=None, allow_null=True)
    workers = serializers.ListField(child=serializers.CharField(), help_text="Those that are busy or paused.")
    first = serializers.IntegerField(
        source="first.run.pk", default=None, allow_null=True, help_text="The run that should make room first."
    )
    first_seconds = serializers.FloatField(
        source="first.seconds", default=None, allow_null=True, help_text="In about so many seconds; null: not known."
    )
    acts = serializers.ListField(
        child=serializers.ChoiceField([act.value for act in Act]),
        help_text="`go_first`: PATCH /jobs/{id}, priority 0; `raise_slots`, `resume_worker`: PATCH /workers/{name}; "
        "`open_quota`: POST /quotas/{name}/open; `raise_quota`: PATCH /quotas/{name}; `cancel_other`: "
        "POST /jobs/{run}/cancel.",
    )


class LineShape(serializers.Serializer[Any]):
    seq = serializers.IntegerField()
    at = serializers.FloatField(help_text="Seconds since 1970, UTC.")
    level = serializers.CharField()
    stream = serializers.CharField(help_text="stdout, stderr, logging or raw.")
    node = serializers.CharField(help_text="Empty: the step as a whole.")
    text = serializers.CharField(help_text="Without colours.")
    logger = serializers.CharField(help_text="Of stream logging: the logger's name.")
    is_hit = serializers.BooleanField(help_text="Whether `level` and `text` ask for it; false: it is beside a hit.")


class LogShape(serializers.Serializer[Any]):
    """Some lines in order. Ask again with `after=last_seq` while `has_more`, or while the job is running."""

    lines = LineShape(many=True)
    last_seq = serializers.IntegerField()
    has_more = serializers.BooleanField()
    status = serializers.ChoiceField(JOB_STATUS)


class LogHitsShape(serializers.Serializer[Any]):
    """The numbers of the lines that match, in order. Ask again with `after=last_seq` while `has_more`."""

    hits = serializers.ListField(child=serializers.IntegerField())
    last_seq = serializers.IntegerField()
    has_more = serializers.BooleanField()


class LogCountsShape(serializers.Serializer[Any]):
    """Counts by node ("": outside of every node). Ask again with `after=last_seq` while `has_more`, and add."""

    nodes = serializers.DictField(
        child=serializers.DictField(child=serializers.IntegerField()),
        help_text="Of each: `lines`, `hits`, `errors` (of level ERROR and worse).",
    )
    last_seq = serializers.IntegerField()
    has_more = serializers.BooleanField()


class EventShape(serializers.Serializer[Any]):
    """A fact that the project's process reported."""

    seq = serializers.IntegerField()
    at = Moment()
    kind = serializers.CharField()
    node = serializers.CharField()
    data = serializers.DictField()  # type: ignore[assignment]


class ArtifactShape(serializers.Serializer[Any]):
    """A file that a job left behind; `url` downloads it."""

    id = serializers.UUIDField(source="uuid")
    job = serializers.UUIDField(source="run.uuid")
    name = serializers.CharField()
    dataset = serializers.CharField()
    node = serializers.CharField()
    media_type = serializers.CharField()
    size_bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    rows = serializers.IntegerField(allow_null=True)
    columns = serializers.IntegerField(allow_null=True)
    parts = serializers.IntegerField(allow_null=True, help_text="How many tables it holds: the sheets of a workbook.")
    created_at = Moment()
    waits = serializers.SerializerMethodField(
        help_text="Null when the artifact store has it; else a sentence that says why it has not."
    )
    url = serializers.SerializerMethodField()

    def get_waits(self, artifact: Artifact) -> str | None:
        """Of a list, somebody has asked for all of them at once."""
        waits_known: dict[str, str] | None = self.context.get("waits")
        if waits_known is not None:
            return waits_known.get(artifact.sha256)
        return artifact.upload.sentence(clock.now()) if artifact.upload else None

    @extend_schema_field(OpenApiTypes.URI)
    def get_url(self, artifact: Artifact) -> str:
        return address(self.context, reverse("api:artifact_download", args=[artifact.uuid]))


def shaped(artifacts: Iterable[Artifact], request: Request) -> Any:
    """A list of them, with one look at what the store does not have yet."""
    rows = list(artifacts)
    waits = Upload.objects.of({row.sha256 for row in rows}).sentences(clock.now())
    return ArtifactShape(rows, many=True, context={"request": request, "waits": waits}).data


class RefusalShape(serializers.Serializer[Any]):
    """Why a request was refused, in one sentence."""

    detail = serializers.CharField()


class StaleShape(RefusalShape):
    """Who changed it, when, and what of it."""

    changed = serializers.ListField(child=serializers.CharField())


class FieldsRefusalShape(RefusalShape):
    """…and one sentence for each field that cannot be used, by its dotted name."""

    errors = serializers.DictField(child=serializers.CharField())  # type: ignore[assignment]
