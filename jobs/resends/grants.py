"""Ask a quota before a request is sent again: a replay stands in the same line as the nodes, as the record's step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import transaction

from jobs.models import Resend
from jobs.quotas.quotas import grant_settled, grant_taken
from kedro_console import wire


@dataclass(frozen=True)
class Permission:
    """Whether the request may go now; if not, when to ask again (None: nobody knows) and why."""

    is_given: bool
    at: datetime | None = None
    reason: str = ""


def ask(turn: Resend, at: datetime) -> Permission:
    """A grant of the quota that this request used, if it used one; RequestError when that can never be given."""
    record = turn.record
    if not record.quota:
        return Permission(True)
    asked = wire.TakeGrant(record.quota, rows=record.quota_rows, place=turn.grant, node=record.node)
    with transaction.atomic():
        reply = grant_taken(record.step, asked, at)
        turn.grant = reply.grant if isinstance(reply, wire.Granted) else reply.place
        turn.save(update_fields=["grant"])
    if isinstance(reply, wire.Granted):
        return Permission(True)
    due = datetime.fromtimestamp(reply.at, UTC) if reply.is_known else None
    return Permission(False, due, reply.reason)


def settle(turn: Resend, status: int, headers: dict[str, str], at: datetime) -> None:
    """The answer has come: the grant counts from now on, and a 429 closes the quota for as long as it says."""
    if turn.grant is None:
        return
    asked = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    wait = wire.seconds_asked(asked, at.timestamp())
    told = wire.SettleGrant(turn.grant, status or None, wait)
    with transaction.atomic():
        grant_settled(turn.record.step, told, at)
        turn.grant = None
        turn.save(update_fields=["grant"])
