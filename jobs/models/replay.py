from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Coalesce
from django.urls import reverse

from jobs.errors import IllegalMove, LeaseLost
from jobs.models.act import recorded
from jobs.models.request_record import RequestRecord
from jobs.models.run import Run
from jobs.states import ReplayStatus, ResendStatus


class ReplayQuerySet(models.QuerySet["Replay"]):
    def unheard(self, at: datetime, patience: timedelta) -> ReplayQuerySet:
        """Those that a worker should have: never told or long ago, waiting no more, or their worker is lost."""
        queued = models.Q(status=ReplayStatus.QUEUED) & (models.Q(eligible_at=None) | models.Q(eligible_at__lte=at))
        lost = models.Q(status=ReplayStatus.RUNNING, lease_expires_at__lt=at)
        told = models.Q(sent_at__gte=at - patience)
        return self.filter(queued | lost).exclude(told)


class Replay(models.Model):
    """Failed requests that somebody asked to send again, one after the other, under their quota."""

    records = models.ManyToManyField(RequestRecord, through="Resend", related_name="replays")
    status = models.CharField(max_length=20, choices=ReplayStatus, default=ReplayStatus.QUEUED)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    requested_by_name = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0, help_text="Sent with an answer of status 2xx or 3xx.")
    failed = models.PositiveIntegerField(default=0)
    queue = models.CharField(max_length=80)
    task_id = models.UUIDField(default=uuid.uuid4, editable=False, help_text="The id of its Celery tasks.")
    worker_name = models.CharField(max_length=200, blank=True)
    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    eligible_at = models.DateTimeField(null=True, blank=True)
    wait_reason = models.CharField(max_length=300, blank=True)

    objects = ReplayQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(finished_at__isnull=True, status__in=["queued", "running"])
                | models.Q(finished_at__isnull=False, status__in=["finished", "cancelled"]),
                name="replay_final_has_finished_at",
            )
        ]
        indexes = [
            models.Index(fields=["id"], condition=models.Q(status__in=["queued", "running"]), name="replay_live"),
        ]

    def __str__(self) -> str:
        return f"replay #{self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("replay", args=[self.pk])

    @property
    def is_final(self) -> bool:
        return self.finished_at is not None

    @property
    def look(self) -> str:
        """The status that it looks like: finished is green only when every request got its answer."""
        if self.status != ReplayStatus.FINISHED or not self.failed:
            return self.status
        return "cancelled" if self.done else "failed"

    @property
    def left(self) -> int:
        """How many of its requests have had no turn."""
        return max(0, self.total - self.done - self.failed)

    def claim(self, *, at: datetime, worker_name: str, lease: timedelta) -> uuid.UUID:
        """Take it for this worker; IllegalMove when another has it, it has ended, or has to wait."""
        token = uuid.uuid4()
        free = models.Q(status=ReplayStatus.QUEUED) & (models.Q(eligible_at=None) | models.Q(eligible_at__lte=at))
        lost = models.Q(status=ReplayStatus.RUNNING, lease_expires_at__lt=at)
        mine = Replay.objects.filter(free | lost, pk=self.pk).update(
            status=ReplayStatus.RUNNING,
            lease_token=token,
            lease_expires_at=at + lease,
            worker_name=worker_name,
            started_at=Coalesce("started_at", models.Value(at)),
            eligible_at=None,
            wait_reason="",
        )
        if not mine:
            self.refresh_from_db(fields=["status"])
            raise IllegalMove("replay", self.status, "running here")
        return token

    def hold(self, token: uuid.UUID, **facts: object) -> None:
        """Write facts as the holder of this lease; LeaseLost when it is another's by now or was cancelled."""
        held = Replay.objects.filter(pk=self.pk, status=ReplayStatus.RUNNING, lease_token=token)
        if not held.update(**facts):
            raise LeaseLost(f"The {self} now belongs to another worker, or was cancelled.")

    def cancel(self, *, at: datetime) -> None:
        """Send no more of it; IllegalMove when it has ended."""
        live = Replay.objects.filter(pk=self.pk, finished_at=None)
        with transaction.atomic(), recorded("cancelled", self):
            if not live.update(status=ReplayStatus.CANCELLED, finished_at=at, lease_expires_at=None, wait_reason=""):
                self.refresh_from_db(fields=["status"])
                raise IllegalMove("replay", self.status, ReplayStatus.CANCELLED)
        self.refresh_from_db()


class Resend(models.Model):
    """One request's turn in a replay, and the answer that it got."""

    replay = models.ForeignKey(Replay, models.CASCADE, related_name="resends")
    record = models.ForeignKey(RequestRecord, models.CASCADE, related_name="resends")
    position = models.PositiveIntegerField()
    status = models.CharField(max_length=20, choices=ResendStatus, default=ResendStatus.WAITING)
    at = models.DateTimeField(null=True, blank=True)
    seconds = models.FloatField(default=0)
    status_code = models.PositiveIntegerField(default=0)
    headers = models.JSONField(default=dict)
    response = models.TextField(blank=True, help_text="The beginning of the answer, its secrets masked.")
    error = models.CharField(max_length=500, blank=True)
    sha256 = models.CharField(max_length=64, blank=True, help_text="The whole answer in the artifact store.")
    size_bytes = models.BigIntegerField(default=0)
    media_type = models.CharField(max_length=120, blank=True)
    grant = models.BigIntegerField(
        null=True,
        blank=True,
        editable=False,
        help_text="Its grant of a quota, or its place in the line.",
    )
    followed_by = models.ForeignKey(
        Run, models.SET_NULL, null=True, blank=True, related_name="+", help_text="The run that uses the answer."
    )

    class Meta:
        ordering = ["replay", "position"]
        constraints = [models.UniqueConstraint(fields=["replay", "record"], name="resend_once_in_replay")]

    def __str__(self) -> str:
        return f"{self.record} in {self.replay}"

    @property
    def store_key(self) -> str:
        """Where the whole answer is in the artifact store."""
        return f"{self.sha256[:2]}/{self.sha256[2:4]}/{self.sha256}"

    @property
    def file_name(self) -> str:
        ending = {"application/json": "json", "text/csv": "csv", "text/plain": "txt"}.get(self.media_type, "bin")
        return f"answer-{self.record_id}.{ending}"
