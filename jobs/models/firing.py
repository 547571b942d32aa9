from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import models

from jobs.errors import LeaseLost
from jobs.models.rule import Rule
from jobs.models.run import Run
from jobs.states import Decision
from jobs.stored import ParametersField


class FiringQuerySet(models.QuerySet["Firing"]):
    def newest(self) -> FiringQuerySet:
        return self.select_related("rule", "ended__pipeline__project", "started__pipeline__project").order_by("-id")

    def before(self, number: int | None) -> FiringQuerySet:
        """The page of older firings that follows this one."""
        return self.filter(id__lt=number) if number else self

    def deciding(self) -> FiringQuerySet:
        return self.filter(decision=Decision.DECIDING)

    def undecided(self, at: datetime) -> FiringQuerySet:
        """Those whose handler nobody is asking at this time."""
        free = models.Q(lease_expires_at__isnull=True) | models.Q(lease_expires_at__lt=at)
        return self.deciding().filter(free)

    def unheard(self, at: datetime, *, patience: timedelta) -> FiringQuerySet:
        """Those of which Celery was told long ago, or never."""
        unsent = models.Q(sent_at__isnull=True) | models.Q(sent_at__lt=at - patience)
        return self.undecided(at).filter(unsent)


class Firing(models.Model):
    """One time that a rule had what it waits for, and what came of it."""

    rule = models.ForeignKey(Rule, models.SET_NULL, null=True, related_name="firings")
    rule_name = models.CharField(max_length=120, help_text="Kept when the rule is deleted.")
    key = models.CharField(max_length=600, help_text="The occasion: a run, a chain of runs, or a tick.")
    generation = models.PositiveIntegerField(default=1, help_text="Which time it was on this occasion.")
    at = models.DateTimeField()
    ended = models.ForeignKey(
        Run,
        models.CASCADE,
        related_name="firings",
        help_text="The run whose end (or whose node's end) brought it about.",
    )
    node = models.CharField(max_length=500, blank=True)
    decision = models.CharField(max_length=20, choices=Decision)
    sentence = models.TextField(blank=True, help_text="Why.")
    parameters = ParametersField(default=dict, blank=True)
    is_side_job = models.BooleanField(default=False)
    started = models.ForeignKey(Run, models.SET_NULL, null=True, blank=True, related_name="begun_by")
    decided_at = models.DateTimeField(null=True, blank=True)

    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0, help_text="How often its handler was asked.")

    objects = FiringQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["rule", "key", "generation"], name="firing_once")]
        indexes = [
            models.Index(fields=["rule", "-id"], name="firing_of_rule"),
            models.Index(fields=["decision", "-id"], name="firing_by_decision"),
            models.Index(fields=["id"], condition=models.Q(decision="deciding"), name="firing_deciding"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_name} after run #{self.ended_id}"

    def claim(self, *, at: datetime, lease: timedelta) -> uuid.UUID | None:
        """A lease to ask the handler under; None when another has it or it is decided."""
        token = uuid.uuid4()
        free = Firing.objects.undecided(at).filter(pk=self.pk)
        tries = models.F("tries") + 1
        return token if free.update(lease_token=token, lease_expires_at=at + lease, tries=tries) else None

    def decide(self, decision: Decision, sentence: str, *, at: datetime, token: uuid.UUID | None = None) -> None:
        """Write what came of it, once; LeaseLost when another has decided or holds the lease."""
        rows = Firing.objects.deciding().filter(pk=self.pk)
        if token:
            rows = rows.filter(lease_token=token)
        facts = {"decision": decision, "sentence": sentence, "decided_at": at}
        facts |= {"parameters": self.parameters, "started_id": self.started_id}
        if not rows.update(**facts):
            raise LeaseLost(f"The firing of {self} was decided by another worker.")
        self.decision, self.sentence, self.decided_at = decision, sentence, at
