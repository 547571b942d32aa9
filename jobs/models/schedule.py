"""Schedules: the truth about when which pipeline is started.

`Schedule` stands beside the `PeriodicTask` that keeps its name and note, for which the admin has its pages; whoever
edits one of the two finds it in the other (`jobs.schedules.mirror`). Its rule is data that `jobs.schedules.dues`
reads; `Tick` is what came of each due time, `Lead` who decides.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django_celery_beat.models import PeriodicTask

from jobs.models.pipeline import Pipeline
from jobs.states import Missed, Overlap, Runner
from jobs.stored import ParametersField
from kedro_console.wire import Group, Key, Value


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    def known(self) -> ScheduleQuerySet:
        """With what is needed to show or to decide one."""
        return self.select_related("periodic_task", "pipeline__project")

    def of(self, pipelines: Collection[int]) -> ScheduleQuerySet:
        return self.filter(pipeline__in=pipelines)

    def to_look_at(self, at: datetime) -> ScheduleQuerySet:
        """Those with a due time that is to be decided, the most overdue first."""
        return self.filter(next_look_at__lte=at).order_by("next_look_at", "pk")

    def paused_at(self, at: datetime) -> ScheduleQuerySet:
        return self.filter(Q(paused_until=None) | Q(paused_until__gt=at), paused_since__isnull=False)


class Schedule(models.Model):
    """A time rule that starts a pipeline."""

    EDITED: ClassVar = (
        "name", "note", "pipeline", "parameters", "selection", "runner", "rule", "zone", "jitter_seconds",
        "begins_at", "ends_at", "is_once", "overlap", "missed", "missed_most", "missed_hours",
        "date_parameter", "owner",
    )  # fmt: skip
    EDITED_AS: ClassVar = ("periodic_task",)
    LOCKED_WITH_KEY: ClassVar = True  # as whoever decides its due times does, who adds ticks to it

    periodic_task = models.OneToOneField(PeriodicTask, models.CASCADE, related_name="console_schedule")
    pipeline = models.ForeignKey(
        Pipeline,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="schedules",
        help_text="What it starts; none when that is gone.",
    )
    parameters = ParametersField(default=dict, blank=True)
    selection = models.JSONField(
        "choices",
        default=dict,
        blank=True,
        help_text='Of the pipeline, in the words of `kedro run`, such as {"tags": ["daily"], "env": "prod"}.',
    )
    runner = models.CharField(max_length=20, choices=Runner, blank=True, help_text="Empty: the pipeline's own.")
    rule = models.JSONField(default=dict, help_text="When it is due, as data.")
    zone = models.CharField("time zone", max_length=64, default="UTC")
    jitter_seconds = models.PositiveIntegerField(
        "spread (seconds)", default=0, help_text="It starts up to so many seconds after its due time."
    )
    begins_at = models.DateTimeField(null=True, blank=True, help_text="Nothing is due before.")
    ends_at = models.DateTimeField(null=True, blank=True, help_text="Nothing is due from then on.")
    is_once = models.BooleanField("only once", default=False, help_text="It is over after its first due time.")
    overlap = models.CharField(
        "if another run is still going",
        max_length=20,
        choices=Overlap,
        blank=True,
        help_text="Empty: as its pipeline has it.",
    )
    missed = models.CharField(
        "if the scheduler was down",
        max_length=20,
        choices=Missed,
        default=Missed.NEWEST,
        help_text="Which of the due times that were missed start a run afterwards.",
    )
    missed_most = models.PositiveIntegerField(
        "of what was missed at most", default=10, validators=[MinValueValidator(1)], help_text="For “all”: the newest."
    )
    missed_hours = models.PositiveIntegerField(
        "of what was missed not older than (hours)", default=24, help_text="For “all”; 0: however old."
    )
    date_parameter = models.JSONField(
        default=list, blank=True, help_text="Where a backfill puts the date: the keys that lead to the parameter."
    )
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    paused_since = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True, help_text="Empty: until somebody resumes it.")
    paused_by = models.CharField(max_length=150, blank=True)
    paused_reason = models.CharField(max_length=300, blank=True)
    counts_since = models.DateTimeField(help_text="Edited, resumed or switched on: what was due before starts nothing.")
    decided_until = models.DateTimeField(help_text="Every due time up to then has been decided.")
    next_due_at = models.DateTimeField(null=True, blank=True, help_text="Empty: it is over.")
    next_look_at = models.DateTimeField(
        null=True, blank=True, db_index=True, help_text="When that is decided: later by the spread."
    )
    created_at = models.DateTimeField()
    edited_at = models.DateTimeField()

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        ordering = ["periodic_task__name"]
        permissions = [("pause_schedule", "Can pause and resume schedules")]

    def __str__(self) -> str:
        return self.name

    def marked(self, parameters: Group) -> dict[Key, Value]:
        return self.pipeline.marked(parameters) if self.pipeline else dict(parameters)

    @property
    def name(self) -> str:
        return str(self.periodic_task.name)

    @property
    def is_on(self) -> bool:
        return bool(self.periodic_task.enabled)

    @property
    def note(self) -> str:
        return str(self.periodic_task.description)

    @property
    def env(self) -> str:
        """The Kedro environment that was chosen; empty: the project's own."""
        return str(self.selection.get("env", ""))

    @property
    def is_over(self) -> bool:
        """No due time will come any more."""
        return self.next_due_at is None

    def is_paused(self, at: datetime) -> bool:
        return self.paused_since is not None and (self.paused_until is None or at < self.paused_until)
