"""What the notifications page and the bell show to one person."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Exists, IntegerField, Q, Subquery

from jobs.models import Channel, Delivery, Notice, Run, Subscription
from jobs.models.channel import Asker
from jobs.models.subscription import wanting
from jobs.states import NewsKind
from jobs.telling.words import as_if, written

SHOWN: Final = 30
MANY: Final = 100


@dataclass(frozen=True)
class Bell:
    """How much is unread (at most 100 are counted), and the channels of this person's that do not work."""

    unread: int = 0
    dead: list[Channel] = field(default_factory=list)

    @property
    def in_words(self) -> str:
        return f"{MANY - 1}+" if self.unread >= MANY else str(self.unread)


def bell(user: User | AnonymousUser) -> Bell:
    if user.pk is None:
        return Bell()
    dead = Channel.objects.filter(failing_since__isnull=False, is_enabled=True)
    if not user.has_perm("jobs.change_channel"):
        dead = dead.filter(Q(owner=user) | Q(subscriptions__owner=user)).distinct()
    unread = _Counted(Notice.objects.unread(user.pk).order_by().values("pk")[:MANY])
    found = User.objects.filter(pk=user.pk).values_list(unread, Exists(dead)).first()
    count, has_dead = found or (0, False)
    return Bell(count, list(dead[:3]) if has_dead else [])


class _Counted(Subquery):
    """How many rows there are, of as many as are looked at."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


def notices(user: User, before: int | None) -> list[Notice]:
    """The newest, and one more than are shown."""
    rows = Notice.objects.filter(user=user).select_related("news__pipeline__project", "news__run")
    rows = rows.filter(pk__lt=before) if before else rows
    return list(rows[: SHOWN + 1])


def deliveries(user: User, before: int | None = None) -> list[Delivery]:
    rows = Delivery.objects.seen_by(Asker.of(user)).select_related("news", "channel")
    rows = rows.filter(pk__lt=before) if before else rows
    return list(rows.order_by("-id")[: SHOWN + 1])


def subscriptions(user: User) -> list[Subscription]:
    rows = Subscription.objects.filter(owner=user).select_related("pipeline__project", "project")
    return list(rows.prefetch_related("channels"))


def preview(subscription: Subscription, run: Run, at: Any) -> list[tuple[str, str, str]]:
    """For each kind that is chosen: its name, and the subject and body that this run would bring."""
    kinds = [kind for kind in NewsKind if wanting(kind, [subscription])] or [NewsKind.FAILING]
    return [(kind.label, *written(as_if(run, kind, at), subscription)) for kind in kinds]
