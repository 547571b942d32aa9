from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

from jobs.models.channel import Channel
from jobs.models.pipeline import Pipeline
from jobs.models.project import Project
from jobs.states import NewsKind

USUAL_KINDS: Final = (NewsKind.FAILING, NewsKind.RECOVERED, NewsKind.MISSED)
"""What somebody hears of who says no more than that they want to be told."""
OPEN_TO_ALL: Final = tuple(kind for kind in NewsKind if kind not in (NewsKind.CHANNEL, NewsKind.TEST))
LOOKED_FOR: Final = frozenset(
    {NewsKind.LATE, NewsKind.SLOW, NewsKind.MISSED, NewsKind.QUOTA, NewsKind.WAITING, NewsKind.WORKER}
)
"""Kinds that no end of a run brings: somebody has to look."""
ANY_DAY: Final = "1234567"


def _own_zone() -> str:
    return str(settings.TIME_ZONE)


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def listening(self) -> SubscriptionQuerySet:
        return self.filter(is_enabled=True, owner__is_active=True)

    def about(self, pipeline: Pipeline) -> SubscriptionQuerySet:
        """Those that this pipeline concerns: its own, its project's, and those about everything."""
        everything = models.Q(pipeline=None, project=None)
        mine = models.Q(pipeline=pipeline.pk) | models.Q(project=pipeline.project_id)
        return self.listening().filter(everything | mine)

    def looked_for(self) -> SubscriptionQuerySet:
        return self.listening().filter(is_looked_for=True)


class Subscription(models.Model):
    """What somebody wants to be told of, and over which channels beside the bell."""

    EDITED: ClassVar = (
        "project", "pipeline", "kinds", "channels", "is_enabled", "file_name", "every", "expected_by",
        "expected_days", "waits_seconds", "zone", "quiet_from", "quiet_until", "subject", "body",
    )  # fmt: skip

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="subscriptions")
    project = models.ForeignKey(Project, models.CASCADE, null=True, blank=True, related_name="subscriptions")
    pipeline = models.ForeignKey(Pipeline, models.CASCADE, null=True, blank=True, related_name="subscriptions")
    kinds = models.JSONField(default=list)
    channels = models.ManyToManyField(Channel, blank=True, related_name="subscriptions")
    is_enabled = models.BooleanField("on", default=True)
    is_looked_for = models.BooleanField(default=False, editable=False)

    file_name = models.CharField(
        "file",
        max_length=255,
        blank=True,
        help_text="Its name; * stands for any text, as in report-*.pptx.",
    )
    every = models.PositiveIntegerField(
        "again after",
        default=10,
        validators=[MinValueValidator(2), MaxValueValidator(10_000)],
        help_text="Tell again after so many failures in a row.",
    )
    expected_by = models.TimeField("expected by", null=True, blank=True, help_text="HH:MM, in the time zone below.")
    expected_days = models.CharField(
        max_length=7, default=ANY_DAY, blank=True, help_text="On which days it is expected: 1 is Monday, 7 is Sunday."
    )
    waits_seconds = models.PositiveIntegerField(
        "waits longer than",
        default=900,
        validators=[MinValueValidator(10), MaxValueValidator(30 * 86400)],
        help_text="Seconds in the queue.",
    )
    zone = models.CharField("time zone", max_length=64, default=_own_zone)
    quiet_from = models.TimeField(
        "quiet from", null=True, blank=True, help_text="What happens then waits for the end of the quiet hours."
    )
    quiet_until = models.TimeField("quiet until", null=True, blank=True)
    muted_until = models.DateTimeField(null=True, blank=True, help_text="Until then nothing is told, not even here.")
    subject = models.CharField(max_length=200, blank=True, help_text="Empty: the console's own.")
    body = models.TextField(max_length=4000, blank=True, help_text="Empty: the console's own.")
    created_at = models.DateTimeField()

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(project=None) | models.Q(pipeline=None), name="subscription_about_one_thing"
            )
        ]
        indexes = [models.Index(fields=["id"], condition=models.Q(is_looked_for=True), name="subscription_looked_for")]

    def __str__(self) -> str:
        return f"{self.about}: {self.in_words}"

    def get_absolute_url(self) -> str:
        return reverse("subscription", args=[self.pk])

    @property
    def about(self) -> str:
        """What it is about, by name."""
        return str(self.pipeline or self.project or "everything")

    @property
    def in_words(self) -> str:
        """The kinds of news, as people call them."""
        return ", ".join(NewsKind(kind).label for kind in self.kinds if kind in NewsKind.values)

    @property
    def over(self) -> str:
        """The channels beside the bell, by name."""
        return ", ".join(channel.name for channel in self.channels.all())

    def concerns(self, pipeline: Pipeline | None) -> bool:
        """Whether news of this pipeline (None: of none) are for it."""
        if self.pipeline_id:
            return pipeline is not None and pipeline.pk == self.pipeline_id
        if self.project_id:
            return pipeline is not None and pipeline.project_id == self.project_id
        return True

    def is_muted(self, at: datetime) -> bool:
        return self.muted_until is not None and at < self.muted_until

    def speaks_at(self, at: datetime) -> datetime:
        """`at`, or the end of the quiet hours that `at` is in."""
        if self.quiet_from is None or self.quiet_until is None or self.quiet_from == self.quiet_until:
            return at
        zone = ZoneInfo(self.zone)
        here = at.astimezone(zone)
        if not _is_between(here.time(), self.quiet_from, self.quiet_until):
            return at
        end = datetime.combine(here.date(), self.quiet_until, zone)
        return (end if end > here else end + timedelta(days=1)).astimezone(UTC)


def _is_between(moment: time, begin: time, end: time) -> bool:
    """Whether a time of the day is in this span, which may go over midnight."""
    return begin <= moment < end if begin < end else moment >= begin or moment < end


def wanting(kind: NewsKind, subscriptions: Iterable[Subscription]) -> list[Subscription]:
    return [each for each in subscriptions if kind in each.kinds]
