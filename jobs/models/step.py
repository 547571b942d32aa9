from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import models

from jobs.errors import IllegalMove, LeaseLost
from jobs.models.result import keep_result
from jobs.models.run import Run
from jobs.models.transition import Moving, final_has_finished_at
from jobs.states import Status


class StepQuerySet(models.QuerySet["Step"]):
    def live(self) -> StepQuerySet:
        """Those that have not ended. Whoever looks among all steps for some of them asks for these first.

        The index of `finished_at` finds the few among millions; SQLite has none that it could use for a status.
        """
        return self.filter(finished_at=None)

    def running(self) -> StepQuerySet:
        return self.live().filter(status=Status.RUNNING)

    def ready(self, at: datetime) -> StepQuerySet:
        """Queued steps that nothing holds back at this time."""
        rows = self.live().filter(status=Status.QUEUED, ready_at__isnull=False)
        return rows.filter(models.Q(eligible_at__isnull=True) | models.Q(eligible_at__lte=at))

    def in_turn(self, queue: str, at: datetime) -> StepQuerySet:
        """What waits in this queue, the next first: the more important, then what has been ready for longer."""
        rows = self.ready(at).filter(queue=queue, run__cancel_requested_at=None)
        return rows.order_by("priority", "ready_at", "position")

    def unheard(self, at: datetime, *, patience: timedelta) -> StepQuerySet:
        """Ready steps whose Celery message was sent long ago, before they could start, or never."""
        rows = self.ready(at)
        is_early = models.Q(sent_at__lt=models.F("eligible_at"))
        return rows.filter(models.Q(sent_at__isnull=True) | models.Q(sent_at__lt=at - patience) | is_early)

    def next_eligible_at(self, at: datetime) -> datetime | None:
        """When the first of those that may not start yet may."""
        rows = self.live().filter(status=Status.QUEUED, ready_at__isnull=False, eligible_at__gt=at)
        return rows.order_by("eligible_at").values_list("eligible_at", flat=True).first()

    def silent(self, at: datetime) -> StepQuerySet:
        """Running steps whose lease ran out: their worker is gone or cannot reach the database."""
        return self.running().filter(lease_expires_at__lt=at)

    def renew(self, tokens: Iterable[uuid.UUID], until: datetime) -> int:
        return self.filter(status=Status.RUNNING, lease_token__in=list(tokens)).update(lease_expires_at=until)

    def waiting_priorities(self) -> models.QuerySet[Step, int]:
        """The priorities of those of these that wait, the first to be taken first."""
        waiting = self.filter(status=Status.QUEUED).order_by("priority", "position")
        return waiting.values_list("priority", flat=True)

    def newest_attempts(self) -> StepQuerySet:
        """Of each position only the newest attempt; not of one whose nodes another step took over."""
        newer = Step.objects.filter(
            run=models.OuterRef("run"), position=models.OuterRef("position"), attempt__gt=models.OuterRef("attempt")
        )
        return self.filter(~models.Exists(newer), merged_into=None)


class Step(Moving):
    """The nodes of a run that one worker executes in one process; each attempt is a row of its own."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="steps")
    position = models.PositiveIntegerField(default=0)
    attempt = models.PositiveIntegerField(default=1)
    nodes = models.JSONField(default=list, blank=True, help_text="Node names; empty: all nodes of the run.")
    needs = models.JSONField(default=list, blank=True, help_text="Positions of the steps that have to succeed first.")
    merged_into = models.PositiveIntegerField(
        null=True, blank=True, help_text="The position of the step that its nodes were given to."
    )
    task_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False, help_text="The Celery task's id.")
    queue = models.CharField(max_length=80)
    priority = models.PositiveSmallIntegerField(default=5)

    ready_at = models.DateTimeField(null=True, blank=True, help_text="Empty: waits for other steps of its run.")
    eligible_at = models.DateTimeField(null=True, blank=True)
    wait_reason = models.CharField(max_length=300, blank=True, help_text="Why it may not start before `eligible_at`.")
    sent_at = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True, unique=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    worker_name = models.CharField(max_length=200, blank=True)

    mode = models.CharField(max_length=20, blank=True, help_text="fork, standby or cold: how its process was made.")
    revision = models.CharField(max_length=80, blank=True, help_text="The code that it ran; empty: it never began.")
    packages = models.CharField(max_length=16, blank=True, help_text="A digest of the packages that were installed.")
    pid = models.PositiveIntegerField(null=True, blank=True)
    exit_code = models.IntegerField(null=True, blank=True)
    exit_signal = models.IntegerField(null=True, blank=True)
    peak_memory_bytes = models.BigIntegerField(default=0)
    error = models.TextField(blank=True)
    stops = models.JSONField(
        null=True,
        blank=True,
        editable=False,
        help_text="The stages of its stop: which, when, and when the next is due.",
    )
    log_sha256 = models.CharField(
        max_length=64, blank=True, editable=False, help_text="The file with the lines that rows do not hold."
    )
    has_lost_worker = models.BooleanField(default=False, help_text="Its worker was lost while it ran.")
    is_handed_back = models.BooleanField(
        default=False, help_text="Its worker was stopped on purpose: the next attempt is no retry."
    )

    objects = StepQuerySet.as_manager()

    class Meta:
        ordering = ["run", "position", "attempt"]
        constraints = [
            final_has_finished_at("step"),
            models.UniqueConstraint(fields=["run", "position", "attempt"], name="step_attempt_once"),
            models.CheckConstraint(
                condition=~models.Q(status=Status.RUNNING) | models.Q(lease_token__isnull=False),
                name="step_running_has_lease",
            ),
        ]
        indexes = [
            models.Index(
                fields=["status", "lease_expires_at"],
                condition=models.Q(status__in=["queued", "running"]),
                name="step_live",
            ),
            models.Index(fields=["finished_at"], name="step_by_finished"),
            models.Index(
                fields=["eligible_at"],
                condition=models.Q(status="queued", eligible_at__isnull=False),
                name="step_by_eligible",
            ),
        ]

    def __str__(self) -> str:
        return f"step {self.position} of run #{self.run_id}"

    def _history(self) -> dict[str, Any]:
        return {"run_id": self.run_id, "step": self}

    def begin(self, *, at: datetime, by: str, reason: str = "") -> None:
        self._begin(at, by, reason)

    def claim(self, *, at: datetime, worker_name: str, lease: timedelta, token: uuid.UUID | None = None) -> uuid.UUID:
        """queued → running under a new lease token; IllegalMove when another was faster or nothing is to be done."""
        token = token or uuid.uuid4()
        going = Run.objects.filter(pk=models.OuterRef("run"), cancel_requested_at__isnull=True)
        self._move(
            Status.RUNNING,
            at=at,
            by=worker_name,
            only=models.Q(models.Exists(going), ready_at__isnull=False),
            started_at=at,
            lease_token=token,
            lease_expires_at=at + lease,
            worker_name=worker_name,
        )
        return token

    def record(self, token: uuid.UUID, **facts: Any) -> None:
        """Write facts as the holder of this lease; LeaseLost when it is another's by now."""
        held = Step.objects.filter(pk=self.pk, status=Status.RUNNING, lease_token=token)
        if not held.update(**(facts or {"lease_token": token})):
            raise LeaseLost(f"The lease of {self} was given to another worker: this one was silent for too long.")

    def end(self, status: Status, token: uuid.UUID | None, *, at: datetime, by: str, **facts: Any) -> None:
        """Move to an end; with a token only as its holder (LeaseLost otherwise)."""
        only = models.Q(lease_token=token) if token else None
        try:
            self._move(status, at=at, by=by, only=only, reason=facts.get("error", ""), **facts)
        except IllegalMove as refusal:
            if token is None:
                raise
            raise LeaseLost(str(refusal)) from refusal

    def _has_moved(self) -> None:
        """Celery's result row comes with the end."""
        if not self.is_final:
            return
        keep_result(
            task_id=str(self.task_id),
            step_id=self.pk,
            worker_name=self.worker_name,
            started_at=self.started_at,
            status=Status(self.status),
            told={"run": self.run_id, "step": self.position, "attempt": self.attempt, "error": self.error},
        )
