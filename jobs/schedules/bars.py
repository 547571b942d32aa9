"""The last ticks of many schedules at once, at the same cost however many there were before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from typing import Final

from django.db.models import OuterRef, Q, Subquery

from jobs.models import Schedule, Tick

SHOWN: Final = 60
TOGETHER: Final = 100
"""Schedules in one query: SQLite refuses conditions that are nested too deeply."""
OF_RUNS: Final = ("schedule_id", "due_at", "decision", "reason", "dismissed_at", "lateness_seconds", "run_id")


def last_ticks(schedules: Iterable[Schedule], most: int = SHOWN) -> dict[int, list[Tick]]:
    """By the schedule's id its newest ticks with their runs, the newest last."""
    ids = [schedule.pk for schedule in schedules]
    found: dict[int, list[Tick]] = {pk: [] for pk in ids}
    for start in range(0, len(ids), TOGETHER):
        for tick in _newest(ids[start : start + TOGETHER], most):
            found[tick.schedule_id].append(tick)
    return {pk: ticks[-most:] for pk, ticks in found.items()}


def _newest(ids: Sequence[int], most: int) -> Iterable[Tick]:
    newest = Tick.objects.filter(schedule=OuterRef("pk")).order_by("-due_at").values("due_at")
    floors = Schedule.objects.filter(pk__in=ids).order_by().annotate(floor=Subquery(newest[most - 1 : most]))
    windows = [
        Q(schedule=pk, due_at__gte=floor) if floor else Q(schedule=pk)
        for pk, floor in floors.values_list("pk", "floor")
    ]
    rows = Tick.objects.filter(reduce(or_, windows, Q(pk__in=[])))
    return rows.select_related("run").only(*OF_RUNS, "run__status", "run__error").order_by("due_at", "id")
