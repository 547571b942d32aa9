"""What nodes asked of outside APIs: counts by host and status, and the failed requests, as rows beside the run."""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db.models import Count, F, Max, Q, Sum

from jobs.models import IgnoredHost, Replay, RequestCount, RequestRecord, Run, Step
from jobs.reconnect import AWAY
from jobs.states import RequestStatus
from kedro_console import wire

logger = logging.getLogger(__name__)

KINDS: Final = ("request_made", "request_recovered", "requests_counted")
KEPT_FOR: Final = timedelta(days=90)
PRUNED_AT_ONCE: Final = 2_000
TEXTS: Final = ("headers", "body", "response", "response_headers", "message", "attempts")
"""What a list does not need to read."""

SENDABLE: Final = Q(is_signed=False, is_body_whole=True)
"""Whose replay is possible at all."""

NOT_FAILED: Final = (RequestStatus.RECOVERED, RequestStatus.IGNORED)

Key = tuple[str, str, int]


class Taken:
    """The request events of one step that are not written yet."""

    def __init__(self) -> None:
        self._counts: dict[Key, list[float]] = defaultdict(lambda: [0, 0.0])
        self._records: dict[str, wire.RequestMade] = {}
        self._recovered: dict[str, wire.RequestRecovered] = {}

    def __bool__(self) -> bool:
        return bool(self._counts or self._records or self._recovered)

    def take(self, event: wire.Event) -> None:
        """Remember it, when it is about requests; of one call only the last word counts."""
        match event:
            case wire.RequestMade():
                self._records[event.call] = event
            case wire.RequestRecovered():
                self._recovered[event.call] = event
            case wire.RequestsCounted():
                for node, host, status, count, seconds in event.counts:
                    known = self._counts[node, host, status]
                    known[0] += count
                    known[1] += seconds

    def write(self, step: Step) -> str:
        """Write the rows; "" or, when they cannot be written, the sentence that says so: the run goes on."""
        if not self:
            return ""
        try:
            with transaction.atomic():
                self._write_counts(step)
                self._write_records(step)
                self._write_recovered()
        except AWAY:
            raise  # the database is away: all of the step waits for it
        except (DatabaseError, ValueError, TypeError, KeyError) as error:
            logger.exception("The requests of %s are not recorded.", step)
            return f"Some requests of this step are not recorded ({type(error).__name__}); the run is not affected."
        return ""

    def _write_counts(self, step: Step) -> None:
        for (node, host, status), (count, seconds) in self._counts.items():
            key = {"step": step, "node": node[:500], "host": host[:255], "status_code": status}
            added = {"count": F("count") + int(count), "seconds": F("seconds") + seconds}
            if not RequestCount.objects.filter(**key).update(**added):
                RequestCount.objects.create(run_id=step.run_id, count=int(count), seconds=seconds, **key)

    def _write_records(self, step: Step) -> None:
        calls = [UUID(call) for call in self._records]
        known = set(RequestRecord.objects.filter(call__in=calls).values_list("call", flat=True))
        ignored = set(IgnoredHost.objects.values_list("host", flat=True))
        fresh = []
        for event in self._records.values():
            facts = described(event)
            if facts["host"].lower() in ignored:
                facts |= {"status": RequestStatus.IGNORED, "settled_at": facts["last_at"]}
            if UUID(event.call) in known:
                RequestRecord.objects.filter(call=event.call).update(**facts)
            else:
                fresh.append(
                    RequestRecord(call=UUID(event.call), run_id=step.run_id, step=step, at=_began(event), **facts)
                )
        RequestRecord.objects.bulk_create(fresh, batch_size=100)

    def _write_recovered(self) -> None:
        for event in self._recovered.values():
            rows = RequestRecord.objects.filter(call=event.call)
            rows.filter(status__in=[RequestStatus.OPEN, RequestStatus.IGNORED]).update(
                status=RequestStatus.RECOVERED, settled_at=_moment(event.at), attempts=event.attempts
            )


def described(event: wire.RequestMade) -> dict[str, Any]:
    """The columns of a failed request that its newest attempt decides."""
    return {
        "node": event.node[:500],
        "last_at": _moment(event.at),
        "library": event.library[:20],
        "method": event.method[:20],
        "url": event.url,
        "host": event.host[:255],
        "headers": event.headers,
        "body": event.body,
        "is_body_whole": event.is_body_whole,
        "is_signed": event.is_signed,
        "status_code": event.status,
        "reason": reason_of(event),
        "exception": event.exception[:300],
        "message": event.message,
        "response_headers": event.response_headers,
        "response": event.response,
        "is_response_whole": event.is_response_whole,
        "seconds": event.seconds,
        "attempts": event.attempts,
        "quota": event.quota[:80],
        "quota_rows": event.quota_rows,
    }


def reason_of(event: wire.RequestMade) -> str:
    """What the inbox groups by: the status, or the exception where there was no answer."""
    return str(event.status) if event.status else event.exception.rpartition(".")[2][:120] or "no answer"


def _began(event: wire.RequestMade) -> datetime:
    return _moment(float(event.attempts[0]["at"]) if event.attempts else event.at)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# ---- questions


def counts(run: Run) -> dict[str, int]:
    """For rules: how many requests the run made, and how many calls failed in the end."""
    total = RequestCount.objects.filter(run=run).aggregate(total=Sum("count"))["total"] or 0
    failed = RequestRecord.objects.filter(run=run).exclude(status__in=NOT_FAILED).count()
    return {"total": total, "failed": failed}


def by_node(run: Run) -> list[dict[str, Any]]:
    """Counts of the run by node, host and status, over all attempts of its steps."""
    rows = RequestCount.objects.filter(run=run).values("node", "host", "status_code")
    found = rows.annotate(count=Sum("count"), seconds=Sum("seconds")).order_by("node", "host", "status_code")
    return [dict(row) for row in found]


def groups(*, most: int = 100) -> list[dict[str, Any]]:
    """The inbox: open requests by host and reason, the latest first."""
    rows = RequestRecord.objects.open().values("host", "reason").order_by()
    found = rows.annotate(
        count=Count("id"),
        latest=Max("id"),
        runs=Count("run", distinct=True),
        sendable=Count("id", filter=SENDABLE),
    )
    return [dict(row) for row in found.order_by("-latest")[:most]]


def prune_requests(at: datetime, *, kept_for: timedelta = KEPT_FOR) -> int:
    """Forget the requests that are older than that, a part at a time; how many rows went."""
    old = RequestRecord.objects.filter(last_at__lt=at - kept_for).order_by("last_at")
    keys = list(old.values_list("pk", flat=True)[:PRUNED_AT_ONCE])
    RequestRecord.objects.filter(pk__in=keys).delete()
    Replay.objects.filter(finished_at__lt=at - kept_for, resends=None).delete()
    return len(keys)
