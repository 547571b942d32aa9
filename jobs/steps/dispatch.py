"""Tell Celery that a step is ready: a hint, after the commit; a row that nobody claims is told again."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError
from kombu.transport.redis import Channel
from redis.exceptions import RedisError

from jobs import clock
from jobs.models import Firing, Step, Worker
from jobs.steps import broker

logger = logging.getLogger(__name__)

BROKER_SECONDS: Final = 1.0
"""How long a worker's pulse may wait for the broker's answer."""


def send(step_id: int) -> bool:
    """Publish the hint for this step and note when; False with the broker away: the reconciler does it later."""
    step = Step.objects.only("task_id", "queue", "priority").get(pk=step_id)
    at = clock.now()  # before: a worker may have put the step off already when this is written
    is_told = _send(step)
    if is_told:
        Step.objects.filter(pk=step_id).update(sent_at=at)
    return is_told


def send_all(step_ids: Collection[int]) -> None:
    """As `send_noted`, by their keys."""
    if step_ids:
        known = Step.objects.only("task_id", "queue", "priority").filter(pk__in=step_ids)
        send_noted(known.order_by("priority", "position"))


def send_noted(steps: Collection[Step]) -> None:
    """Publish hints for steps noted as sent already: for each queue as many as there are slots to hear them.

    A slot that is free takes the next step of the run, whichever the message names, and who ends passes the word on.
    What the broker refused is unsent again.
    """
    slots = Worker.objects.slots_by_queue(clock.now()) if len(steps) > 1 else {}
    room = {queue: max(1, count) for queue, count in slots.items()}
    untold = []
    for step in steps:
        left = room.setdefault(step.queue, 1)
        if left > 0:
            room[step.queue] = left - 1
            if not _send(step):
                untold.append(step.pk)
    if untold:
        Step.objects.filter(pk__in=untold).update(sent_at=None)


def pass_on(step: Step) -> None:
    """A slot becomes free: it hears of the next step of the run, if one waits in the queue."""
    at = clock.now()
    following = Step.objects.in_turn(step.queue, at).filter(run_id=step.run_id).first()
    if following and _send(following):
        Step.objects.filter(pk=following.pk).update(sent_at=at)


def call_for_work(queues: Collection[str], slots: int, at: datetime) -> None:
    """A worker begins to listen: it hears of what waits, also of what the slots that there were have heard already."""
    waiting = Step.objects.ready(at).filter(queue__in=queues).order_by("priority", "ready_at")
    for step in waiting.only("task_id", "queue", "priority")[:slots]:
        if not _send(step):
            return


def _send(step: Step) -> bool:
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


def messages_in(queues: Collection[str]) -> dict[str, int] | None:
    """How many messages wait in each of these queues; None when the broker does not say so at once."""
    client = broker.client(seconds=BROKER_SECONDS)
    keys = [(queue, key) for queue in queues for key in _lists(queue)]
    try:
        with client.pipeline(transaction=False) as asked:
            for _, key in keys:
                asked.llen(key)
            lengths = asked.execute()
    except (RedisError, OSError) as error:
        logger.warning("The broker did not say what waits in it: %s", error)
        return None
    finally:
        client.close()
    counts = dict.fromkeys(queues, 0)
    for (queue, _), length in zip(keys, lengths, strict=True):
        counts[queue] += length
    return counts


def _lists(queue: str) -> list[str]:
    """The broker's list for each priority of a queue, as kombu names them."""
    options: dict[str, Any] = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    name = f"{options['global_keyprefix']}{queue}"
    return [f"{name}{Channel.sep}{step}" if step else name for step in options["priority_steps"]]


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
