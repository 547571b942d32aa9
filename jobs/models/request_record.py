from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import models
from django.urls import reverse

from jobs.errors import RequestError
from jobs.models.act import record
from jobs.models.run import Run
from jobs.models.step import Step
from jobs.states import RequestStatus
from kedro_console.wire import Json

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing at the other side: sent twice they do no harm."""


MOST_NAMED = 10
"""Requests that the record of an act names; the rest is counted."""


class RequestRecordQuerySet(models.QuerySet["RequestRecord"]):
    def open(self) -> RequestRecordQuerySet:
        """What the inbox holds: failed, and nobody has done anything about it."""
        return self.filter(status=RequestStatus.OPEN)

    def newest(self) -> RequestRecordQuerySet:
        return self.select_related("run__pipeline__project", "step").order_by("-id")

    def like(self, record: RequestRecord) -> RequestRecordQuerySet:
        """The open ones to the same host that failed for the same reason."""
        return self.open().filter(host=record.host, reason=record.reason)

    def dismiss(self, *, at: datetime, by: str, why: str) -> int:
        """Take the open ones of these out of the inbox; how many."""
        numbers = list(self.open().values_list("pk", flat=True)[: MOST_NAMED + 1])
        count = self.open().update(
            status=RequestStatus.DISMISSED, settled_at=at, settled_by=by[:150], settled_why=why[:500]
        )
        named = ", ".join(f"#{number}" for number in numbers[:MOST_NAMED])
        more = f" and {count - MOST_NAMED} more" if count > MOST_NAMED else ""
        if count:
            record("dismissed", f"{named}{more}", kind="request", after={"requests": count}, why=why)
        return count


class RequestRecord(models.Model):
    """A failed HTTP request of a node, kept whole; what was secret in it stands as `***fingerprint***`."""

    call = models.UUIDField(unique=True, editable=False)
    run = models.ForeignKey(Run, models.CASCADE, related_name="requests")
    step = models.ForeignKey(Step, models.CASCADE, related_name="requests")
    node = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField(help_text="When it was first sent.")
    last_at = models.DateTimeField(help_text="When its last attempt was sent.")
    library = models.CharField(max_length=20)
    method = models.CharField(max_length=20)
    url = models.TextField()
    host = models.CharField(max_length=255)
    headers = models.JSONField(default=dict)
    body = models.TextField(blank=True)
    is_body_whole = models.BooleanField(default=True)
    is_signed = models.BooleanField(default=False, help_text="Signed for AWS: cannot be sent again as it was.")
    status_code = models.PositiveIntegerField(default=0, help_text="0: there was no answer.")
    reason = models.CharField(max_length=120, help_text="The status or the exception, short: what the inbox groups by.")
    exception = models.CharField(max_length=300, blank=True)
    message = models.TextField(blank=True)
    response_headers = models.JSONField(default=dict)
    response = models.TextField(blank=True)
    is_response_whole = models.BooleanField(default=True)
    seconds = models.FloatField(default=0)
    attempts = models.JSONField(default=list, help_text="at, seconds, status and error of each.")
    quota = models.CharField(max_length=80, blank=True, help_text="The quota whose grant it used.")
    quota_rows = models.PositiveIntegerField(default=0, help_text="The rows that it took of the quota.")

    status = models.CharField(max_length=20, choices=RequestStatus, default=RequestStatus.OPEN)
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.CharField(max_length=150, blank=True)
    settled_why = models.CharField(max_length=500, blank=True)

    objects = RequestRecordQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["run", "id"], name="request_of_run"),
            models.Index(fields=["host", "reason", "id"], condition=models.Q(status="open"), name="request_open"),
            models.Index(fields=["last_at"], name="request_by_last_at"),
        ]
        permissions = [
            ("replay_requestrecord", "Can replay failed requests"),
            ("dismiss_requestrecord", "Can dismiss failed requests"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.url[:120]}"

    def get_absolute_url(self) -> str:
        return reverse("request", args=[self.pk])

    @property
    def is_open(self) -> bool:
        return self.status == RequestStatus.OPEN

    @property
    def why_no_replay(self) -> str:
        """Why it cannot be sent again, as a sentence; "" when it can."""
        if self.is_signed:
            return "It was signed for AWS when it was sent: run its node again instead."
        if not self.is_body_whole:
            return "Its body was too large, or a stream, and is not kept whole: run its node again instead."
        return ""

    @property
    def may_be_sent_twice(self) -> bool:
        return self.method.upper() in SAFE

    def dismiss(self, *, at: datetime, by: str, why: str) -> None:
        """Take it out of the inbox; RequestError when it is not in it any more."""
        if not RequestRecord.objects.filter(pk=self.pk).dismiss(at=at, by=by, why=why):
            raise RequestError("This request is no longer in the inbox: somebody else has dealt with it.")
        self.refresh_from_db(fields=["status", "settled_at", "settled_by", "settled_why"])

    def as_sent(self) -> dict[str, Json]:
        """What is needed to send it again."""
        return {"method": self.method, "url": self.url, "headers": self.headers, "body": self.body}


class RequestCount(models.Model):
    """How many requests a node of a step made to a host with this outcome."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="request_counts")
    step = models.ForeignKey(Step, models.CASCADE, related_name="+")
    node = models.CharField(max_length=500, blank=True)
    host = models.CharField(max_length=255)
    status_code = models.PositiveIntegerField(help_text="0: there was no answer.")
    count = models.PositiveBigIntegerField(default=0)
    seconds = models.FloatField(default=0, help_text="Of all of them together.")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["step", "node", "host", "status_code"], name="request_count_once"),
        ]

    def __str__(self) -> str:
        return f"{self.count} × {self.host} {self.status_code or 'no answer'}"
