from __future__ import annotations

from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import models
from django.urls import reverse

from jobs.models.pipeline import Pipeline
from jobs.models.run import Run
from jobs.states import NewsKind

BAD: Final = frozenset(
    {NewsKind.FAILING, NewsKind.STILL_FAILING, NewsKind.MISSED, NewsKind.WORKER, NewsKind.CHANNEL, NewsKind.LITTLE}
)
ENDING: Final = (
    NewsKind.FAILING,
    NewsKind.SLOW,
    NewsKind.LITTLE,
    NewsKind.MISSED,
    NewsKind.QUOTA,
    NewsKind.WAITING,
    NewsKind.WORKER,
    NewsKind.CHANNEL,
)
"""Kinds that go on until they are over; what is of another kind happened once."""
GOOD: Final = frozenset({NewsKind.RECOVERED, NewsKind.FILE, NewsKind.TEST})


class News(models.Model):
    """Something worth telling, told once: as long as it goes on, it is the same news."""

    kind = models.CharField(max_length=20, choices=NewsKind)
    key = models.CharField(max_length=300, help_text="What it is about: open news have it once.")
    title = models.CharField(max_length=300)
    facts = models.JSONField(default=dict)
    pipeline = models.ForeignKey(Pipeline, models.CASCADE, null=True, blank=True, related_name="+")
    run = models.ForeignKey(Run, models.SET_NULL, null=True, blank=True, related_name="+")
    path = models.CharField(max_length=300, blank=True, help_text="The page that shows more; empty: its run's.")
    at = models.DateTimeField()
    last_at = models.DateTimeField()
    times = models.PositiveIntegerField(default=1, help_text="How often it was seen while it went on.")
    ended_at = models.DateTimeField(null=True, blank=True, help_text="Empty: it goes on, or never ends.")

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "news"
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=models.Q(ended_at=None), name="news_once_while_it_goes_on"
            )
        ]
        indexes = [
            models.Index(fields=["kind"], condition=models.Q(ended_at=None), name="news_that_goes_on"),
            models.Index(fields=["last_at"], name="news_by_time"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def place(self) -> str:
        """The path of the page that shows more; the notifications' own when there is none."""
        if self.path:
            return self.path
        return reverse("run", args=[self.run_id]) if self.run_id else reverse("notifications")

    @property
    def tone(self) -> str:
        """The status that it looks like."""
        return "failed" if self.kind in BAD else "succeeded" if self.kind in GOOD else "cancelled"


class NoticeQuerySet(models.QuerySet["Notice"]):
    def unread(self, user_id: int) -> NoticeQuerySet:
        return self.filter(user=user_id, read_at=None)

    def read(self, user_id: int, at: datetime, up_to: int | None = None) -> int:
        """All of this person's are read now (up to notice `up_to`); how many were not."""
        rows = self.unread(user_id)
        return (rows.filter(pk__lte=up_to) if up_to else rows).update(read_at=at)


class Notice(models.Model):
    """News under somebody's bell."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="notices")
    news = models.ForeignKey(News, models.CASCADE, related_name="notices")
    at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["user", "news"], name="notice_once")]
        indexes = [
            models.Index(fields=["user", "-id"], name="notice_of_user"),
            models.Index(fields=["user"], condition=models.Q(read_at=None), name="notice_unread"),
        ]

    def __str__(self) -> str:
        return f"{self.news} for {self.user}"
