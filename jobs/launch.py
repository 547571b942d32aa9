"""Start a run: its row, its steps and its nodes are committed first, the Celery message is only a hint."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction

from jobs import following
from jobs import parameters as runtime
from jobs.cancel import cancel
from jobs.dispatch import send
from jobs.errors import NotNow, ProjectError, UnknownPipeline
from jobs.models import NodeRun, Pipeline, Run, Snapshot, Step
from jobs.overlap import line_up, unversioned
from jobs.plan import PlannedStep, plan
from jobs.selection import Selection, choose
from jobs.states import Cause, NodeStatus, Overlap, Runner, Status
from kedro_console.wire import SnapshotNode

if TYPE_CHECKING:
    from django.contrib.auth.models import User

WHOLE = Selection()
UNWATCHED = frozenset({Cause.SCHEDULE, Cause.RULE, Cause.BACKFILL})
"""Causes with no person who would read a refusal."""


def find_pipeline(name: str, project: str = "") -> Pipeline:
    """The pipeline of that name (`project/pipeline` also names the project); UnknownPipeline with the nearest names."""
    wanted, _, rest = name.rpartition("/")
    rows = Pipeline.objects.select_related("project").filter(is_registered=True)
    if project or wanted:
        rows = rows.filter(project__name=project or wanted)
    found = rows.filter(name=rest).order_by("project_id").first()
    if found is None:
        names = sorted(set(rows.values_list("name", flat=True)))
        raise UnknownPipeline(name, get_close_matches(rest, names, 3, 0.4))
    return found


def launch(
    pipeline: Pipeline,
    *,
    at: datetime,
    cause: Cause,
    by: User | None = None,
    by_name: str = "",
    parameters: dict[str, Any] | None = None,
    selection: Selection = WHOLE,
    runner: str = "",
    idempotency_key: str | None = None,
    reused: Collection[str] = (),
    **facts: Any,
) -> Run:
    """A queued run of this pipeline; with a known idempotency key the run that it made before.

    Nodes that are `reused` do not run: what an earlier run left of them is there already.
    Raises BadParameters with a sentence for each field, ProjectError when the project cannot run at all, NotNow when
    the pipeline skips what comes while a run is going; started by no person, it is a run that is cancelled at once.
    """
    if idempotency_key and (known := Run.objects.filter(idempotency_key=idempotency_key).first()):
        return known
    snapshot = snapshot_of(pipeline)
    nodes = nodes_of(pipeline, snapshot, selection)
    todo = [node for node in nodes if node.name not in reused]
    asked = runtime.merge(pipeline.default_parameters, parameters or {})
    structure = snapshot.pipeline(pipeline.name)
    run = Run(
        pipeline=pipeline,
        snapshot=snapshot,
        cause=cause,
        requested_by=by,
        requested_by_name=by_name or (by.get_username() if by else ""),
        parameters=runtime.check(asked, picture=snapshot.picture, pipeline=structure),
        runner=runner or pipeline.runner,
        nodes=[] if selection.is_whole else [node.name for node in nodes],
        idempotency_key=idempotency_key,
        created_at=at,
        revision=snapshot.revision,
        nodes_total=len(nodes),
        nodes_done=len(nodes) - len(todo),
        writes=unversioned(todo, snapshot) if pipeline.locks_outputs else {},
        **_chain(facts.get("caused_by"), facts.get("retry_of")),
        **{"is_resumable": pipeline.is_resumable or (runner or pipeline.runner) == Runner.DISTRIBUTED, **facts},
    )
    try:
        _commit(run, nodes, todo, at=at)
    except NotNow as refusal:
        if cause not in UNWATCHED:
            raise
        _commit_skipped(run, nodes, str(refusal), at=at)
    except IntegrityError:
        if idempotency_key:  # two asked at once: the first one's run is the answer to both
            return Run.objects.get(idempotency_key=idempotency_key)
        raise
    return run


def _chain(caused_by: Run | None, retry_of: Run | None) -> dict[str, Any]:
    """What a run has of the chain that it is in: a follower comes next, a retry stands in the place of the old one."""
    before = caused_by or retry_of
    if before is None:
        return {}
    iteration = before.iteration + 1 if caused_by else before.iteration
    place = {} if caused_by else {"is_side_job": before.is_side_job}
    return {"root_id": before.root_number, "due_at": before.due_at, "iteration": iteration, **place}


def snapshot_of(pipeline: Pipeline) -> Snapshot:
    """The project's newest picture; ProjectError when there is none."""
    snapshot = pipeline.project.snapshot
    if snapshot is None:
        raise ProjectError(
            f"The project {pipeline.project.name} was never read: "
            f"`python manage.py project check {pipeline.project.name}` does it."
        )
    return snapshot


def nodes_of(pipeline: Pipeline, snapshot: Snapshot, selection: Selection) -> list[SnapshotNode]:
    """The chosen nodes in topological order; UnknownPipeline, or BadParameters for a choice that cannot be."""
    structure = snapshot.pipeline(pipeline.name)
    if structure is None:
        raise UnknownPipeline(pipeline.name, [])
    return choose(structure, selection)


def _commit(run: Run, nodes: list[SnapshotNode], todo: list[SnapshotNode], *, at: datetime) -> None:
    by = run.requested_by_name or run.cause
    with transaction.atomic():
        if run.pipeline.overlap == Overlap.CANCEL:
            following.lock(run.pipeline_id)
        older = line_up(run)
        run.save(force_insert=True)
        run.begin(at=at, by=by, reason=run.cause_detail)
        steps = [_step(run, planned, at) for planned in plan(todo, Runner(run.runner))]
        NodeRun.objects.bulk_create(_node_run(run, node, place, todo) for place, node in enumerate(nodes))
        _send_after_commit(step for step in steps if step.ready_at)
        for other in older:
            cancel(other, at=at, by=str(run))
    if older:
        run.refresh_from_db(fields=["waits_for", "wait_reason"])


def _node_run(run: Run, node: SnapshotNode, position: int, todo: list[SnapshotNode]) -> NodeRun:
    status = NodeStatus.WAITING if node in todo else NodeStatus.REUSED
    return NodeRun(run=run, name=node.name, position=position, status=status)


def _commit_skipped(run: Run, nodes: list[SnapshotNode], reason: str, *, at: datetime) -> None:
    """Nobody waits for the answer to a schedule: that nothing was started is a row that people find."""
    with transaction.atomic():
        run.save(force_insert=True)
        run.begin(at=at, by=run.cause, reason=run.cause_detail)
        NodeRun.objects.bulk_create(
            NodeRun(run=run, name=node.name, position=position, status=NodeStatus.CANCELLED)
            for position, node in enumerate(nodes)
        )
        run.end(Status.CANCELLED, at=at, by=run.cause, reason=reason, error=reason)


def _step(run: Run, planned: PlannedStep, at: datetime) -> Step:
    return Step.objects.create(
        run=run,
        position=planned.position,
        nodes=planned.nodes,
        needs=planned.needs,
        queue=planned.queue or run.pipeline.queue,
        priority=run.pipeline.priority,
        ready_at=None if planned.needs or run.waits_for_id else at,
    )


def _send_after_commit(steps: Iterable[Step]) -> None:
    hints: list[Callable[[], object]] = [partial(send, step.pk) for step in steps]
    for hint in hints:
        transaction.on_commit(hint)
