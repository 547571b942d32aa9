"""Tell Celery that a step is ready: a hint, after the commit; a row that nobody claims is told again."""

from __future__ import annotations

import logging
from typing import Any

from celery import current_app
from kombu.exceptions import OperationalError

from jobs import clock
from jobs.models import Step

logger = logging.getLogger(__name__)


def send(step_id: int) -> None:
    """Publish the hint for this step and note when; with the broker away the reconciler does it later."""
    step = Step.objects.only("task_id", "queue", "priority").get(pk=step_id)
    options = {"task_id": str(step.task_id), "queue": step.queue, "priority": step.priority}
    if _published("jobs.execute", [step_id], **options):
        Step.objects.filter(pk=step_id).update(sent_at=clock.now())


def ask_for_snapshot(project_id: int) -> None:
    """Have a worker read the project again; nothing depends on it."""
    _published("jobs.snapshot", [project_id])


def _published(name: str, arguments: list[int], **options: Any) -> bool:
    try:
        current_app.send_task(name, arguments, **options)
    except (OperationalError, OSError, TimeoutError) as error:
        logger.warning("The broker took no %s %s: %s", name, arguments, error)
        return False
    return True
