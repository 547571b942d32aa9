from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.urls import reverse

from jobs.encryption import EncryptedJSONField
from jobs.states import ChannelKind

LOST_AFTER: Final = 3
"""After how many failed attempts in a row people hear that the channel does not work."""


@dataclass(frozen=True)
class Asker:
    """Who asks, and what of channels that is allowed to: a token may be allowed less than its owner."""

    user: User | AnonymousUser
    is_keeper: bool = False
    """May make and change any channel, and see all that was sent."""
    may_share: bool = False
    """May be told over shared channels."""

    @classmethod
    def of(cls, user: User | AnonymousUser) -> Asker:
        return cls(user, user.has_perm("jobs.change_channel"), user.has_perm("jobs.use_channel"))


class ChannelQuerySet(models.QuerySet["Channel"]):
    def usable_by(self, asker: Asker) -> ChannelQuerySet:
        """Those that may be named in a subscription: one's own, and with the permission the shared ones."""
        mine = models.Q(owner=asker.user.pk or 0)
        return self.filter(mine | models.Q(owner=None) if asker.may_share else mine)

    def seen_by(self, asker: Asker) -> ChannelQuerySet:
        """Those that are shown; their addresses never are."""
        return self.all() if asker.is_keeper else self.usable_by(asker)


class Channel(models.Model):
    """A way to reach people outside of the console."""

    EDITED: ClassVar = ("name", "kind", "address", "owner", "is_enabled")

    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=20, choices=ChannelKind)
    address = EncryptedJSONField(help_text="Never shown whole.")
    secret = EncryptedJSONField(blank=True, default="", help_text="Signs what a webhook is sent.")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="channels",
        help_text="Empty: shared, for all whose role may use it.",
    )
    is_enabled = models.BooleanField("on", default=True)
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="Attempts in a row that failed.")
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    last_sent_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_error = models.CharField(max_length=500, blank=True, editable=False)
    created_at = models.DateTimeField()

    objects = ChannelQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="channel_once_of_owner"),
            models.UniqueConstraint(fields=["name"], condition=models.Q(owner=None), name="channel_once_shared"),
        ]
        permissions = [("use_channel", "Can be told over shared channels")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("channel", args=[self.pk])

    @property
    def state(self) -> str:
        """One word: off, failing, trying (it failed lately), working, unused."""
        if not self.is_enabled:
            return "off"
        if self.failing_since:
            return "failing"
        if self.failures:
            return "trying"
        return "working" if self.last_sent_at else "unused"

    @property
    def look(self) -> str:
        """The status that its state looks like."""
        return {"working": "succeeded", "failing": "failed", "trying": "cancelled"}.get(self.state, "queued")

    @property
    def hint(self) -> str:
        """As much of the address as tells it from others."""
        return hint_of(self.kind, self.address)

    def note_sent(self, at: datetime) -> bool:
        """It took something; whether it had been failing until now."""
        was_failing = bool(Channel.objects.filter(pk=self.pk, failing_since__isnull=False).update(failing_since=None))
        Channel.objects.filter(pk=self.pk).update(failures=0, last_error="", last_sent_at=at)
        return was_failing

    def note_failure(self, why: str, at: datetime) -> bool:
        """It did not take something; whether it counts as failing from now on."""
        mine = Channel.objects.filter(pk=self.pk)
        mine.update(failures=models.F("failures") + 1, last_error=why)
        lost = mine.filter(failing_since=None, failures__gte=LOST_AFTER)
        return bool(lost.update(failing_since=at))


def hint_of(kind: str, address: object) -> str:
    """`o…@example.org`, `https://hooks.example.org/…`, `slack://…`."""
    text = str(address or "")
    if kind == ChannelKind.MAIL:
        name, _, domain = text.rpartition("@")
        return f"{name[:1]}…@{domain}"
    if kind == ChannelKind.SERVICE:
        return f"{text.partition('://')[0][:20]}://…"
    parts = urlsplit(text)
    return f"{parts.scheme}://{parts.hostname or ''}/…"
