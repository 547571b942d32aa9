from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import models
from django.urls import reverse

from jobs.errors import IllegalMove
from jobs.models.pipeline import Pipeline
from jobs.models.snapshot import Snapshot
from jobs.models.transition import Moving, final_has_finished_at
from jobs.models.upload import Upload, UploadQuerySet
from jobs.states import FINAL, LIVE, Cause, Overlap, Runner, Status
from jobs.stored import ParametersField
from kedro_console.wire import SnapshotPipeline

STORE: Final = "store"


class RunQuerySet(models.QuerySet["Run"]):
    def live(self) -> RunQuerySet:
        return self.filter(status__in=sorted(LIVE))

    def final(self) -> RunQuerySet:
        return self.filter(status__in=sorted(FINAL))

    def of_key(self, idempotency_key: str) -> Run | None:
        """The run of this key, if there is one."""
        return self.filter(idempotency_key=idempotency_key).if_there()

    def if_there(self) -> Run | None:
        """The newest of these, which most often are none: that is asked first, as a whole row is a longer question."""
        number = self.order_by("-id").values_list("pk", flat=True).first()
        return self.filter(pk=number).first() if number else None

    def newest(self) -> RunQuerySet:
        return self.select_related("pipeline__project").order_by("-id")

    def before(self, number: int | None) -> RunQuerySet:
        """The page of older runs that follows run `number`: lists page by key, never by offset."""
        return self.filter(id__lt=number) if number else self

    def succeeded(self, pipeline_id: int) -> RunQuerySet:
        """Those of one pipeline, the newest first, by an index that holds nothing else.

        Another condition beside it would make a database look through all of them for what few fulfil.
        """
        return self.filter(pipeline=pipeline_id, status=Status.SUCCEEDED).order_by("-id")

    def newest_numbers(
        self, most: int, *, statuses: Iterable[str] = (), pipelines: Iterable[int] | None = None
    ) -> list[int]:
        """Of those with one of these statuses (none: any) and pipelines (None: any) the newest, the newest first.

        Each pair is read from an index in its order: asked for at once, a database would sort all that there are.
        """
        by_status = [self.filter(status=status) for status in statuses] or [self.all()]
        parts = by_status
        if pipelines is not None:
            parts = [rows.filter(pipeline=pipeline) for rows in by_status for pipeline in pipelines]
        found = {number for rows in parts for number in rows.order_by("-id").values_list("pk", flat=True)[:most]}
        return sorted(found, reverse=True)[:most]

    def gone_wrong(self, most: int, *, since: datetime) -> list[Run]:
        """The newest of these that failed or crashed and were made since then; each status is read by itself."""
        rows = self.order_by("-id")
        newest = [run for status in (Status.FAILED, Status.CRASHED) for run in rows.filter(status=status)[:most]]
        lately = [run for run in newest if run.created_at >= since]
        return sorted(lately, key=lambda run: run.pk, reverse=True)[:most]

    def wanting_to_stop(self) -> RunQuerySet:
        return self.live().filter(cancel_requested_at__isnull=False)


class Run(Moving):
    """One execution of a pipeline; “job” is the API's word for the same row."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    pipeline = models.ForeignKey(Pipeline, models.PROTECT, related_name="runs")
    snapshot = models.ForeignKey(Snapshot, models.SET_NULL, null=True, blank=True, related_name="+")
    cause = models.CharField(max_length=20, choices=Cause, default=Cause.MANUAL)
    cause_detail = models.CharField(max_length=300, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="runs"
    )
    requested_by_name = models.CharField(max_length=150, blank=True)
    parameters = ParametersField(default=dict, blank=True)
    resolved_parameters = ParametersField(null=True, blank=True)
    runner = models.CharField(max_length=20, choices=Runner, default=Runner.SEQUENTIAL)
    nodes = models.JSONField(default=list, blank=True, help_text="Chosen nodes; empty: the whole pipeline.")
    selection = models.JSONField(
        default=dict, blank=True, help_text="What was asked for, in the words of `kedro run`; empty: all of it."
    )
    kedro_env = models.CharField(
        "Kedro environment", max_length=80, blank=True, help_text="Empty: the project's own when it runs."
    )
    tags = models.JSONField(default=list, blank=True)
    idempotency_key = models.CharField(max_length=200, null=True, blank=True, unique=True)
    retry_of = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="retries")
    is_resumption = models.BooleanField(
        default=False,
        db_default=False,
        help_text="It goes on where the run before it stopped, and reuses what that one finished.",
    )
    caused_by = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="followers",
        help_text="The run whose end (or whose node's end) started this one by a rule.",
    )
    root = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="family",
        help_text="The first run of the chain that rules and retries made; empty: itself.",
    )
    iteration = models.PositiveIntegerField(default=0, help_text="How many runs of the chain came before it.")
    due_at = models.DateTimeField(null=True, blank=True, help_text="The tick of the schedule that began its chain.")
    is_side_job = models.BooleanField(default=False, help_text="Its end never changes what its main run is.")
    is_resumable = models.BooleanField(default=False, help_text="Its datasets between nodes are kept on disk.")
    has_copies = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Its datasets between nodes were copied to disk, as far as that cost little.",
    )
    plan_reason = models.TextField(blank=True, help_text="Why it has fewer steps than its pipeline asks for.")
    warning = models.TextField(blank=True, help_text="What went wrong when its processes ended, after their nodes had.")
    unshared = models.JSONField(
        default=list, blank=True, help_text="Datasets that stay in the process that makes them, even with a store."
    )
    store_url = models.CharField(
        max_length=600, blank=True, help_text="Where its datasets between nodes lie; empty: in its folder, or nowhere."
    )
    log_seq = models.BigIntegerField(default=0, editable=False, help_text="The number of its last log line.")
    log_dropped_at = models.DateTimeField(
        null=True, blank=True, help_text="When retention took its log lines and events."
    )
    load_versions = models.JSONField(
        default=dict, blank=True, help_text="Versioned dataset → the version that an earlier run saved and it reads."
    )

    created_at = models.DateTimeField()
    eligible_at = models.DateTimeField(null=True, blank=True)
    wait_reason = models.CharField(max_length=300, blank=True)
    waits_for = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="held_back",
        db_index=False,
        help_text="The run that has to end first.",
    )
    overlap = models.CharField(
        max_length=20,
        choices=Overlap,
        blank=True,
        default="",
        db_default="",
        help_text="Empty: as its pipeline has it.",
    )
    writes = models.JSONField(
        default=dict, blank=True, help_text="Files that it writes without a version, and the dataset of each."
    )
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_by = models.CharField(max_length=150, blank=True)
    force_requested_at = models.DateTimeField(
        null=True, blank=True, help_text="When its processes were to be killed at once."
    )
    force_requested_by = models.CharField(max_length=150, blank=True, default="", db_default="")

    results = models.JSONField(null=True, blank=True)
    error = models.TextField(blank=True, help_text="Why it failed or crashed, as one sentence.")
    revision = models.CharField(max_length=80, blank=True)
    begun_with = models.CharField(
        max_length=100, blank=True, editable=False, help_text="Code and packages of its first step; empty: none began."
    )
    other_code = models.JSONField(
        default=list, editable=False, help_text="What else it ran: revision, packages, and from which node on."
    )
    versions = models.JSONField(default=dict, blank=True)
    graph_change = models.TextField(
        blank=True, editable=False, help_text="How its pipeline's nodes differ from those that it was planned with."
    )
    peak_memory_bytes = models.BigIntegerField(default=0)
    nodes_total = models.PositiveIntegerField(default=0)
    nodes_done = models.PositiveIntegerField(default=0)
    seq = models.BigIntegerField(default=0, editable=False, help_text="The last number given to a log line or event.")

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [final_has_finished_at("run")]
        indexes = [
            models.Index(fields=["pipeline", "-id"], name="run_of_pipeline"),
            models.Index(fields=["status", "-id"], name="run_by_status"),
            *[
                models.Index(fields=["pipeline", "-id"], condition=models.Q(status=status), name=f"run_{status}")
                for status in ("succeeded", "failed", "crashed", "cancelled")
            ],
            models.Index(
                fields=["requested_by", "pipeline", "-id"],
                condition=models.Q(requested_by__isnull=False),
                name="run_by_person",
            ),
            models.Index(fields=["cause", "-id"], name="run_by_cause"),
            models.Index(fields=["-created_at"], name="run_by_created"),
            models.Index(fields=["id"], condition=models.Q(status__in=["queued", "running"]), name="run_live"),
            models.Index(fields=["finished_at"], condition=models.Q(log_dropped_at=None), name="run_with_log_by_end"),
            models.Index(fields=["id"], condition=~models.Q(store_url=""), name="run_with_store_elsewhere"),
            models.Index(
                fields=["pipeline", "due_at"], condition=models.Q(due_at__isnull=False), name="run_of_pipeline_by_due"
            ),
            models.Index(fields=["waits_for"], condition=models.Q(waits_for__isnull=False), name="run_that_waits"),
        ]
        permissions = [
            ("cancel_run", "Can cancel runs"),
            ("retry_run", "Can run again"),
        ]

    def __str__(self) -> str:
        return f"run #{self.pk}"

    @property
    def structure(self) -> SnapshotPipeline | None:
        """Its pipeline's nodes and datasets as they were planned; None when that picture is gone."""
        return self.snapshot.pipeline(self.pipeline.name) if self.snapshot else None

    def get_absolute_url(self) -> str:
        return reverse("run", args=[self.pk])

    def _history(self) -> dict[str, Any]:
        return {"run": self}

    @property
    def root_number(self) -> int:
        """The number of the first run of its chain."""
        return self.root_id or self.pk

    @property
    def folder(self) -> Path:
        """Where its files lie while it runs, and what it keeps to be resumed from."""
        folder: Path = settings.VAR / "runs" / str(self.pipeline.project_id) / str(self.uuid)
        return folder

    @property
    def store_folder(self) -> Path:
        """The datasets between its nodes, when it is resumable."""
        return self.folder / STORE

    @property
    def unsent(self) -> UploadQuerySet:
        """Its files that are kept and not yet in the artifact store, also those that hold the rest of a log."""
        files = self.artifacts.filter(sha256=models.OuterRef("sha256"))  # of the few uploads, not of a million files
        logs = self.steps.filter(log_sha256=models.OuterRef("sha256"))
        return Upload.objects.filter(models.Exists(files.order_by()) | models.Exists(logs.order_by()))

    @property
    def env(self) -> str:
        """The Kedro environment that it runs in; empty: the project's default."""
        return self.kedro_env or self.pipeline.project.kedro_env

    @property
    def duration(self) -> timedelta | None:
        return self.finished_at - self.started_at if self.finished_at and self.started_at else None

    @property
    def revisions(self) -> list[str]:
        """Every revision of the project's code that it ran, the first one first."""
        return list(dict.fromkeys(filter(None, [self.revision, *(each["revision"] for each in self.other_code)])))

    @property
    def code_change(self) -> str:
        """From which node on it ran other code than it began with, as sentences; "" when it is one piece."""
        return " ".join(self._changed(each) for each in self.other_code)

    def _changed(self, other: dict[str, Any]) -> str:
        if other["revision"] == self.revision:
            what, which = "with other packages installed", ""
        else:
            what, which = "on other code", f": {other['revision']} instead of {self.revision}"
        if "run" in other:
            return f"What it takes from run #{other['run']} was made {what}{which}."
        if other["attempt"] > 1:
            return f"Attempt {other['attempt']}, from node {other['node']} on, ran {what}{which}."
        return f"From node {other['node']} on it ran {what}{which}."

    def begin(self, *, at: datetime, by: str, reason: str = "") -> None:
        self._begin(at, by, reason)

    def start(self, *, at: datetime, by: str) -> Run:
        """queued → running, when its first step is claimed."""
        return self._move(Status.RUNNING, at=at, by=by, started_at=at, wait_reason="", eligible_at=None)

    def end(self, status: Status, *, at: datetime, by: str, reason: str = "", **facts: Any) -> Run:
        """Move to one of the four ends."""
        return self._move(status, at=at, by=by, reason=reason, **{"wait_reason": "", "eligible_at": None, **facts})

    def ask_to_stop(self, *, at: datetime, by: str) -> None:
        """Write down that the run should stop; IllegalMove when it has ended. Asking twice changes nothing."""
        asked = Run.objects.live().filter(pk=self.pk, cancel_requested_at__isnull=True)
        asked.update(cancel_requested_at=at, cancel_requested_by=by)
        self.refresh_from_db(fields=["status", "cancel_requested_at", "cancel_requested_by"])
        if self.is_final:
            raise IllegalMove("run", self.status, Status.CANCELLED)

    def ask_to_force(self, *, at: datetime, by: str) -> None:
        """Write down that what is left of a run that should stop is to be killed; the first to ask counts."""
        asked = Run.objects.wanting_to_stop().filter(pk=self.pk, force_requested_at__isnull=True)
        asked.update(force_requested_at=at, force_requested_by=by)
        self.refresh_from_db(fields=["status", "force_requested_at", "force_requested_by"])
