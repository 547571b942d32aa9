"""What a restored console says of the work that was under way: nobody does it any more."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from django.db import transaction

from jobs.models import Beat, Run, Step, Upload, Worker
from jobs.states import FINAL, Status
from jobs.steps.advance import Outcome, end_if_done, finish

WHY: Final = "It was under way when the backup of {:%Y-%m-%d %H:%M} UTC was made that was restored: resume it to go on."


def make_true(moment: datetime, missing: Collection[str], *, at: datetime, by: str) -> int:
    """End every run that was under way then, and its leases; what had not begun still waits. How many were ended."""
    Beat.objects.all().delete()
    Worker.objects.filter(stopped_at=None).update(stopped_at=at, busy=0, is_taking=False)
    Upload.objects.exclude(sha256__in=missing).delete()  # the store has them now
    Step.objects.live().filter(status=Status.QUEUED).update(sent_at=None)  # no broker here knows of a message
    runs = list(Run.objects.filter(status=Status.RUNNING).values_list("pk", flat=True))
    for pk in runs:
        _interrupt(pk, WHY.format(moment), at=at, by=by)
    return len(runs)


def _interrupt(run_id: int, why: str, *, at: datetime, by: str) -> None:
    """Crashed, and not started again by itself: how much of it was done after the backup nobody knows here."""
    with transaction.atomic():
        run = Run.objects.select_related("pipeline").get(pk=run_id)
        for step in run.steps.exclude(status__in=sorted(FINAL)).order_by("position"):
            step.refresh_from_db(fields=["status"])
            if not step.is_final:  # it may have been waiting for one that was just ended
                step.run = run
                finish(step, Outcome(Status.CRASHED, why), token=None, at=at, by=by)
        run.refresh_from_db()
        end_if_done(run, at=at, by=by)
