"""Start a run: its row, its steps and its nodes are committed first, the Celery message is only a hint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from jobs.errors import (
    BadParameters,
    ConsoleError,
    EmptyPipeline,
    NoSharedStore,
    NotNow,
    ProjectError,
    UnknownPipeline,
    nearest_of,
)
from jobs.interpreters import stores
from jobs.interpreters.snapshots import take_in
from jobs.models import Loan, NodeRun, Pipeline, Run, Snapshot, Step
from jobs.models.act import record
from jobs.runs.cancel import cancel
from jobs.runs.fallbacks import plan_of, unshared
from jobs.runs.order import Order
from jobs.runs.recall import (
    Recall,
    carry_all_over,
    fresh_snapshot,
    reason_of,
    recall,
    share_stores,
    without_taking,
)
from jobs.runs.reread import reread
from jobs.runs.shared_store import check_shared
from jobs.states import Cause, NodeStatus, Overlap, Runner, Status
from jobs.steps import on_end
from jobs.steps.advance import end_if_done
from jobs.steps.dispatch import send_noted
from jobs.steps.overlap import line_up, policy_of, unversioned
from jobs.structure import parameters as runtime
from jobs.structure.content import is_fresh
from jobs.structure.parameters import as_given
from jobs.structure.plan import Plan, PlannedStep
from jobs.structure.selection import Selection, check_versions, choose, meant
from kedro_console.wire import Group, SnapshotNode

REASON_LENGTH = 300
UNWATCHED = frozenset({Cause.SCHEDULE, Cause.RULE})
"""Causes with no person who would read a refusal."""
TIMED: Final = frozenset({Cause.SCHEDULE})
"""Causes with nothing but the run itself to say what came of them."""
HURRIED: Final = frozenset({Cause.RULE, Cause.BACKFILL})
"""Causes that start a run in somebody's transaction: no project can be read there."""


def launch(order: Order, at: datetime) -> Run:
    """A queued run as ordered; with a known idempotency key, the run that it made before.

    Nodes that are reused do not run: what `retry_of` left of them is there already. When the pipeline re-runs only
    what changed, others do not either, unless `everything` is to run; a run with nothing to do succeeds at once.
    Raises BadParameters with a sentence for each field, ProjectError when the project cannot run at all, NoSharedStore
    when its workers could not hand data on to each other, NotNow when the pipeline skips what comes while a run is
    going; started by no person, it is a run that is cancelled at once, and a due time of a project that cannot run one
    that has failed.
    """
    if known := _known(order.idempotency_key):
        return known
    reread(order.pipeline.project, at=at)
    if why := order.pipeline.project.refusal(order.pipeline.name):
        return _refuse(ProjectError(why), order, at)
    try:
        wish = _planned(order, at)
    except (EmptyPipeline, NoSharedStore) as error:
        return _refuse(error, order, at)
    return _commit_once(wish, at=at)


def _known(idempotency_key: str | None) -> Run | None:
    """The run of this key: of two who ask, also at once, the first one's run is the answer to both."""
    return Run.objects.of_key(idempotency_key) if idempotency_key else None


def _planned(order: Order, at: datetime) -> _Wish:
    """The run as it is to be, in the newest picture of the project; raises what `launch` raises."""
    pipeline, selection = order.pipeline, order.selection
    snapshot = snapshot_of(pipeline, selection.env, at=at, may_read=order.cause not in HURRIED)
    looks_back = pipeline.reuses_content and not (selection.only_missing_outputs or selection.load_versions)
    if looks_back:
        snapshot = fresh_snapshot(pipeline, snapshot, at=at)
    nodes = nodes_of(pipeline, snapshot, selection)
    check_versions(snapshot.picture, selection.load_versions)
    asked = runtime.check(
        order.parameters,
        picture=snapshot.picture,
        pipeline=snapshot.pipeline(pipeline.name),
        defaults=pipeline.default_parameters,
    )
    found = Recall()
    if looks_back:
        found = recall(pipeline, snapshot, nodes, asked)
        is_fixed = order.reuse.nodes or order.everything
        found = without_taking(found, order.reuse.nodes, order.retry_of) if is_fixed else found
    wish = _wish(order, _row_of(order, at, parameters=asked), snapshot, nodes, found)
    check_shared(wish.run, wish.plan, at)
    return wish


def _row_of(order: Order, at: datetime, *, parameters: Group) -> Run:
    """The run as it was asked for; what its project makes of it comes next."""
    return Run(
        uuid=order.uuid,
        pipeline=order.pipeline,
        cause=order.cause,
        cause_detail=order.cause_detail,
        requested_by=order.by,
        requested_by_name=order.requested_by_name,
        parameters=dict(parameters),
        selection=order.selection.stored,
        kedro_env=order.selection.env or order.pipeline.project.kedro_env,
        runner=order.runner or order.pipeline.runner,
        tags=list(order.tags),
        idempotency_key=order.idempotency_key,
        due_at=order.due_at,
        retry_of=order.retry_of,
        is_resumption=order.is_resumption,
        caused_by=order.caused_by,
        is_side_job=order.is_side_job,
        overlap=order.overlap,
        created_at=at,
    )


def _wish(order: Order, run: Run, snapshot: Snapshot, chosen: list[SnapshotNode], found: Recall) -> _Wish:
    """The run with what follows from its nodes and from what it need not do."""
    pipeline, reuse = order.pipeline, order.reuse
    todo = [node for node in chosen if node.name not in reuse.nodes and node.name not in found.taken]
    plan = plan_of(pipeline, snapshot, todo, run.runner)
    run.snapshot, run.revision, run.plan_reason = snapshot, snapshot.revision, plan.reason
    run.nodes = [] if order.selection.is_whole else [node.name for node in chosen]
    run.nodes_total, run.nodes_done = len(chosen), len(chosen) - len(todo)
    run.load_versions = {**found.versions, **reuse.load_versions, **order.selection.load_versions}
    run.unshared = unshared(chosen, snapshot, unshareable=pipeline.unshareable)
    run.writes = unversioned(chosen if found.taken else todo, snapshot.picture) if pipeline.locks_outputs else {}
    is_kept = reuse.is_resumable
    run.is_resumable = _is_resumable(pipeline, run.runner) if is_kept is None else is_kept
    place = store_url_of(pipeline, run.uuid)
    run.has_copies = not run.is_resumable and pipeline.copies_mb > 0 and "://" not in place
    run.store_url = place if run.is_resumable or run.has_copies else ""
    _join_chain(run)
    priority = pipeline.priority if order.priority is None else order.priority
    return _Wish(run, chosen, todo, plan, found, reuse.loans, priority, order.with_run)


def _is_resumable(pipeline: Pipeline, runner: str) -> bool:
    return pipeline.is_resumable or pipeline.reuses_content or runner == Runner.DISTRIBUTED


@dataclass(frozen=True)
class _Wish:
    """A run that is not written yet, with all that it consists of."""

    run: Run
    nodes: list[SnapshotNode]
    todo: list[SnapshotNode]
    plan: Plan
    found: Recall
    loans: stores.Loans
    priority: int
    with_run: Callable[[Run], None] | None = None


def _commit_once(wish: _Wish, *, at: datetime) -> Run:
    """The run; the one that two who asked at once both get, or one that was skipped, when that is the answer."""
    run = wish.run
    try:
        loans = {**wish.loans, **share_stores(wish.found, run, wish.nodes)}
        _commit(replace(wish, loans=loans), at=at)
    except NotNow as refusal:
        _forget_files(wish)
        if run.cause not in UNWATCHED or wish.with_run:  # a due time keeps by itself why it started nothing
            raise
        _commit_skipped(run, wish.nodes, str(refusal), at=at)
    except IntegrityError:
        _forget_files(wish)
        if first := _known(run.idempotency_key):
            return first
        raise
    except BaseException:
        _forget_files(wish)
        raise
    return run


def _join_chain(run: Run) -> None:
    """A follower comes next in the chain of the run before it, a retry stands in the place of the old one."""
    before = run.caused_by or run.retry_of
    if before is None:
        return
    run.root_id, run.due_at = before.root_number, before.due_at
    run.iteration = before.iteration + 1 if run.caused_by else before.iteration
    if not run.caused_by:
        run.is_side_job = before.is_side_job


def _forget_files(wish: _Wish) -> None:
    """What was shared with a run that does not come to be."""
    if wish.found.taken:
        stores.unshare(wish.run)


def store_url_of(pipeline: Pipeline, uuid: UUID) -> str:
    """Where a run's store lies when its project or the setting names a place; empty: in the run's folder."""
    place = pipeline.project.store_url.rstrip("/") or settings.CONSOLE_RUN_STORE
    return f"{place}/{uuid}" if place else ""


def check_choices(pipeline: Pipeline, selection: Selection, *, at: datetime) -> Snapshot:
    """The picture in which they hold; raises what a launch would raise today."""
    snapshot = snapshot_of(pipeline, selection.env, at=at)
    nodes_of(pipeline, snapshot, selection)
    check_versions(snapshot.picture, selection.load_versions)
    return snapshot


def snapshot_of(pipeline: Pipeline, env: str = "", *, at: datetime, may_read: bool = True) -> Snapshot:
    """The project's newest picture, in the Kedro environment that was asked for.

    The picture of another environment than the project's own is read again when it is old: that takes seconds, for
    which a transaction that ends a run has no time (`may_read`).

    ProjectError when there is none, BadParameters for an environment that the project does not have.
    """
    project = pipeline.project
    snapshot = project.snapshot
    if snapshot is None:
        command = f"{settings.CONSOLE_COMMAND} project check {project.name}"
        raise ProjectError(f"The project {project.name} was never read: `{command}` does it.")
    if env in ("", project.kedro_env):
        return snapshot
    _check_env(env, snapshot)
    known = project.snapshot_in(env)
    if known and (not may_read or (known.revision == snapshot.revision and is_fresh(known, project))):
        return known
    return take_in(project, env, at=at)


def _check_env(env: str, snapshot: Snapshot) -> None:
    known = snapshot.picture.environments
    if (known and env not in known) or env.startswith((".", "/", "-")):
        raise BadParameters({"env": f"The project has no Kedro environment “{env}”.{meant(env, known)}"})


def nodes_of(pipeline: Pipeline, snapshot: Snapshot, selection: Selection) -> list[SnapshotNode]:
    """The chosen nodes in topological order; UnknownPipeline, or BadParameters for a choice that cannot be."""
    structure = snapshot.pipeline(pipeline.name)
    if structure is None:
        names = [each.name for each in snapshot.picture.pipelines]
        nearest = nearest_of(pipeline.name, names)
        raise UnknownPipeline(pipeline.name, nearest, project=pipeline.project.name)
    return choose(structure, selection, kedro=snapshot.kedro_version)


def _commit(wish: _Wish, *, at: datetime) -> None:
    run = wish.run
    by = run.requested_by_name or run.cause
    with transaction.atomic():
        if policy_of(run) == Overlap.CANCEL or not wish.todo:
            on_end.lock(run.pipeline_id)
        older = line_up(run) if wish.todo else []
        run.save(force_insert=True)
        run.begin(at=at, by=by, reason=run.cause_detail)
        if wish.with_run:
            wish.with_run(run)
        steps = [_step(wish, planned, at) for planned in wish.plan.steps]
        NodeRun.objects.bulk_create(_node_run(wish, node, place) for place, node in enumerate(wish.nodes))
        carry_all_over(wish.found, run, wish.nodes, at)
        loans = sorted((place, sorted(files)) for place, files in wish.loans.items())
        Loan.objects.bulk_create(Loan(run=run, place=place, files=files) for place, files in loans)
        _record(run)
        transaction.on_commit(partial(send_noted, [step for step in steps if step.ready_at]))
        for other in older:
            cancel(other, at=at, by=str(run))
        if not wish.todo:
            run.start(at=at, by=by)
            end_if_done(run, at=at, by=by)
    if older:
        run.refresh_from_db(fields=["waits_for", "wait_reason"])


def _record(run: Run) -> None:
    """What a person had started; what follows from it by a rule or a backfill is told by the run itself."""
    if run.cause in (Cause.RULE, Cause.SCHEDULE, Cause.BACKFILL):
        return
    verb = "started" if run.retry_of is None else "resumed" if run.is_resumption else "retried"
    facts = {"parameters": as_given(run.parameters), "choices": run.selection, "runner": run.runner}
    if run.retry_of is not None:
        facts["run"] = run.retry_of.pk
    record(verb, run, after={name: value for name, value in facts.items() if value})


def _node_run(wish: _Wish, node: SnapshotNode, position: int) -> NodeRun:
    row = NodeRun(run=wish.run, name=node.name, position=position, status=NodeStatus.WAITING)
    row.content, row.content_key = wish.found.contents.parts.get(node.name), wish.found.contents.key(node.name)
    row.reason = wish.found.reasons.get(node.name, "")[:REASON_LENGTH]
    if node not in wish.todo:
        row.status, row.taken_from = NodeStatus.REUSED, wish.found.taken.get(node.name, wish.run.retry_of)
        row.reason = reason_of(wish.found.taken[node.name]) if node.name in wish.found.taken else ""
    return row


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


def _refuse(error: ConsoleError, order: Order, at: datetime) -> Run:
    """Whoever asked hears why; of a due time, of which nobody would hear, there is a run."""
    if order.cause not in TIMED:
        raise error
    return _commit_refused(order, str(error), at=at)


def _commit_refused(order: Order, why: str, *, at: datetime) -> Run:
    """A due time for which the project cannot run is a failed run: people find it, and rules may follow it."""
    snapshot = order.pipeline.project.snapshot
    structure = snapshot.pipeline(order.pipeline.name) if snapshot else None
    names = [node.name for node in structure.nodes] if structure else []
    run = _row_of(order, at, parameters=order.parameters)
    run.snapshot, run.nodes_total = snapshot, len(names)
    try:
        with transaction.atomic():
            on_end.lock(run.pipeline_id)
            run.save(force_insert=True)
            run.begin(at=at, by=run.cause, reason=run.cause_detail)
            NodeRun.objects.bulk_create(
                NodeRun(run=run, name=name, position=position, status=NodeStatus.BLOCKED)
                for position, name in enumerate(names)
            )
            run.start(at=at, by=run.cause).end(Status.FAILED, at=at, by=run.cause, reason=why, error=why)
            if order.with_run:
                order.with_run(run)
            on_end.run_ended(run, at)
    except IntegrityError:
        if first := _known(run.idempotency_key):
            return first
        raise
    return run


def _step(wish: _Wish, planned: PlannedStep, at: datetime) -> Step:
    run = wish.run
    ready_at = None if planned.needs or run.waits_for_id else at
    return Step.objects.create(
        run=run,
        position=planned.position,
        nodes=planned.nodes,
        needs=planned.needs,
        queue=planned.queue or run.pipeline.queue,
        priority=wish.priority,
        ready_at=ready_at,
        sent_at=ready_at,  # told right after the commit: to write that down then would stand in the worker's way
    )
