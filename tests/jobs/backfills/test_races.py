"""Many processes that go on with one backfill at once start each date once, on rows that both databases lock."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from django.db import connection

from jobs.backfills.control import pause, resume
from jobs.backfills.start_next import start_due, start_next
from jobs.errors import IllegalMove
from jobs.models import Run
from jobs.reconnect import for_seconds, patiently
from jobs.states import DateStatus, Status
from tests.jobs.backfills.made import NOW, backfill, end_one

pytestmark = pytest.mark.django_db(transaction=True)


def test_four_that_start_and_end_at_once_start_each_date_once() -> None:
    row = backfill(first_day=NOW.date().replace(month=1, day=1), at_once=4)
    faults: list[BaseException] = []
    turn = threading.Lock()

    def work(number: int) -> None:
        try:
            for _ in range(6):
                patiently(lambda: start_next(row.pk, NOW), is_over=for_seconds(30))
                patiently(lambda: start_due(NOW), is_over=for_seconds(30))
                with turn:
                    if row.dates.filter(status=DateStatus.RUNNING).exists():
                        patiently(lambda: end_one(row), is_over=for_seconds(30))
                assert row.dates.under_way().count() <= 4
                if number == 0:
                    try:
                        pause(row, at=NOW, by="olga")
                        resume(row, at=NOW, by="olga")
                    except IllegalMove:
                        continue  # it is over
        except BaseException as error:
            faults.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    runs = Counter(Run.objects.values_list("due_at", flat=True))
    assert set(runs.values()) == {1} and not Run.objects.filter(status=Status.CANCELLED).exists()
    assert row.dates.filter(run__isnull=False).count() == len(runs) >= 20
