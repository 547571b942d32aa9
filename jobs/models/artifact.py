from __future__ import annotations

import uuid
from functools import cached_property

from django.db import models
from django.urls import reverse

from jobs.models.run import Run
from jobs.models.upload import Upload


class Artifact(models.Model):
    """A file that a run left behind and we keep, immutable, by checksum."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    run = models.ForeignKey(Run, models.CASCADE, related_name="artifacts")
    dataset = models.CharField(max_length=300)
    node = models.CharField(max_length=500, blank=True)
    name = models.CharField(max_length=255, help_text="The file name that people see.")
    media_type = models.CharField(max_length=120)
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    rows = models.BigIntegerField(null=True, blank=True)
    columns = models.PositiveIntegerField(null=True, blank=True)
    parts = models.PositiveIntegerField(
        null=True, blank=True, help_text="How many tables it holds, such as the sheets of a workbook."
    )
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["run", "dataset", "name"], name="artifact_once_in_run")]
        indexes = [
            models.Index(fields=["name", "-id"], name="artifact_by_name"),
            models.Index(fields=["run", "sha256"], name="artifact_by_sum"),
        ]
        permissions = [("download_artifact", "Can download artifacts")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("artifact_download", args=[self.uuid])

    @property
    def is_workbook(self) -> bool:
        return self.name.lower().endswith((".xlsx", ".xlsm", ".xls", ".ods"))

    @cached_property
    def upload(self) -> Upload | None:
        """Set while the store does not have it yet."""
        return Upload.objects.filter(sha256=self.sha256).first()

    @property
    def store_key(self) -> str:
        """Where its bytes are in the artifact store: by checksum, so that equal files are kept once."""
        return f"{self.sha256[:2]}/{self.sha256[2:4]}/{self.sha256}"
