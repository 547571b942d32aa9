from __future__ import annotations

import hashlib
import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from jobs.models.artifact import Artifact
from jobs.models.shelf import Shelf


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class ShareQuerySet(models.QuerySet["Share"]):
    def known(self) -> ShareQuerySet:
        return self.select_related("artifact__run__pipeline", "shelf__newest__run__pipeline", "made_by").order_by("-id")

    def called(self, token: str) -> Share | None:
        """The link with this token, also when it is over."""
        return self.known().filter(digest=digest_of(token)).first()

    def open(self, at: datetime) -> ShareQuerySet:
        """Those that still lead somewhere."""
        return self.filter(revoked_at=None, until__gt=at)

    def of(self, artifact: Artifact, shelf: Shelf | None) -> ShareQuerySet:
        """Those that lead to this file, by itself or as the newest of its shelf."""
        return self.known().filter(Q(artifact=artifact) | (Q(shelf=shelf) if shelf else Q(pk__in=[])))


class Share(models.Model):
    """A link that leads to a file, or always to the newest of its shelf, until a moment."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False, help_text="Of the token in its address.")
    artifact = models.ForeignKey(Artifact, models.CASCADE, null=True, blank=True, related_name="shares")
    shelf = models.ForeignKey(Shelf, models.CASCADE, null=True, blank=True, related_name="shares")
    needs_login = models.BooleanField(default=False, help_text="Only for people who can log in here.")
    password = models.CharField(max_length=200, blank=True, editable=False, help_text="Hashed; empty: none.")
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="shares")
    made_by_name = models.CharField(max_length=150, blank=True)
    made_at = models.DateTimeField()
    until = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    uses = models.PositiveIntegerField(default=0, help_text="How often the file was fetched by it.")
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = ShareQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(artifact__isnull=False, shelf__isnull=True) | Q(artifact__isnull=True, shelf__isnull=False),
                name="a_share_leads_to_one_thing",
            )
        ]
        permissions = [("share_artifact", "Can share artifacts by a link")]

    def __str__(self) -> str:
        return f"link to {self.file.name if self.file else 'a file that is gone'}"

    @property
    def file(self) -> Artifact | None:
        """What it leads to now."""
        return self.artifact or (self.shelf.newest if self.shelf else None)

    @property
    def is_newest(self) -> bool:
        return self.shelf_id is not None

    @property
    def audience(self) -> str:
        """For whom it is, in words."""
        whom = "people who log in" if self.needs_login else "anybody with the link"
        return f"{whom}, with a password" if self.password else whom

    def is_open(self, at: datetime) -> bool:
        return self.revoked_at is None and at < self.until

    def count_use(self, at: datetime) -> None:
        Share.objects.filter(pk=self.pk).update(uses=F("uses") + 1, last_used_at=at)
