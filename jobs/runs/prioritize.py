"""Let a run that waits go before others, or after them."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Final

from django.db import transaction

from jobs.errors import NotNow, RequestError
from jobs.models import Run, Transition
from jobs.models.act import record
from jobs.states import Status
from jobs.steps.dispatch import send_all

LAST: Final = 9


def prioritize(run: Run, priority: int, *, at: datetime, by: str) -> int:
    """Give those of its steps that wait this priority (0 goes first, 9 last); how many. What runs goes on.

    RequestError for any other number, NotNow when nothing of the run waits.
    """
    if not 0 <= priority <= LAST:
        raise RequestError(f"A priority is a whole number from 0, which goes first, to {LAST}.")
    with transaction.atomic():
        Run.objects.select_for_update(of=("self",)).get(pk=run.pk)
        waiting = run.steps.filter(status=Status.QUEUED)
        steps = list(waiting)
        if not steps:
            raise NotNow(f"No step of run #{run.pk} is waiting, so its priority changes nothing.")
        ready = list(waiting.ready(at).values_list("pk", flat=True))
        waiting.update(priority=priority)
        record("prioritized", run, before={"priority": steps[0].priority}, after={"priority": priority})
        waiting.filter(pk__in=ready).update(sent_at=at)
        Transition.objects.bulk_create(
            Transition(
                run=run, step=step, from_status=step.status, to_status=step.status, at=at, by=by,
                reason=f"Priority {priority} instead of {step.priority}.",
            )
            for step in steps
        )  # fmt: skip
        transaction.on_commit(partial(send_all, ready))  # the messages that wait are at the old priority
    return len(steps)
