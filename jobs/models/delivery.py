from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import models

from jobs.models.channel import Asker, Channel
from jobs.models.news import News
from jobs.models.subscription import Subscription
from jobs.states import DeliveryStatus

LEASE: Final = timedelta(minutes=2)
"""Longer than any attempt takes; so long nobody else tries."""


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self, at: datetime) -> DeliveryQuerySet:
        return self.filter(status=DeliveryStatus.WAITING, due_at__lte=at)

    def unheard(self, at: datetime, patience: timedelta) -> DeliveryQuerySet:
        """Those that are due and that no worker was told of, or long ago."""
        return self.due(at).filter(models.Q(told_at=None) | models.Q(told_at__lt=at - patience))

    def seen_by(self, asker: Asker) -> DeliveryQuerySet:
        """An admin sees all; others what was sent for them, or over their own channels."""
        if asker.is_keeper:
            return self.all()
        user = asker.user.pk or 0
        return self.filter(models.Q(subscription__owner=user) | models.Q(channel__owner=user))


class Delivery(models.Model):
    """News on its way over one channel: attempts, the last answer, the next try."""

    news = models.ForeignKey(News, models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="deliveries")
    subscription = models.ForeignKey(
        Subscription, models.SET_NULL, null=True, blank=True, related_name="deliveries", help_text="Whose words it has."
    )
    status = models.CharField(max_length=20, choices=DeliveryStatus, default=DeliveryStatus.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(help_text="When it may be tried (again).")
    told_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="When a worker was told.")
    sent_at = models.DateTimeField(null=True, blank=True)
    answer = models.CharField(max_length=500, blank=True, help_text="What the other side said last, or why not.")
    seconds = models.FloatField(default=0, help_text="How long the last attempt took.")
    subject = models.CharField(max_length=300, blank=True)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField()

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        constraints = [models.UniqueConstraint(fields=["news", "channel"], name="delivery_once_over_a_channel")]
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(status="waiting"), name="delivery_waiting"),
            models.Index(fields=["channel", "-id"], name="delivery_of_channel"),
        ]

    def __str__(self) -> str:
        return f"{self.news} over {self.channel}"

    @property
    def state(self) -> tuple[str, str]:
        """One word, and the status that it looks like."""
        if self.status == DeliveryStatus.SENT:
            return "sent", "succeeded"
        if self.status == DeliveryStatus.FAILED:
            return "given up", "failed"
        return ("trying", "cancelled") if self.attempts else ("waiting", "queued")

    def claim(self, at: datetime) -> bool:
        """Try it now; False when another does, it is not due, or it was sent."""
        mine = Delivery.objects.due(at).filter(pk=self.pk)
        if not mine.update(due_at=at + LEASE, attempts=models.F("attempts") + 1):
            return False
        self.refresh_from_db()
        return True
