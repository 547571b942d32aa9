from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models

HEARD_LATELY = timedelta(seconds=60)


class BeatQuerySet(models.QuerySet["Beat"]):
    def alive(self, at: datetime) -> BeatQuerySet:
        return self.filter(heard_at__gte=at - HEARD_LATELY)

    def hear(self, origin: str, at: datetime) -> None:
        """Note that this beat lives, and forget those that have been silent for a day."""
        facts = {"heard_at": at}
        self.update_or_create(origin=origin[:200], defaults=facts, create_defaults={**facts, "since": at})
        self.filter(heard_at__lt=at - timedelta(days=1)).delete()


class Beat(models.Model):
    """A process of Celery beat that decides due times, or would if the one that does fell silent."""

    origin = models.CharField(max_length=200, unique=True, help_text="Process and host.")
    since = models.DateTimeField()
    heard_at = models.DateTimeField()

    objects = BeatQuerySet.as_manager()

    class Meta:
        ordering = ["origin"]

    def __str__(self) -> str:
        return self.origin
