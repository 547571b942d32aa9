"""Begin a backfill: its row and its dates are written first, then its first runs start."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction

from jobs.backfills.plan import Plan, Wanted, plan
from jobs.backfills.start_next import start_next
from jobs.errors import BadParameters
from jobs.models import Backfill, BackfillDate
from jobs.models.act import record
from jobs.structure.paths import written
from jobs.structure.values import shown
from kedro_console.wire import Json

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def begin(wanted: Wanted, *, at: datetime, by: User | None = None, by_name: str = "") -> Backfill:
    """The backfill, under way; BadParameters with a sentence for each field that cannot be."""
    planned = plan(wanted, at)
    if not planned.runs:
        sentence = f"None of these {len(planned.dates):,} dates would run: {planned.dates[0].reason}"
        raise BadParameters({"again": sentence})
    with transaction.atomic():
        backfill = _row(planned, at)
        backfill.requested_by = by if by and by.pk else None
        backfill.requested_by_name = by_name or (by.get_username() if by else "")
        backfill.save()
        BackfillDate.objects.bulk_create(
            BackfillDate(backfill=backfill, due_at=date.due_at, status=date.status, run=date.run, reason=date.reason)
            for date in planned.dates
        )
        record("started", backfill, after=_told(planned))
    start_next(backfill.pk, at)
    backfill.refresh_from_db()
    return backfill


def _row(planned: Plan, at: datetime) -> Backfill:
    wanted = planned.wanted
    return Backfill(
        pipeline=wanted.pipeline,
        schedule=wanted.schedule,
        rule_words=planned.words[:300],
        zone=str(planned.zone),
        first_day=wanted.first_day,
        last_day=wanted.last_day,
        again=wanted.again,
        direction=wanted.direction,
        at_once=wanted.at_once,
        date_parameter=list(planned.path),
        parameters=planned.parameters,
        selection=planned.selection,
        runner=planned.runner,
        created_at=at,
    )


def _told(planned: Plan) -> dict[str, Json]:
    wanted = planned.wanted
    facts: dict[str, Json] = {
        "pipeline": str(wanted.pipeline),
        "from": str(wanted.first_day),
        "to": str(wanted.last_day),
        "due": planned.words,
        "runs": planned.runs,
        "skipped": planned.counts["skip"],
        "at_once": wanted.at_once,
        "date_parameter": written(planned.path),
        "parameters": shown(planned.parameters),
        "choices": planned.selection,
    }
    return {name: value for name, value in facts.items() if value}
