from __future__ import annotations

from collections.abc import Sequence

from django.db import models

from jobs.models.run import Run
from jobs.models.step import Step
from jobs.states import NodeStatus


class NodeRun(models.Model):
    """One execution of one node inside a run; its attempts are the attempts of its steps."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="node_runs")
    step = models.ForeignKey(Step, models.SET_NULL, null=True, blank=True, related_name="node_runs")
    name = models.CharField(max_length=500)
    position = models.PositiveIntegerField(default=0, help_text="Its place in topological order.")
    status = models.CharField(max_length=20, choices=NodeStatus, default=NodeStatus.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    seconds = models.FloatField(null=True, blank=True)
    content_key = models.CharField(
        max_length=64, blank=True, help_text="A digest of all that its outputs follow from; empty: not known."
    )
    content = models.JSONField(null=True, blank=True, help_text="Digests of its code, packages, parameters and inputs.")
    taken_from = models.ForeignKey(
        Run,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        help_text="The run whose outputs it reuses.",
    )
    reason = models.CharField(max_length=300, blank=True, help_text="Why it was reused, or why it ran again.")
    error = models.TextField(blank=True)
    failure = models.JSONField(null=True, blank=True, help_text="A wire.Failure: exception, message, frames.")
    progress = models.JSONField(null=True, blank=True, help_text="The newest progress bar: label, done, total, unit.")

    class Meta:
        ordering = ["run", "position"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="node_once_in_run")]
        indexes = [
            models.Index(fields=["content_key", "-id"], condition=~models.Q(content_key=""), name="node_by_content"),
            models.Index(
                fields=["taken_from"], condition=models.Q(taken_from__isnull=False), name="node_that_was_taken"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, run: Run) -> list[NodeRun]:
        """In their order, asked for once: `run.node_runs.all()` gives the same from then on."""
        return cls.of_each([run])[0]

    @classmethod
    def of_each(cls, runs: Sequence[Run]) -> list[list[NodeRun]]:
        """Those of several runs, with one question."""
        models.prefetch_related_objects(runs, models.Prefetch("node_runs", cls.objects.order_by("position")))
        return [list(run.node_runs.all()) for run in runs]
