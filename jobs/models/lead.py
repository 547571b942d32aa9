from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import models
from django.db.models import F

TICKS: Final = "ticks"


class LeadQuerySet(models.QuerySet["Lead"]):
    def ticks(self) -> Lead:
        """The row of who decides due times; made when it is asked for first."""
        return self.get_or_create(what=TICKS)[0]


class Lead(models.Model):
    """Who decides, of any number that could: its token grows with each change and stands in all that it writes.

    Whoever leads counts `turns` on; another takes over when it has seen the same count for as long as a lease lasts by
    a clock of its own that nobody sets. So two clocks that differ, or one that jumps, make nobody lead twice.
    """

    what = models.CharField(max_length=20, unique=True)
    holder = models.CharField(max_length=200, blank=True, help_text="Process and host; empty: it was given back.")
    mark = models.CharField(
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text="Under which token, and what tells its process from others: who is on its machine sees it die.",
    )
    token = models.BigIntegerField(default=0)
    turns = models.BigIntegerField(default=0)
    since = models.DateTimeField(null=True, blank=True)
    renewed_at = models.DateTimeField(null=True, blank=True)

    objects = LeadQuerySet.as_manager()

    class Meta:
        ordering = ["what"]

    def __str__(self) -> str:
        return f"{self.what}: {self.holder or 'nobody'}"

    @property
    def process(self) -> str:
        """The mark of the process that leads; "" when it told none, as one of an earlier version."""
        token, _, marked = self.mark.partition(" ")
        return marked if token == str(self.token) else ""

    def take(self, holder: str, at: datetime, *, process: str = "") -> bool:
        """Lead from now on; False when the row is not as it was read any more."""
        seen = Lead.objects.filter(pk=self.pk, token=self.token, turns=self.turns)
        facts = {"holder": holder[:200], "mark": f"{self.token + 1} {process}", "since": at, "renewed_at": at}
        if not seen.update(token=F("token") + 1, turns=F("turns") + 1, **facts):
            return False
        self.refresh_from_db()
        return True

    def renew(self, at: datetime) -> bool:
        """Go on leading; False when another leads by now."""
        mine = Lead.objects.filter(pk=self.pk, token=self.token).exclude(holder="")
        return bool(mine.update(turns=F("turns") + 1, renewed_at=at))

    def give_back(self) -> None:
        Lead.objects.filter(pk=self.pk, token=self.token).update(holder="", turns=F("turns") + 1)
