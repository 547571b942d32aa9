"""A range of past due times of a pipeline that are run after the fact, and each of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

from jobs.models.pipeline import Pipeline
from jobs.models.run import Run
from jobs.models.schedule import Schedule
from jobs.states import Again, BackfillStatus, DateStatus, Direction, Runner
from jobs.stored import ParametersField

MOST_AT_ONCE = 100
OVER = (BackfillStatus.STOPPED, BackfillStatus.FINISHED)


class BackfillQuerySet(models.QuerySet["Backfill"]):
    def active(self) -> BackfillQuerySet:
        """Those that start their next dates."""
        return self.filter(status=BackfillStatus.RUNNING)

    def due(self, at: datetime) -> BackfillQuerySet:
        """Those that may start one now: nothing that held them back said to come later."""
        return self.active().filter(models.Q(eligible_at=None) | models.Q(eligible_at__lte=at))

    def newest(self) -> BackfillQuerySet:
        return self.select_related("pipeline__project", "schedule__periodic_task").order_by("-id")

    def before(self, number: int | None) -> BackfillQuerySet:
        return self.filter(id__lt=number) if number else self


class BackfillDateQuerySet(models.QuerySet["BackfillDate"]):
    def waiting(self) -> BackfillDateQuerySet:
        return self.filter(status=DateStatus.WAITING)

    def under_way(self) -> BackfillDateQuerySet:
        return self.filter(status=DateStatus.RUNNING)

    def unsuccessful(self) -> BackfillDateQuerySet:
        """Those that ran, or could not, and may be run again."""
        return self.filter(status__in=[DateStatus.FAILED, DateStatus.CANCELLED])

    def counts(self) -> dict[str, int]:
        """How many there are of each status, those with none included."""
        found = dict(self.order_by().values_list("status").annotate(count=models.Count("pk")))
        return {status.value: found.get(status.value, 0) for status in DateStatus}

    def counts_of(self, backfills: Iterable[Backfill]) -> dict[int, dict[str, int]]:
        """The same for each of these backfills, by its number, in one question."""
        found = {row.pk: {status.value: 0 for status in DateStatus} for row in backfills}
        rows = self.filter(backfill__in=list(found)).order_by().values_list("backfill", "status")
        for number, status, count in rows.annotate(count=models.Count("pk")):
            found[number][status] = count
        return found


class Backfill(models.Model):
    """Past dates of a pipeline that somebody has run, so many at once."""

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="backfills")
    schedule = models.ForeignKey(
        Schedule,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="backfills",
        help_text="Whose due times they are; empty: the times that the words below name.",
    )
    rule_words = models.CharField("due", max_length=300, help_text="When its dates are due, in words.")
    zone = models.CharField(max_length=64, help_text="Whose days its dates are.")
    first_day = models.DateField()
    last_day = models.DateField()
    again = models.CharField("runs", max_length=20, choices=Again, default=Again.UNSUCCESSFUL)
    direction = models.CharField("order", max_length=10, choices=Direction, default=Direction.OLDEST)
    at_once = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_AT_ONCE)],
        help_text="So many of its runs are under way together.",
    )
    date_parameter = models.JSONField(
        default=list, blank=True, help_text="The keys that lead to the parameter that gets the date; []: none does."
    )
    parameters = ParametersField(default=dict, blank=True)
    selection = models.JSONField(default=dict, blank=True)
    runner = models.CharField(max_length=20, choices=Runner, blank=True, help_text="Empty: the pipeline's own.")
    status = models.CharField(max_length=20, choices=BackfillStatus, default=BackfillStatus.RUNNING)
    eligible_at = models.DateTimeField(null=True, blank=True, help_text="Nothing of it starts before.")
    wait_reason = models.CharField(max_length=500, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=150, blank=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    requested_by_name = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    stopped_by = models.CharField(max_length=150, blank=True)

    objects = BackfillQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(finished_at__isnull=True, status__in=["running", "paused"])
                | models.Q(finished_at__isnull=False, status__in=["stopped", "finished"]),
                name="backfill_final_has_finished_at",
            ),
            models.CheckConstraint(condition=models.Q(at_once__gte=1), name="backfill_runs_some_at_once"),
        ]
        indexes = [
            models.Index(fields=["pipeline"], condition=models.Q(status="running"), name="backfill_active"),
            models.Index(fields=["pipeline", "-id"], name="backfill_of_pipeline"),
        ]
        permissions = [("control_backfill", "Can pause, resume and stop backfills")]

    def __str__(self) -> str:
        return f"backfill #{self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("backfill", args=[self.pk])

    @property
    def is_over(self) -> bool:
        return self.finished_at is not None

    @property
    def path(self) -> tuple[str, ...]:
        """Where the date goes among the parameters; () for nowhere."""
        return tuple(self.date_parameter)

    @property
    def next_date(self) -> BackfillDate | None:
        """The one that starts next, by the order that is wished now."""
        order = "due_at" if self.direction == Direction.OLDEST else "-due_at"
        return self.dates.waiting().order_by(order).first()


class BackfillDate(models.Model):
    """One due time of a backfill: it is run at most once at a time, and its newest run is its own."""

    backfill = models.ForeignKey(Backfill, models.CASCADE, related_name="dates")
    due_at = models.DateTimeField()
    status = models.CharField(max_length=20, choices=DateStatus, default=DateStatus.WAITING)
    run = models.ForeignKey(Run, models.SET_NULL, null=True, blank=True, related_name="backfill_dates")
    attempt = models.PositiveIntegerField(default=1)
    reason = models.CharField(max_length=500, blank=True)

    objects = BackfillDateQuerySet.as_manager()

    class Meta:
        ordering = ["backfill", "due_at"]
        verbose_name = "date of a backfill"
        verbose_name_plural = "dates of backfills"
        constraints = [models.UniqueConstraint(fields=["backfill", "due_at"], name="backfill_date_once")]
        indexes = [
            models.Index(fields=["backfill", "status", "due_at"], name="backfill_date_by_status"),
            models.Index(fields=["run"], condition=models.Q(status="running"), name="backfill_date_running"),
        ]

    def __str__(self) -> str:
        return f"{self.due_at:%Y-%m-%d %H:%M} UTC of {self.backfill}"
