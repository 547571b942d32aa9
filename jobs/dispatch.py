"""Tell Celery that a step is ready: a hint, after the commit; a row that nobody claims is told again."""

from __future__ import annotations

import logging

from celery import current_app
from kombu.exceptions import OperationalError

from jobs import clock
from jobs.models import Step

logger = logging.getLogger(__name__)


def send(step_id: int) -> None:
    """Publish the hint for this step and note when; with the broker away the reconciler does it later."""
    step = Step.objects.only("task_id", "queue", "priority").get(pk=step_id)
    try:
        current_app.send_task(
            "jobs.execute", [step_id], task_id=str(step.task_id), queue=step.queue, priority=step.priority
        )
    except (OperationalError, OSError, TimeoutError) as error:
        logger.warning("The broker took no hint for %s; its row waits: %s", step, error)
        return
    Step.objects.filter(pk=step_id).update(sent_at=clock.now())
