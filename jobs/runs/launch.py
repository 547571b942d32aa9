"""Start a run: its row, its steps and its nodes are committed first, the Celery message is only a hint."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from jobs.errors import BadParameters, ConsoleError, EmptyPipeline, NotNow, ProjectError, UnknownPipeline, nearest_of
from jobs.interpreters import stores
from jobs.interpreters.snapshots import take_in
from jobs.models import NodeRun, Pipeline, Run, Snapshot, Step
from jobs.runs.cancel import cancel
from jobs.runs.fallbacks import plan_of, unshared
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
from jobs.states import Cause, NodeStatus, Overlap, Runner, Status
from jobs.steps import on_end
from jobs.steps.advance import end_if_done
from jobs.steps.dispatch import send_noted
from jobs.steps.overlap import line_up, unversioned
from jobs.structure import parameters as runtime
from jobs.structure.content import is_fresh
from jobs.structure.plan import Plan, PlannedStep
from jobs.structure.selection import Selection, check_versions, choose, meant
from kedro_console.wire import SnapshotNode

if TYPE_CHECKING:
    from django.contrib.auth.models import User

WHOLE = Selection()
REASON_LENGTH = 300
UNWATCHED = frozenset({Cause.SCHEDULE, Cause.RULE, Cause.BACKFILL})
"""Causes with no person who would read a refusal."""
TIMED: Final = frozenset({Cause.SCHEDULE, Cause.BACKFILL})
"""Causes with nothing but the run itself to say what came of them."""


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
    everything: bool = False,
    **facts: Any,
) -> Run:
    """A queued run of this pipeline; with a known idempotency key the run that it made before.

    Nodes that are `reused` do not run: what `retry_of` left of them is there already. When the pipeline re-runs only
    what changed, others do not either, unless `everything` is to run; a run with nothing to do succeeds at once.
    Raises BadParameters with a sentence for each field, ProjectError when the project cannot run at all, NotNow when
    the pipeline skips what comes while a run is going; started by no person, it is a run that is cancelled at once,
    and a due time of a project that cannot run one that has failed.
    """
    if known := _known(idempotency_key):
        return known
    facts |= {"cause": cause, "runner": runner or pipeline.runner, "idempotency_key": idempotency_key}
    asked = {**facts, "parameters": parameters or {}}
    reread(pipeline.project, at=at)
    if why := pipeline.project.refusal(pipeline.name):
        return _refuse(ProjectError(why), pipeline, selection, at=at, **asked)
    facts |= {"requested_by": by, "requested_by_name": by_name or (by.get_username() if by else "")}
    try:
        wish = _planned(pipeline, selection, parameters or {}, reused, everything=everything, at=at, **facts)
    except EmptyPipeline as error:
        return _refuse(error, pipeline, selection, at=at, **asked)
    return _commit_once(wish, at=at)


def _known(idempotency_key: str | None) -> Run | None:
    """The run of this key: of two who ask, also at once, the first one's run is the answer to both."""
    return Run.objects.filter(idempotency_key=idempotency_key).first() if idempotency_key else None


def _planned(
    pipeline: Pipeline,
    selection: Selection,
    parameters: dict[str, Any],
    reused: Collection[str],
    *,
    everything: bool,
    at: datetime,
    **facts: Any,
) -> _Wish:
    """The run as it is to be, in the newest picture of the project; raises what `launch` raises."""
    snapshot = snapshot_of(pipeline, selection.env, at=at, may_read=facts["cause"] != Cause.RULE)
    looks_back = pipeline.reuses_content and not (selection.only_missing_outputs or selection.load_versions)
    if looks_back:
        snapshot = fresh_snapshot(pipeline, snapshot, at=at)
    nodes = nodes_of(pipeline, snapshot, selection)
    check_versions(snapshot.picture, selection.load_versions)
    asked = runtime.check(
        parameters,
        picture=snapshot.picture,
        pipeline=snapshot.pipeline(pipeline.name),
        defaults=pipeline.default_parameters,
    )
    found = Recall()
    if looks_back:
        found = recall(pipeline, snapshot, nodes, asked)
        found = without_taking(found, reused, facts.get("retry_of")) if reused or everything else found
    facts |= {"parameters": asked, "selection": selection, "created_at": at}
    facts["nodes"] = [] if selection.is_whole else [node.name for node in nodes]
    return _wish(pipeline, snapshot, nodes, found, reused, **facts)


def _wish(
    pipeline: Pipeline,
    snapshot: Snapshot,
    chosen: list[SnapshotNode],
    found: Recall,
    reused: Collection[str],
    **facts: Any,
) -> _Wish:
    """The run with what follows from its nodes and from what it need not do."""
    todo = [node for node in chosen if node.name not in reused and node.name not in found.taken]
    plan = plan_of(pipeline, snapshot, todo, facts["runner"])
    selection: Selection = facts.pop("selection")
    facts["load_versions"] = {**found.versions, **facts.get("load_versions", {}), **selection.load_versions}
    facts.setdefault("is_resumable", _is_resumable(pipeline, facts["runner"]))
    run = Run(
        pipeline=pipeline,
        snapshot=snapshot,
        revision=snapshot.revision,
        nodes_total=len(chosen),
        nodes_done=len(chosen) - len(todo),
        **_chain(facts.get("caused_by"), facts.get("retry_of")),
        plan_reason=plan.reason,
        selection=selection.stored,
        kedro_env=selection.env or pipeline.project.kedro_env,
        unshared=unshared(chosen, snapshot, unshareable=pipeline.unshareable),
        writes=unversioned(chosen if found.taken else todo, snapshot) if pipeline.locks_outputs else {},
        **facts,
    )
    run.store_url = store_url_of(pipeline, run.uuid) if run.is_resumable else ""
    return _Wish(run, chosen, todo, plan, found)


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


def _commit_once(wish: _Wish, *, at: datetime) -> Run:
    """The run; the one that two who asked at once both get, or one that was skipped, when that is the answer."""
    run = wish.run
    try:
        share_stores(wish.found, run, wish.nodes)
        _commit(wish, at=at)
    except NotNow as refusal:
        _forget_files(wish)
        if run.cause not in UNWATCHED:
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


def _chain(caused_by: Run | None, retry_of: Run | None) -> dict[str, Any]:
    """What a run has of the chain that it is in: a follower comes next, a retry stands in the place of the old one."""
    before = caused_by or retry_of
    if before is None:
        return {}
    iteration = before.iteration + 1 if caused_by else before.iteration
    place = {} if caused_by else {"is_side_job": before.is_side_job}
    return {"root_id": before.root_number, "due_at": before.due_at, "iteration": iteration, **place}


def _forget_files(wish: _Wish) -> None:
    """What was shared with a run that does not come to be."""
    if wish.found.taken:
        shutil.rmtree(wish.run.folder, ignore_errors=True)
        with suppress(ProjectError):
            stores.drop(wish.run.pipeline.project, list(filter(None, [wish.run.store_url])))


def store_url_of(pipeline: Pipeline, uuid: UUID) -> str:
    """Where a run's store lies when its project names an address; empty: in the run's folder."""
    place = pipeline.project.store_url.rstrip("/")
    return f"{place}/{uuid}" if place else ""


def check_choices(pipeline: Pipeline, selection: Selection, *, at: datetime) -> Snapshot:
    """The picture in which they hold; raises what a launch would raise today."""
    snapshot = snapshot_of(pipeline, selection.env, at=at)
    nodes_of(pipeline, snapshot, selection)
    check_versions(snapshot.picture, selection.load_versions)
    return snapshot


def snapshot_of(pipeline: Pipeline, env: str = "", *, at: datetime, may_read: bool = True) -> Snapshot:
    """The project's newest picture, in the Kedro environment that was asked for.

    The picture of another environment than the project's own is read anew when it is old: that takes seconds, for
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
        if run.pipeline.overlap == Overlap.CANCEL or not wish.todo:
            on_end.lock(run.pipeline_id)
        older = line_up(run) if wish.todo else []
        run.save(force_insert=True)
        run.begin(at=at, by=by, reason=run.cause_detail)
        steps = [_step(run, planned, at) for planned in wish.plan.steps]
        NodeRun.objects.bulk_create(_node_run(wish, node, place) for place, node in enumerate(wish.nodes))
        carry_all_over(wish.found, run, wish.nodes, at)
        transaction.on_commit(partial(send_noted, [step for step in steps if step.ready_at]))
        for other in older:
            cancel(other, at=at, by=str(run))
        if not wish.todo:
            run.start(at=at, by=by)
            end_if_done(run, at=at, by=by)
    if older:
        run.refresh_from_db(fields=["waits_for", "wait_reason"])


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


def _refuse(error: ConsoleError, pipeline: Pipeline, selection: Selection, *, at: datetime, **facts: Any) -> Run:
    """Whoever asked hears why; of a due time, of which nobody would hear, there is a run."""
    if facts["cause"] not in TIMED:
        raise error
    facts |= {"selection": selection.stored, "kedro_env": selection.env or pipeline.project.kedro_env}
    return _commit_refused(pipeline, str(error), at=at, **facts)


def _commit_refused(pipeline: Pipeline, why: str, *, at: datetime, **facts: Any) -> Run:
    """A due time for which the project cannot run is a failed run: people find it, and rules may follow it."""
    snapshot = pipeline.project.snapshot
    structure = snapshot.pipeline(pipeline.name) if snapshot else None
    names = [node.name for node in structure.nodes] if structure else []
    run = Run(pipeline=pipeline, snapshot=snapshot, nodes_total=len(names), created_at=at, **facts)
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
            on_end.run_ended(run, at)
    except IntegrityError:
        if first := _known(run.idempotency_key):
            return first
        raise
    return run


def _step(run: Run, planned: PlannedStep, at: datetime) -> Step:
    ready_at = None if planned.needs or run.waits_for_id else at
    return Step.objects.create(
        run=run,
        position=planned.position,
        nodes=planned.nodes,
        needs=planned.needs,
        queue=planned.queue or run.pipeline.queue,
        priority=run.pipeline.priority,
        ready_at=ready_at,
        sent_at=ready_at,  # told right after the commit: to write that down then would stand in the worker's way
    )
