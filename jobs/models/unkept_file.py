from __future__ import annotations

from django.db import models

from jobs.models.run import Run


class UnkeptFile(models.Model):
    """A file or folder that a run left behind and that is not kept, or not all of it, and why."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="unkept_files")
    dataset = models.CharField(max_length=300)
    node = models.CharField(max_length=500, blank=True)
    name = models.CharField(max_length=255)
    path = models.TextField(help_text="Where it lies, or lay, on the worker's machine or elsewhere.")
    reason = models.TextField(help_text="One sentence, with what to do.")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["run", "dataset", "name"], name="unkept_file_once_in_run")]

    def __str__(self) -> str:
        return self.name
