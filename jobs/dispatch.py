"""Tell Celery that a step is ready: a hint, after the commit; a row that nobody claims is told again."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime
from typing import Any

from celery import current_app
from kombu.exceptions import OperationalError

from jobs import clock
from jobs.models import Step, Worker

logger = logging.getLogger(__name__)


def send(step_id: int) -> bool:
    """Publish the hint for this step and note when; False with the broker away: the reconciler does it later."""
    step = Step.objects.only("task_id", "queue", "priority").get(pk=step_id)
    is_told = _told(step)
    if is_told:
        Step.objects.filter(pk=step_id).update(sent_at=clock.now())
    return is_told


def send_all(step_ids: Collection[int]) -> None:
    """Publish hints for steps noted as sent already: for each queue as many as there are slots to hear them.

    A slot that is free takes the next step of the run, whichever the message names, and who ends passes the word on.
    What the broker refused is unsent again.
    """
    if not step_ids:
        return
    steps = Step.objects.only("task_id", "queue", "priority").filter(pk__in=step_ids).order_by("priority", "position")
    room = {queue: max(1, slots) for queue, slots in Worker.objects.slots_by_queue(clock.now()).items()}
    untold = []
    for step in steps:
        left = room.setdefault(step.queue, 1)
        if left > 0:
            room[step.queue] = left - 1
            if not _told(step):
                untold.append(step.pk)
    if untold:
        Step.objects.filter(pk__in=untold).update(sent_at=None)


def pass_on(step: Step) -> None:
    """A slot becomes free: it hears of the next step of the run, if one waits in the queue."""
    at = clock.now()
    following = Step.objects.in_turn(step.queue, at).filter(run_id=step.run_id).first()
    if following and _told(following):
        Step.objects.filter(pk=following.pk).update(sent_at=at)


def call_for_work(queues: Collection[str], slots: int, at: datetime) -> None:
    """A worker begins to listen: it hears of what waits, also of what the slots that there were have heard already."""
    waiting = Step.objects.ready(at).filter(queue__in=queues, finished_at=None).order_by("priority", "ready_at")
    for step in waiting.only("task_id", "queue", "priority")[:slots]:
        if not _told(step):
            return


def _told(step: Step) -> bool:
    options = {"task_id": str(step.task_id), "queue": step.queue, "priority": step.priority}
    return _published("jobs.execute", [step.pk], **options)


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
