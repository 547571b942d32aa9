"""When so much of a quota can be had: each answer is a look at one or two rows, however many the window holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Case, DateTimeField, F, OuterRef, Subquery, Value, When

from jobs.models import Grant, Quota, Window
from jobs.models.quota import REQUESTS, ROWS

UNITS: Final = (REQUESTS, ROWS)
FAR: Final = timedelta(days=20 * 366)
"""Nobody plans further ahead."""


@dataclass(frozen=True)
class Amount:
    """An amount of a quota."""

    requests: int = 0
    rows: int = 0

    def of(self, unit: str) -> int:
        return self.requests if unit == REQUESTS else self.rows

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.requests + other.requests, self.rows + other.rows)

    def __bool__(self) -> bool:
        return bool(self.requests or self.rows)

    def __str__(self) -> str:
        named = ((self.requests, "request"), (self.rows, "row"))
        return " and ".join(f"{count:,} {word}{'' if count == 1 else 's'}" for count, word in named if count)


@dataclass(frozen=True)
class Turn:
    """When it can be had, and what stands against it until then; without a time, until somebody opens the quota."""

    at: datetime | None
    reason: str = ""
    is_never: bool = False

    def is_now(self, at: datetime) -> bool:
        return self.at is not None and self.at <= at


def used(quota: Quota, window: Window, at: datetime) -> int:
    """What counts in this window now. A held grant counts as now, for its request may arrive this moment."""
    since = window.since(at)
    if quota.settled_at is None or quota.settled_at <= since:
        return quota.open_of(window.unit)
    total = quota.settled_of(window.unit)
    settled = quota.grants.filter(settled_at__gt=since).order_by("settled_at")
    first = settled.values_list(f"sum_{window.unit}", window.unit).first()
    return quota.open_of(window.unit) + (total - (first[0] - first[1]) if first else 0)


def used_in_all(windows: Iterable[Window], at: datetime) -> dict[int, int]:
    """The same of every one of these windows, which know their quotas, by the window's key, in one question."""
    pairs = [(window.quota, window, window.since(at)) for window in windows]
    found = {window.pk: quota.open_of(window.unit) for quota, window, _ in pairs}
    moving = {window.pk: since for quota, window, since in pairs if quota.settled_at and quota.settled_at > since}
    begins = [When(pk=key, then=Value(since, DateTimeField())) for key, since in moving.items()]
    after = Grant.objects.filter(quota=OuterRef("quota"), settled_at__gt=OuterRef("begin")).order_by("settled_at")
    before = {unit: Subquery(after.values(before=F(f"sum_{unit}") - F(unit))[:1]) for unit in UNITS}
    rows = Window.objects.filter(pk__in=moving).annotate(begin=Case(*begins)).values_list("pk", *before.values())
    firsts = {key: dict(zip(UNITS, sums, strict=True)) for key, *sums in (rows if begins else ())}
    for quota, window, _ in pairs:
        first = firsts[window.pk][window.unit] if window.pk in firsts else None
        found[window.pk] += 0 if first is None else quota.settled_of(window.unit) - first
    return found


def turn(quota: Quota, windows: Sequence[Window], asked: Amount, at: datetime, ahead: Amount = Amount()) -> Turn:
    """When `asked` can be had after those who are `ahead` in the line."""
    for window in windows:
        if asked.of(window.unit) > window.allowed:
            reason = f"{asked} at once can never be granted by the quota {quota}: it allows {window}. Ask for less."
            return Turn(None, reason, is_never=True)
    if quota.is_paused(at) and quota.paused_until is None:
        return Turn(None, closure(quota, at))
    begin = at
    if quota.is_paused(at) and quota.paused_until:
        begin = quota.paused_until
    if quota.is_closed(at) and quota.closed_until:
        begin = max(begin, quota.closed_until)
    latest = Turn(begin, closure(quota, at))
    for window in windows:
        if need := asked.of(window.unit):
            due = due_at(quota, window, need + ahead.of(window.unit), at)
            if latest.at is None or due > latest.at:
                latest = Turn(due, f"The quota {quota} is used up: it allows {window}.")
    return latest


def closure(quota: Quota, at: datetime) -> str:
    """Why it lets nothing through, whatever its windows say; empty when it does."""
    if quota.is_paused(at):
        why = f": {quota.paused_reason.rstrip('.')}" if quota.paused_reason else ""
        return f"The quota {quota} is paused by {quota.paused_by or 'somebody'}{why}."
    if quota.is_closed(at):
        return f"The quota {quota} is closed by its API: {quota.closed_reason.rstrip('.')}."
    return ""


def due_at(quota: Quota, window: Window, need: int, at: datetime) -> datetime:
    """When so many units, the line's own included, have found room in this window if nobody else comes."""
    free = window.allowed - used(quota, window, at)
    if need <= free:
        return at
    if window.seconds is None:
        days = -((free - need) // window.allowed)
        return window.day(at, later=days) if days < FAR.days else at + FAR
    rounds, rest = divmod(need - 1, window.allowed)
    first = at if rest + 1 <= free else _opens_at(quota, window, rest + 1, at)
    return first + min(rounds * window.length, FAR)


def _opens_at(quota: Quota, window: Window, need: int, at: datetime) -> datetime:
    """When enough of what was settled is over; what is still held can be over no earlier than a window from now."""
    enough = quota.settled_of(window.unit) + quota.open_of(window.unit) + need - window.allowed
    name = f"sum_{window.unit}"
    rows = quota.grants.filter(**{f"{name}__gte": enough}).order_by(name, "settled_at")
    settled_at = rows.values_list("settled_at", flat=True).first()
    return (settled_at or at) + window.length
