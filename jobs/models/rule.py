from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.urls import reverse

from jobs.models.pipeline import Pipeline
from jobs.models.run import Run
from jobs.states import Correlate, Occasion, Wants

HANDLER = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class RuleQuerySet(models.QuerySet["Rule"]):
    def of(self, pipeline_id: int) -> RuleQuerySet:
        """The rules that this pipeline is a source of, in the order in which they are locked and fire."""
        through = Rule.sources.through.objects.filter(pipeline_id=pipeline_id)
        return self.filter(pk__in=through.values("rule_id")).order_by("pk")

    def at_nodes(self, pipeline_id: int, nodes: Iterable[str]) -> RuleQuerySet:
        return self.of(pipeline_id).filter(node__in=list(nodes))

    def locked(self) -> RuleQuerySet:
        """Of two sources that end at once the second sees the first; SQLite has one writer anyway."""
        return self.select_for_update(of=("self",), no_key=True)


class Rule(models.Model):
    """When these pipelines end like this, start that one with these parameters."""

    EDITED: ClassVar = (
        "name", "is_enabled", "sources", "wants", "outcome", "node", "correlate", "condition", "mapping",
        "handler", "target", "selection", "is_side_job", "max_iterations", "max_per_hour",
    )  # fmt: skip

    name = models.CharField(max_length=120, unique=True)
    is_enabled = models.BooleanField(
        "enabled", default=True, help_text="A rule that is off still writes down what it would have answered to."
    )
    sources: models.ManyToManyField[Pipeline, Any] = models.ManyToManyField(
        Pipeline, related_name="rules_out", help_text="The pipelines whose end it waits for."
    )
    wants = models.CharField(max_length=10, choices=Wants, default=Wants.ANY, help_text="Which of them have to end.")
    outcome = models.CharField("when it", max_length=20, choices=Occasion, default=Occasion.SUCCEEDED)
    node = models.CharField(
        max_length=500, blank=True, help_text="For a side job: at the end of this node, not of the run."
    )
    correlate = models.CharField(
        "belong together by",
        max_length=10,
        choices=Correlate,
        default=Correlate.ROOT,
        help_text="Which runs of all sources count as one occasion.",
    )
    condition = models.TextField(blank=True, help_text="JMESPath that is true or false; empty: always.")
    mapping = models.JSONField(
        default=dict, blank=True, help_text="Parameter of the started pipeline → JMESPath that computes it."
    )
    handler = models.CharField(
        max_length=300,
        blank=True,
        validators=[RegexValidator(HANDLER, "Write package.module:function.")],
        help_text="package.module:function of the started pipeline's project, asked when the condition holds.",
    )
    target = models.ForeignKey(
        Pipeline,
        models.CASCADE,
        related_name="rules_in",
        verbose_name="starts",
        help_text="The pipeline that it starts.",
    )
    selection = models.JSONField(
        "choices",
        default=dict,
        blank=True,
        help_text='Of the started pipeline, in the words of `kedro run`, such as {"tags": ["daily"], "env": "prod"}.',
    )
    is_side_job = models.BooleanField(
        "side job", default=False, help_text="Shown beside the main run, and never changes what that one is."
    )
    max_iterations = models.PositiveIntegerField(
        "runs in a chain",
        default=1000,
        validators=[MinValueValidator(1)],
        help_text="So many may follow the first run of a chain; then it starts no more.",
    )
    max_per_hour = models.PositiveIntegerField(
        "starts in an hour", default=0, help_text="So many runs may it start in an hour; 0: as many as come."
    )
    created_at = models.DateTimeField()
    edited_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    edited_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")

    objects = RuleQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        permissions = [("test_rule", "Can test rules with past runs")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("rule", args=[self.pk])


class Arrival(models.Model):
    """A source's end that a rule has seen; it waits for the others, or a firing has used it up."""

    rule = models.ForeignKey(Rule, models.CASCADE, related_name="arrivals")
    run = models.ForeignKey(Run, models.CASCADE, related_name="arrivals")
    node = models.CharField(max_length=500, blank=True)
    key = models.CharField(max_length=600)
    at = models.DateTimeField()
    firing = models.ForeignKey("jobs.Firing", models.CASCADE, null=True, blank=True, related_name="arrivals")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["rule", "run", "node"], name="arrival_once")]
        indexes = [
            models.Index(fields=["rule", "key"], condition=models.Q(firing__isnull=True), name="arrival_that_waits")
        ]

    def __str__(self) -> str:
        return f"{self.node or 'the end'} of run #{self.run_id}"
