"""The yardstick of bench/fan_out.py: the same fans as plain Celery, a group with a chord's callback after it.

The worker and the benchmark both load this; PLAIN_CELERY_BROKER names the Redis.
"""

from __future__ import annotations

import os
import time

from celery import Celery, chord

app = Celery("plain", broker=os.environ.get("PLAIN_CELERY_BROKER"), backend=os.environ.get("PLAIN_CELERY_BACKEND"))
app.conf.update(task_default_queue="plain", worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True)


@app.task
def pass_on(start: int) -> int:
    return start


@app.task
def nap(start: int, seconds: float) -> int:
    time.sleep(seconds)
    return start


@app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


def fan(width: int, start: int, nap_seconds: float = 0.0) -> int:
    """The total of a fan of no-op tasks, or of naps."""
    middle = nap.s(start, nap_seconds) if nap_seconds else pass_on.s(start)
    answer = chord([middle.clone() for _ in range(width)])(total.s())
    return int(answer.get(timeout=120, interval=0.005))
