from __future__ import annotations

from django.db import models

from jobs.models.run import Run


class Loan(models.Model):
    """Files in the store of an earlier run that this run reads where they lie."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="loans")
    place = models.CharField(max_length=600, db_index=True, help_text="The store that has them.")
    files = models.JSONField(help_text="Their names.")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["run", "place"], name="loan_once_in_run")]

    def __str__(self) -> str:
        return f"{len(self.files)} files in {self.place}"
