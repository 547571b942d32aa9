"""A pipeline whose parameter `day` is a date, and its backfills."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from jobs.backfills.begin import begin
from jobs.backfills.plan import Wanted
from jobs.models import Backfill, Pipeline, Snapshot
from jobs.states import DateStatus, Status
from jobs.steps.advance import Outcome, finish
from tests.factories import AT, content, make_project
from tests.jobs.at_work import running, succeed

NOW = datetime(2026, 3, 8, 9, 30, tzinfo=UTC)
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 7)


def daily(parameters: dict[str, Any] | None = None, **facts: Any) -> Pipeline:
    """The pipeline `report`, which reads the parameter `day` too."""
    project = make_project()
    known = content()
    known["parameters"]["day"] = {"$kind": "date", "text": "2026-01-31"}
    known["parameters"] |= parameters or {}
    for pipeline in known["pipelines"]:
        pipeline["parameters"] = [*pipeline["parameters"], "day", *(parameters or {})]
    Snapshot.objects.create(project=project, revision="files-1", content=known, taken_at=AT)
    return Pipeline.objects.create(project=project, name="report", **facts)


def backfill(pipeline: Pipeline | None = None, **wanted: Any) -> Backfill:
    """Of last week, one date at once, unless it is said otherwise."""
    how = {"first_day": FIRST, "last_day": LAST, "zone": "UTC", "date_parameter": "params:day"} | wanted
    at = how.pop("at", NOW)
    return begin(Wanted(pipeline=pipeline or daily(), **how), at=at, by_name="olga")


def statuses(row: Backfill) -> list[str]:
    return list(row.dates.order_by("due_at").values_list("status", flat=True))


def end_one(row: Backfill, status: Status = Status.SUCCEEDED) -> Any:
    """End the oldest of its runs that is under way; the run."""
    run = row.dates.filter(status=DateStatus.RUNNING).order_by("run_id").select_related("run")[0].run
    assert run is not None
    step = running(run)
    if status == Status.SUCCEEDED:
        succeed(step)
    else:
        finish(step, Outcome(status, "It broke."), token=step.lease_token, at=AT, by="w1")
    run.refresh_from_db()
    return run
