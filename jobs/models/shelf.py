from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

from django.conf import settings
from django.db import models

from jobs.models.artifact import Artifact
from jobs.models.pipeline import Pipeline

DATED: Final = re.compile(
    r"(?<!\d)(?:19|20)\d\d([-_.]?)(?:0[1-9]|1[0-2])(?:\1(?:0[1-9]|[12]\d|3[01]))?"  # 2026-11-28, 20261128, 2026_11
    r"(?:[-_T. ]?(?:[01]\d|2[0-3])[-_.:h]?[0-5]\d(?:[-_.:]?[0-5]\d)?(?:[.]\d+)?Z?)?(?!\d)"  # … 06.00, T060000Z
)


def series_of(name: str) -> str:
    """What files of one kind have in common whose names say their day: `sales 2026-11-28.xlsx` is `sales *.xlsx`."""
    return DATED.sub("*", name)


DATA: Final = frozenset({".csv", ".tsv", ".parquet", ".json", ".jsonl", ".feather", ".pkl", ".pickle", ".h5", ".txt"})


def is_data(name: str) -> bool:
    """Whether files of this kind are mostly handed from node to node; decks, pictures and archives are for people."""
    return Shelf.suffix_of(name) in DATA


class ShelfQuerySet(models.QuerySet["Shelf"]):
    def known(self) -> ShelfQuerySet:
        """Those that have a file, with all that a card says, the newest file first."""
        return self.filter(newest__isnull=False).select_related("newest__run__pipeline__project").order_by("-newest_id")

    def with_pin(self, user_id: int | None) -> ShelfQuerySet:
        """Each knows as `is_pinned` whether this person wants it first."""
        return self.annotate(is_pinned=models.Exists(Pin.objects.filter(user=user_id, shelf=models.OuterRef("pk"))))

    def of(self, artifact: Artifact) -> Shelf | None:
        """Where this file stands; None when no run that left it has succeeded."""
        both = {artifact.name, series_of(artifact.name)}
        rows = self.filter(pipeline_id=artifact.run.pipeline_id, series__in=both)
        return rows.select_related("newest__run__pipeline__project", "previous").order_by("-newest_id").first()


class Shelf(models.Model):
    """A file that a pipeline makes again and again: its newest good one, and the one before."""

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="shelves")
    series = models.CharField(max_length=255, help_text="The file's name; an asterisk where a date was in it.")
    suffix = models.CharField(max_length=40, blank=True)
    newest = models.ForeignKey(Artifact, models.SET_NULL, null=True, related_name="+")
    previous = models.ForeignKey(Artifact, models.SET_NULL, null=True, related_name="+")
    is_deliverable = models.BooleanField(
        default=True, db_default=True, help_text="For people; else data with which a node of the pipeline goes on."
    )

    objects = ShelfQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "shelves"
        ordering = ["-newest"]
        constraints = [models.UniqueConstraint(fields=["pipeline", "series"], name="one_shelf_of_a_series")]
        indexes = [models.Index(fields=["suffix", "-newest"], name="shelf_by_suffix")]

    def __str__(self) -> str:
        return self.series

    @staticmethod
    def suffix_of(name: str) -> str:
        return PurePosixPath(name.lower()).suffix[:40]


class Pin(models.Model):
    """Somebody wants this shelf first."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="pins")
    shelf = models.ForeignKey(Shelf, models.CASCADE, related_name="pins")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "shelf"], name="pinned_once")]

    def __str__(self) -> str:
        return f"{self.shelf}, pinned"
