"""Go on with fewer steps when a value turns out to be one that no other process can be given."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import partial

from django.db import transaction

from jobs.models import Pipeline, Run, Step
from jobs.states import Status
from jobs.structure.selection import reach
from kedro_console.wire import RunFailed, SnapshotNode, bare

UNSHAREABLE = "unshareable"


def has_to_merge(run: Run, failure: RunFailed | None) -> bool:
    """Whether a step that failed like this can go on when its process keeps the value."""
    if failure is None or failure.reason != UNSHAREABLE or run.cancel_requested_at is not None:
        return False
    return bool(failure.dataset) and failure.dataset not in run.unshared


def merge(run: Run, step: Step, dataset: str, *, at: datetime, by: str) -> list[str]:
    """Give the nodes of the steps that wait for this dataset to this step; the names that it takes over.

    Within the transaction that ends the step. The dataset is remembered: the next run is planned like this at once.
    """
    taken = _waiting(run, step, dataset)
    positions = {other.position for other in taken}
    why = f"{dataset} cannot be handed to another process: step {step.position} goes on with what reads it."
    for other in taken:
        other.end(Status.CANCELLED, None, at=at, by=by, error=why, merged_into=step.position)
    Step.objects.filter(pk=step.pk).update(merged_into=step.position)
    step.needs = sorted({need for other in [step, *taken] for need in other.needs} - positions - {step.position})
    step.queue = next((other.queue for other in [step, *taken] if other.queue != run.pipeline.queue), step.queue)
    _follow_instead(run, step.position, positions)
    _write_down(run, dataset, why)
    return [name for other in taken for name in other.nodes]


def _waiting(run: Run, step: Step, dataset: str) -> list[Step]:
    """The queued steps that read the dataset, and those between them and this one."""
    queued = {row.position: row for row in run.steps.newest_attempts() if row.status == Status.QUEUED}
    readers = {node.name for node in _structure(run) if dataset in map(bare, node.inputs)}
    reading = {position for position, row in queued.items() if readers & set(row.nodes)}
    after: dict[int, set[int]] = {}
    for position, row in queued.items():
        for need in row.needs:
            after.setdefault(need, set()).add(position)
    before = {position: set(row.needs) for position, row in queued.items()}
    between = reach({step.position}, after) & reach(reading, before)
    return [queued[position] for position in sorted((reading | between) & queued.keys())]


def _structure(run: Run) -> list[SnapshotNode]:
    structure = run.structure
    return structure.nodes if structure else []


def _follow_instead(run: Run, position: int, gone: set[int]) -> None:
    """Steps that needed one that is gone need this one."""
    for row in run.steps.filter(status=Status.QUEUED, ready_at=None):
        if gone & set(row.needs):
            Step.objects.filter(pk=row.pk).update(needs=sorted({position, *row.needs} - gone))


def _write_down(run: Run, dataset: str, why: str) -> None:
    run.unshared = sorted({*run.unshared, dataset})
    run.plan_reason = " ".join(filter(None, [run.plan_reason, why]))
    Run.objects.filter(pk=run.pk).update(unshared=run.unshared, plan_reason=run.plan_reason)
    # Not in this transaction: a launch locks its pipeline and then the runs before it.
    transaction.on_commit(partial(remember, run.pipeline_id, dataset))


def remember(pipeline_id: int, dataset: str) -> None:
    """Later runs of this pipeline keep the dataset in one process from the start."""
    with transaction.atomic():
        pipeline = Pipeline.objects.select_for_update(no_key=True).get(pk=pipeline_id)
        if dataset not in pipeline.unshareable:
            pipeline.unshareable = sorted([*pipeline.unshareable, dataset])
            pipeline.save(update_fields=["unshareable"])


def with_makers(run: Run, left: Collection[str], within: Collection[str]) -> set[str]:
    """These nodes and, of those within the step, the ones that make what no store has for them."""
    wanted = set(left)
    for node in reversed(_structure(run)):
        makes = set(map(bare, node.outputs)) & set(run.unshared)
        if node.name in within and makes and _reads(run, wanted, makes):
            wanted.add(node.name)
    return wanted


def _reads(run: Run, names: set[str], datasets: set[str]) -> bool:
    return any(node.name in names and datasets & set(map(bare, node.inputs)) for node in _structure(run))
