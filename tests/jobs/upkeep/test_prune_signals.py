"""Old rows between runs are forgotten, what still counts is not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from celery import current_app

from jobs.models import Arrival, Firing
from jobs.states import Decision
from jobs.upkeep.prune_signals import KEPT_FOR, prune_signals
from tests.factories import AT
from tests.jobs.chains import ended, make_rule, pipelines

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: None)


def test_firings_that_started_nothing_are_forgotten_after_their_time() -> None:
    a, b, *_ = pipelines()
    make_rule([a], b)
    make_rule([a], b, name="never", condition="run.number < `0`")
    ended(a)
    assert {firing.decision for firing in Firing.objects.all()} == {Decision.STARTED, Decision.UNMET}
    assert prune_signals(AT + KEPT_FOR - timedelta(days=1)) == 0
    prune_signals(AT + KEPT_FOR + timedelta(days=1))
    assert [firing.decision for firing in Firing.objects.all()] == [Decision.STARTED]
    assert Arrival.objects.count() == 1
