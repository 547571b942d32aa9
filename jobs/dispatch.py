"""Tell Celery that a step is ready: a hint, after the commit; a row that nobody claims is told again."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from celery import current_app
from kombu.exceptions import OperationalError

from jobs import clock
from jobs.models import Firing, Step

logger = logging.getLogger(__name__)


def send(step_id: int) -> bool:
    """Publish the hint for this step and note when; False with the broker away: the reconciler does it later."""
    step = Step.objects.only("task_id", "queue", "priority").get(pk=step_id)
    at = clock.now()  # before: a worker may have put the step off already when this is written
    is_told = _told(step)
    if is_told:
        Step.objects.filter(pk=step_id).update(sent_at=at)
    return is_told


def send_all(step_ids: Collection[int]) -> None:
    """Publish the hints for steps noted as sent already; those that the broker refused are unsent again."""
    steps = Step.objects.only("task_id", "queue", "priority").filter(pk__in=step_ids).order_by("priority", "position")
    untold = [step.pk for step in steps if not _told(step)]
    if untold:
        Step.objects.filter(pk__in=untold).update(sent_at=None)


def _told(step: Step) -> bool:
    options = {"task_id": str(step.task_id), "queue": step.queue, "priority": step.priority}
    return publish("jobs.execute", [step.pk], **options)


def ask_for_decision(firing_id: int) -> bool:
    """Have a worker ask this firing's handler, and note when; the reconciler asks again when nobody answers."""
    firing = Firing.objects.select_related("rule__target").get(pk=firing_id)
    options = {"queue": firing.rule.target.queue} if firing.rule else {}
    is_told = publish("jobs.decide", [firing_id], **options)
    if is_told:
        Firing.objects.filter(pk=firing_id).update(sent_at=clock.now())
    return is_told


def ask_for_snapshot(project_id: int) -> None:
    """Have a worker read the project again; nothing depends on it."""
    publish("jobs.snapshot", [project_id])


def publish(name: str, arguments: list[int], **options: Any) -> bool:
    """Send a Celery task by its name; False with the broker away."""
    try:
        current_app.send_task(name, arguments, **options)
    except (OperationalError, OSError, TimeoutError) as error:
        logger.warning("The broker took no %s %s: %s", name, arguments, error)
        return False
    return True
