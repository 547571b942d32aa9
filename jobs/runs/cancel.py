"""Stop a run: what is queued ends at once, what runs is ended by its supervisor, in stages or at once by force."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from django.db import transaction

from jobs.errors import IllegalMove
from jobs.models import Run
from jobs.models.act import recorded
from jobs.states import Status
from jobs.steps import on_end
from jobs.steps.advance import end_if_done


def cancel(run: Run, *, at: datetime, by: str) -> Run:
    """Ask the run to stop; CANCELLED is written when none of its processes is left. IllegalMove after its end."""
    with transaction.atomic(), recorded("cancelled", run):
        on_end.lock(run.pipeline_id)
        run.ask_to_stop(at=at, by=by)
        for step in run.steps.filter(status=Status.QUEUED):
            _cancel_queued(step, at=at, by=by)
        end_if_done(run, at=at, by=by)
    run.refresh_from_db()
    return run


def force(run: Run, *, at: datetime, by: str) -> Run:
    """Kill what is left of the run instead of waiting out the grace; one that was not asked to stop is asked now."""
    if not run.cancel_requested_at:
        run = cancel(run, at=at, by=by)
    if not run.is_final:
        with transaction.atomic(), recorded("forced", run):
            run.ask_to_force(at=at, by=by)
    return run


def cancel_step(task_id: str, *, at: datetime, by: str) -> None:
    """Cancel the run of the step with this task; nothing when it has ended, or there is none."""
    run = Run.objects.live().filter(steps__task_id=task_id).first()
    if run is not None and not run.cancel_requested_at:
        with suppress(IllegalMove):
            cancel(run, at=at, by=by)


def _cancel_queued(step, *, at: datetime, by: str) -> None:  # type: ignore[no-untyped-def]
    try:
        step.end(Status.CANCELLED, None, at=at, by=by)
    except IllegalMove:
        return  # a worker claimed it in this moment and will see the request
