"""A place of its own for short work: messages of one queue, done beside the slots of a worker that may be full."""

from __future__ import annotations

import logging
import threading
from typing import Final

from celery import Celery
from django.db import close_old_connections, connection
from kombu import Message
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from jobs.reconnect import attempt

logger = logging.getLogger(__name__)

LISTEN_SECONDS: Final = 1.0
AGAIN_SECONDS: Final = 1.0
GONE: Final = (OperationalError, OSError, RedisError)
"""What a broker that is away says."""


class Aside(threading.Thread):
    """One thread that takes the messages of one queue, one after another, and does the Celery task that each names.

    A message is gone when it is taken: whoever sends one keeps in a row what is to be done, and tells it again.
    """

    def __init__(self, app: Celery, queue: str) -> None:
        super().__init__(name=f"aside-{queue}", daemon=True)
        self._app, self._queue = app, queue
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except GONE as error:
                logger.warning("The broker gave nothing of the queue %s: %s", self._queue, error)
                self._stopping.wait(AGAIN_SECONDS)
            except Exception:
                logger.exception("Listening to the queue %s failed and goes on.", self._queue)
                self._stopping.wait(AGAIN_SECONDS)
        connection.close()

    def stop(self) -> None:
        """What it does now is finished, if that does not take long; it takes nothing more."""
        self._stopping.set()
        self.join(5)

    def _listen(self) -> None:
        with self._app.connection_for_read() as broker:
            queue = self._app.amqp.queues[self._queue]
            consumer = broker.Consumer([queue(broker)], on_message=self._take, accept=["json"], no_ack=True)
            consumer.qos(prefetch_count=1)
            with consumer:
                while not self._stopping.is_set():
                    try:
                        broker.drain_events(timeout=LISTEN_SECONDS)
                    except TimeoutError:
                        close_old_connections()

    def _take(self, message: Message) -> None:
        close_old_connections()
        attempt(lambda: self._do(message), what=f"The queue {self._queue}", log=logger)

    def _do(self, message: Message) -> None:
        args, kwargs, _ = message.decode()
        name = str(message.headers.get("task"))
        task = self._app.tasks.get(name)
        if task is None:
            logger.warning("The queue %s had a message for the unknown task %s.", self._queue, name)
        else:
            task(*args, **kwargs)
