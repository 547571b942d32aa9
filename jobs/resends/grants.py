"""Ask a quota before a request is sent again: a replay stands in the same line as the nodes, as the record's step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from jobs.models import Resend
from jobs.quotas.quotas import grant_settled, grant_taken
from kedro_console.wire import seconds_asked


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
    asked = {"quota": record.quota, "requests": 1, "rows": record.quota_rows, "node": record.node, "place": turn.grant}
    with transaction.atomic():
        answer = grant_taken(record.step, asked, at)
        turn.grant = answer.get("grant") or answer.get("place")
        turn.save(update_fields=["grant"])
    due = answer.get("at") if answer.get("is_known", True) else None
    return Permission(answer["granted"], datetime.fromtimestamp(due, UTC) if due else None, answer.get("reason", ""))


def settle(turn: Resend, status: int, headers: dict[str, str], at: datetime) -> None:
    """The answer has come: the grant counts from now on, and a 429 closes the quota for as long as it says."""
    if turn.grant is None:
        return
    told: dict[str, Any] = {"grant": turn.grant, "status": status or None}
    asked = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    told["retry_after_seconds"] = seconds_asked(asked, at.timestamp())
    with transaction.atomic():
        grant_settled(turn.record.step, told, at)
        turn.grant = None
        turn.save(update_fields=["grant"])
