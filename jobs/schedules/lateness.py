"""How late a due time's run began: from the due time until its first node, kept with the tick."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from django.db.models import Min

from jobs.models import Run, Tick
from jobs.states import Cause
from jobs.steps.on_end import Follower
from kedro_console.wire import Json


def measure(run: Run, at: datetime) -> None:
    """At the run's end, in the transaction that writes it."""
    if run.cause != Cause.SCHEDULE or run.due_at is None or run.caused_by_id or run.retry_of_id:
        return
    began = run.node_runs.aggregate(at=Min("started_at"))["at"]
    if began is not None:
        Tick.objects.filter(run=run).update(lateness_seconds=(began - run.due_at).total_seconds())


def _nothing_to_lock(pipeline_id: int) -> None:
    return None


def _at_no_node(pipeline_id: int, nodes: Collection[str]) -> bool:
    return False


def _nothing_of_nodes(
    run: Run, nodes: Collection[str], results: Mapping[str, Mapping[str, Json]], at: datetime
) -> None:
    return None


FOLLOWER: Final = Follower(_nothing_to_lock, measure, _at_no_node, _nothing_of_nodes)
