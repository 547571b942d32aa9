"""What this worker takes from its queues: opened, closed and sized as people wish in its row."""

from __future__ import annotations

import logging
import os
import signal
from typing import Any, Final

from celery.worker import state

from jobs.models import Worker
from jobs.states import Wanted
from jobs.steps.leases import LEASES

logger = logging.getLogger(__name__)

SOON_SECONDS: Final = 0.01


class Intake:
    """The taps of one Celery consumer; the heartbeat tells it what its row says, the consumer's own thread turns them.

    A closed queue is not listened to, so that its messages wait for the other workers instead of being refused here.
    """

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self.queues = sorted(consumer.app.amqp.queues.consume_from)
        self._is_to_take = True
        self.is_taking = True
        self.slots = self._slots_at_start = LEASES.slots = int(consumer.controller.concurrency)

    def obey(self, worker: Worker) -> None:
        """Bring the consumer to what the row wishes; a drained worker is asked to end."""
        slots = worker.wanted_slots or self._slots_at_start
        if slots != self.slots:
            self._consumer.call_soon(self._resize, slots)
        is_to_take = worker.wanted_state == Wanted.WORKING
        if is_to_take != self._is_to_take:
            self._is_to_take = LEASES.is_taking = is_to_take
            self._consumer.call_soon(self._open if is_to_take else self._close)
        if worker.wanted_state == Wanted.DRAINING and not self.is_taking and self._is_idle():
            logger.info("The worker is drained and ends.")
            os.kill(os.getpid(), signal.SIGTERM)

    def look_again(self) -> None:
        """A slot is about to be free: the consumer itself would see that at its next event, up to a second later."""
        self._consumer.call_soon(self._look_soon)

    def _look_soon(self) -> None:
        if self._consumer.hub:
            self._consumer.hub.call_later(SOON_SECONDS, lambda: None)

    def _is_idle(self) -> bool:
        return not (len(LEASES) or state.reserved_requests or state.active_requests)

    def _open(self) -> None:
        for queue in self.queues:
            self._consumer.add_task_queue(queue)
        self.is_taking = True

    def _close(self) -> None:
        for queue in self.queues:
            self._consumer.cancel_task_queue(queue)
        self.is_taking = False

    def _resize(self, slots: int) -> None:
        """The consumer fetches no more than this; the pool's threads are made when needed and may be too many."""
        executor = self._consumer.pool.executor
        executor._max_workers = max(executor._max_workers, slots)  # a pool of threads has no way of its own to grow
        self._consumer.controller.max_concurrency = slots
        self.slots = LEASES.slots = slots
