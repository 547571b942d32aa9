"""Runs that end at the same moment, and reconcilers that look at the same moment, tell once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from jobs.models import News, Notice, Run
from jobs.states import Status
from jobs.telling.on_run_end import run_ended
from jobs.telling.sweep import sweep
from tests.factories import AT
from tests.jobs.chains import ended, pipelines
from tests.jobs.telling.conftest import silent_worker, subscribed

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(do: Callable[[], object], times: int = 6) -> None:
    """In so many threads, each with a connection of its own; whatever any of them raises is raised here."""
    ready, faults = threading.Barrier(times), list[BaseException]()

    def act() -> None:
        try:
            ready.wait(20)
            do()
        except BaseException as fault:
            faults.append(fault)
        finally:
            connection.close()

    threads = [threading.Thread(target=act) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_failures_that_end_together_are_one_piece_of_news(admin: User) -> None:
    a, *_ = pipelines()
    run = Run.objects.select_related("pipeline__project").get(pk=ended(a, Status.FAILED).pk)
    subscribed(admin, "failing", [])

    def end() -> None:
        with transaction.atomic():
            run_ended(run, AT)

    at_once(end)
    assert News.objects.get().times == 6 and Notice.objects.count() == 1


def test_reconcilers_that_look_together_tell_once(admin: User) -> None:
    subscribed(admin, "worker", [])
    silent_worker()
    at_once(lambda: sweep(AT))
    assert News.objects.count() == 1 and Notice.objects.count() == 1
