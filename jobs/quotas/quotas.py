"""Take and settle uses of a quota, in the transaction of whoever asks; the lock on the quota's row makes turns.

A grant counts from its settling on: an outside API counts arrivals, and the request may have arrived as late as its
answer came. Until then it counts as now. Two requests further apart than the window by this count are so by the API's.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Q, Sum

from jobs.errors import RequestError
from jobs.models import Grant, Quota, Run, Step
from jobs.models.act import record, recorded
from jobs.quotas.turns import Amount, Turn, turn, used
from jobs.states import Status
from kedro_console import wire

LOOK_AGAIN: Final = timedelta(hours=1)
"""A run that waits for somebody to open a quota is called then; it looks by itself as seldom as this."""
TICK: Final = timedelta(microseconds=1)
REFUSALS: Final = frozenset({429, 503})
LONGEST_AGE_SECONDS: Final = 60.0
UNTOLD_SECONDS: Final = 60.0
LONGEST_CLOSURE_SECONDS: Final = 31 * 24 * 3600.0


class QuotaRefusal(RequestError):
    """A question about a quota that has no answer but a sentence."""


def locked(name: str) -> Quota:
    """The quota, for the rest of this transaction ours alone; QuotaRefusal when there is none of that name."""
    quota = Quota.objects.select_for_update().filter(name=name).first()
    if quota is None:
        raise QuotaRefusal(f"There is no quota “{name[:80]}”: an admin can create it on the page Quotas.")
    return quota


def turn_of(quota: Quota, asked: Amount, at: datetime, place: int | None = None) -> Turn:
    """When this much can be had by whoever stands at this place of the line, or would come last."""
    line = quota.grants.expected(at)
    if place is not None:
        line = line.filter(pk__lt=place)
    ahead = line.order_by().aggregate(requests=Sum("requests"), rows=Sum("rows"))
    return turn(quota, list(quota.windows.all()), asked, at, Amount(ahead["requests"] or 0, ahead["rows"] or 0))


# ---- what nodes ask


def grant_taken(step: Step, question: wire.TakeGrant, at: datetime) -> wire.Granted | wire.InLine:
    """A grant for one request of a node, or when to ask again: `place` keeps its place in the line."""
    asked = Amount(question.requests, question.rows)
    if not asked:
        raise QuotaRefusal("A grant is for at least one request or row.")
    quota, node = locked(question.quota), question.node[:500]
    place = _place(quota, step, question.place, node, at)
    reserved = quota.grants.held().filter(run=step.run_id, is_reserved=True).first()
    own = min(asked.requests, reserved.requests) if reserved else 0
    rest = Amount(asked.requests - own, asked.rows)
    due = turn_of(quota, rest, at, place.pk if place else None)
    if due.is_never:
        raise QuotaRefusal(due.reason)
    grant = place or Grant(quota=quota, run_id=step.run_id, step=step, node=node)
    if not due.is_now(at):
        return _told(in_line(grant, asked, due, at), due, at)
    if reserved and own:
        _use_up(reserved, own)
    hold(quota, grant, asked, new=rest, at=at)
    return wire.Granted(grant.pk)


def _place(quota: Quota, step: Step, known: int | None, node: str, at: datetime) -> Grant | None:
    """Where the asker stands in the line: where it was told, or where its run stood when it started before its turn."""
    line = quota.grants.waiting().filter(run=step.run_id)
    if known:
        return line.filter(pk=known, step=step).first()
    place = line.filter(step=None).first()
    if place:
        place.step, place.node, place.is_reserved, place.asked_at = step, node, False, at
    return place


def _told(grant: Grant, due: Turn, at: datetime) -> wire.InLine:
    assert grant.due_at  # noqa: S101 - narrows the type
    wait = (grant.due_at - at).total_seconds()
    return wire.InLine(grant.due_at.timestamp(), wait, due.at is not None, due.reason, grant.pk)


def in_line(grant: Grant, asked: Amount, due: Turn, at: datetime, *, waits_elsewhere: bool = False) -> Grant:
    if grant.pk is None:
        grant.asked_at = at
    grant.requests, grant.rows = asked.requests, asked.rows
    grant.due_at, grant.waits_elsewhere = due.at or at + LOOK_AGAIN, waits_elsewhere
    grant.save()
    return grant


def hold(quota: Quota, grant: Grant, asked: Amount, *, new: Amount, at: datetime) -> None:
    """Give it; `new` is the part that nothing was reserved for."""
    if grant.pk is None:
        grant.asked_at = at
    grant.requests, grant.rows, grant.taken_at, grant.due_at = asked.requests, asked.rows, at, None
    grant.save()
    quota.open_requests += new.requests
    quota.open_rows += new.rows
    quota.save(update_fields=["open_requests", "open_rows"])


def _use_up(reserved: Grant, requests: int) -> None:
    reserved.requests -= requests
    if reserved.requests:
        reserved.save(update_fields=["requests"])
    else:
        reserved.delete()


def grant_settled(step: Step, told: wire.SettleGrant, at: datetime) -> None:
    """The answer came, or the request failed: from now on the grant counts from now."""
    held = Grant.objects.held().filter(pk=told.grant, run=step.run_id)
    name = held.values_list("quota__name", flat=True).first()
    if name is None:
        return
    quota, grant = locked(name), held.get()
    grant.status, wait = told.status, told.retry_after_seconds
    grant.retry_after_seconds = None if wait is None else min(max(wait, 0.0), LONGEST_CLOSURE_SECONDS)
    settle(quota, [grant], max(at - _age(told.monotonic), grant.taken_at or at))
    if grant.status == 429 or (grant.status in REFUSALS and grant.retry_after_seconds is not None):
        _learn(quota, grant, at)


def _age(monotonic: float | None) -> timedelta:
    """How long ago the answer came, by the clock that all processes of a machine share: the word of it may be late."""
    age = 0.0 if monotonic is None else time.monotonic() - monotonic
    return timedelta(seconds=min(max(age, 0.0), LONGEST_AGE_SECONDS))


def _learn(quota: Quota, grant: Grant, at: datetime) -> None:
    """The API knows better than the windows: closed for everybody until it says."""
    wait = grant.retry_after_seconds
    if wait is None:
        rolling = [window.seconds for window in quota.windows.all() if window.seconds]
        wait = float(min(rolling)) if rolling else UNTOLD_SECONDS
    told = "" if grant.retry_after_seconds is None else f" with Retry-After {wait:g} s"
    close_until(quota, at + timedelta(seconds=wait), f"it answered {grant.status}{told}")


def close_until(quota: Quota, until: datetime, reason: str) -> None:
    """Nobody is granted anything before; a closure is only ever made longer."""
    if quota.closed_until is None or quota.closed_until < until:
        quota.closed_until, quota.closed_reason = until, reason[:200]
        quota.save(update_fields=["closed_until", "closed_reason"])


# ---- settling


def settle(quota: Quota, grants: Iterable[Grant], at: datetime) -> None:
    """Under the quota's lock: times and sums only grow, each grant has a moment of its own."""
    for grant in grants:
        quota.settled_at = max(at, quota.settled_at + TICK) if quota.settled_at else at
        quota.open_requests -= grant.requests
        quota.open_rows -= grant.rows
        quota.settled_requests += grant.requests
        quota.settled_rows += grant.rows
        grant.settled_at, grant.is_reserved = quota.settled_at, False
        grant.sum_requests, grant.sum_rows = quota.settled_requests, quota.settled_rows
        grant.save()
    quota.save(
        update_fields=["settled_at", "open_requests", "open_rows", "settled_requests", "settled_rows"],
    )


def settle_step(step: Step, status: Status, at: datetime) -> None:
    """It has ended: what it held is used, it waits no more. If it failed, what its run reserved may be used."""
    grants = Grant.objects.filter(run=step.run_id, settled_at__isnull=True)
    is_its = Q(step=step)
    if status != Status.SUCCEEDED:
        is_its |= Q(is_reserved=True, taken_at__isnull=False)
    _close(grants.filter(is_its), at)


def settle_run(run: Run, at: datetime) -> None:
    """At its end, whatever that was. If started before its turn, it may have made its request without asking again."""
    unsettled = Grant.objects.filter(run=run, settled_at__isnull=True)
    if not unsettled.exists():
        return
    for place in unsettled.waiting().filter(is_reserved=True).select_related("quota") if run.started_at else ():
        asked = Amount(place.requests, place.rows)
        hold(locked(place.quota.name), place, asked, new=asked, at=at)
    _close(unsettled, at)


def _close(unsettled: Any, at: datetime) -> None:
    names = sorted(set(unsettled.order_by().values_list("quota__name", flat=True)))
    for name in names:
        quota = locked(name)
        settle(quota, list(unsettled.filter(quota=quota).held()), at)
    if names:
        Grant.objects.filter(pk__in=list(unsettled.waiting().values_list("pk", flat=True))).delete()


# ---- what people do


@contextmanager
def changing(quota: Quota) -> Iterator[None]:
    """A transaction in which a quota and its windows are written; who changed what is recorded."""
    with transaction.atomic():
        before = _facts(quota.pk)
        yield
        now = _facts(quota.pk)
        differ = [name for name in now if now[name] != before.get(name)]
        record(
            "changed" if before else "added",
            quota,
            before={name: before[name] for name in differ if before},
            after={name: now[name] for name in differ},
        )


def _facts(key: int | None) -> dict[str, Any]:
    row = Quota.objects.filter(pk=key).prefetch_related("windows").first() if key else None
    return (
        {"name": row.name, "description": row.description, "windows": [str(each) for each in row.windows.all()]}
        if row
        else {}
    )


def pause(name: str, *, at: datetime, by: str, reason: str = "", until: datetime | None = None) -> Quota:
    """Let nothing through until then, or until somebody opens it; QuotaRefusal for a time that has passed."""
    if until is not None and until <= at:
        raise QuotaRefusal("Pause it until a time that is still to come, or leave the time empty.")
    with transaction.atomic(), recorded("paused", locked(name), why=reason.strip()):
        quota = locked(name)
        quota.paused_at, quota.paused_by, quota.paused_reason = at, by[:150], reason.strip()[:200]
        quota.paused_until = until
        quota.save(update_fields=["paused_at", "paused_by", "paused_reason", "paused_until"])
    return quota


def reopen(name: str) -> Quota:
    """End a pause, and what the API asked for; the windows still hold."""
    with transaction.atomic(), recorded("opened", locked(name)):
        quota = locked(name)
        quota.paused_at = quota.paused_until = quota.closed_until = None
        quota.paused_by = quota.paused_reason = quota.closed_reason = ""
        quota.save()
    return quota


# ---- what others want to know


def left(at: datetime) -> dict[str, dict[str, Any]]:
    """By quota: what its windows still allow now (None: no limit), and when the one that is nearest its end resets."""
    return {quota.name: _left(quota, at) for quota in Quota.objects.prefetch_related("windows")}


def _left(quota: Quota, at: datetime) -> dict[str, Any]:
    rest = [(max(0, window.allowed - used(quota, window, at)), window) for window in quota.windows.all()]
    found: dict[str, Any] = {"left_requests": None, "left_rows": None, "resets_at": None}
    for unit in ("requests", "rows"):
        if counts := [count for count, window in rest if window.unit == unit]:
            found[f"left_{unit}"] = min(counts)
    if rest:
        nearest = min(rest, key=lambda pair: pair[0] / pair[1].allowed)[1]
        found["resets_at"] = resets_at(quota, nearest, at).astimezone(UTC).isoformat()
    return found


def resets_at(quota: Quota, window: Any, at: datetime) -> datetime:
    """When nothing of what is used now will count in this window any more."""
    if window.seconds is None:
        return window.day(at, later=1)  # type: ignore[no-any-return]
    if quota.open_of(window.unit):
        return at + window.length  # type: ignore[no-any-return]
    last = quota.grants.settled().filter(settled_at__gt=window.since(at)).order_by("-settled_at").first()
    return last.settled_at + window.length if last and last.settled_at else at


def prune_grants(at: datetime, *, keep: timedelta = timedelta(days=32), most: int = 10_000) -> int:
    """Forget grants that no window reaches back to and nobody looks at any more; how many, at most so many at once."""
    old = Grant.objects.filter(settled_at__lt=at - max(keep, timedelta(days=32))).order_by("settled_at")
    count, _ = Grant.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:most])).delete()
    return count
