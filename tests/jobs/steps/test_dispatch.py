"""Hints for Celery, and how many of them still wait in the broker."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from jobs.models import Step
from jobs.steps.dispatch import messages_in, send
from tests.factories import make_run

pytestmark = pytest.mark.django_db


def test_the_messages_of_a_queue_are_counted_over_all_priorities(broker: Redis) -> None:
    for queue, priority in [("one", 0), ("one", 5), ("one", 9), ("two", 3)]:
        step = make_run().steps.get()
        Step.objects.filter(pk=step.pk).update(queue=queue, priority=priority)
        assert send(step.pk)
    assert messages_in(["one", "two", "none"]) == {"one": 3, "two": 1, "none": 0}


def test_a_broker_that_is_away_does_not_say_what_waits(settings: Any) -> None:
    settings.REDIS_URL = "unix:///nobody/listens/here.sock"
    assert messages_in(["one"]) is None
