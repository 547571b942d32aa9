"""What follows when a step ends: its facts, the steps after it and the end of its run are one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest

from jobs.batches.batches import settle
from jobs.library.shelve import shelve
from jobs.models import Artifact, NodeRun, Run, Step, UnkeptFile
from jobs.quotas.quotas import settle_run, settle_step
from jobs.states import FINAL, NODE_LIVE, NodeStatus, Status
from jobs.steps import on_end, uploads
from jobs.steps.dispatch import send, send_all
from jobs.steps.overlap import release
from jobs.steps.retry_policy import Retry, after_failure, tell_wait
from jobs.steps.steps_as_one import has_to_merge, merge, with_makers
from jobs.steps.writer import Writer
from kedro_console import wire
from kedro_console.wire import Json

BLOCKED = "A step that it needs did not succeed."
SHOWN = 3
FILES_AT_ONCE = 1_000


@dataclass(frozen=True)
class Outcome:
    """How a step ended, as its supervisor or the reconciler knows it."""

    status: Status
    error: str = ""
    may_retry: bool = False
    is_free: bool = False
    """The next attempt does not count against the retries (the worker was stopped on purpose)."""
    failure: wire.RunFailed | None = None
    """The exception that ended it, when the pipeline's policy may know another attempt."""
    facts: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    artifacts: list[dict[str, Json]] = field(default_factory=list)
    uploads: list[dict[str, Json]] = field(default_factory=list)
    unkept: list[dict[str, str]] = field(default_factory=list)
    warning: str = ""


def finish(
    step: Step,
    outcome: Outcome,
    *,
    token: uuid.UUID | None,
    at: datetime,
    by: str,
    writer: Writer | None = None,
) -> None:
    """End the step, queue what became ready, end the run with its last step. LeaseLost: it was another's.

    What the writer has not written yet is written in the same transaction.
    """
    with transaction.atomic():
        on_end.lock(step.run.pipeline_id)
        if writer:
            writer.lock_followers()
        run = Run.objects.select_for_update(of=("self",)).select_related("pipeline").get(pk=step.run_id)
        outcome = _as_asked(run, outcome)
        end_step(run, step, outcome, token=token, at=at, by=by, writer=writer)
        if outcome.status == Status.SUCCEEDED:
            ready = make_ready(step, at)
            transaction.on_commit(partial(send_all, ready))
        elif _may_try_again(run, step, outcome):
            _queue_again(step, at=at, by=by, reason=outcome.error)
        elif outcome.failure and has_to_merge(run, outcome.failure):
            _queue_merged(run, step, outcome.failure, at=at, by=by)
        elif retry := after_failure(run, step, outcome.failure, at):
            _queue_again(step, at=at, by=by, reason=retry.reason, retry=retry)
        else:
            _close_nodes(step, outcome, at)
            _block_followers(step, at=at, by=by)
        end_if_done(run, at=at, by=by)


def _as_asked(run: Run, outcome: Outcome) -> Outcome:
    """A process that has gone silently, of a run that was asked to stop, has stopped as asked."""
    if outcome.status != Status.CRASHED or run.cancel_requested_at is None:
        return outcome
    return replace(outcome, status=Status.CANCELLED, error=f"Cancelled; {outcome.error[:1].lower()}{outcome.error[1:]}")


def end_step(
    run: Run,
    step: Step,
    outcome: Outcome,
    *,
    token: uuid.UUID | None,
    at: datetime,
    by: str,
    writer: Writer | None,
) -> None:
    """Within a transaction that has locked the run: the step's end, and what is known of it."""
    facts = {**(writer.facts if writer else {}), **outcome.facts, "is_handed_back": outcome.is_free}
    step.end(outcome.status, token, at=at, by=by, error=outcome.error, **facts)
    if writer is None or writer.heard.has_asked or outcome.status != Status.SUCCEEDED:
        settle_step(step, outcome.status, at)
    known = _results(run, outcome, at)
    if writer:
        writer.write(run, **known)
    else:
        Run.objects.filter(pk=run.pk).update(**known)


def _results(run: Run, outcome: Outcome, at: datetime) -> dict[str, Any]:
    """What the step adds to what the run says of itself."""
    known: dict[str, Any] = {"peak_memory_bytes": max(run.peak_memory_bytes, outcome.facts.get("peak_memory_bytes", 0))}
    if outcome.uploads:
        uploads.wait(outcome.uploads, at)
    if outcome.warning:
        known["warning"] = outcome.warning
    if outcome.unkept:
        _note_unkept(run, outcome, at)
    if outcome.results or outcome.artifacts or run.results is None:
        known["results"] = {**(run.results or {}), **outcome.results}
        for artifact in _keep_artifacts(run, outcome, known["results"], at):
            known["results"][artifact.dataset]["artifact"] = str(artifact.uuid)
    return known


def _keep_artifacts(run: Run, outcome: Outcome, results: Collection[str], at: datetime) -> list[Artifact]:
    """Rows of what is not there yet, some at a time; those that are of these results."""
    shown: list[Artifact] = []
    for start in range(0, len(outcome.artifacts), FILES_AT_ONCE):
        rows = outcome.artifacts[start : start + FILES_AT_ONCE]
        datasets, names = ({row[column] for row in rows} for column in ("dataset", "name"))
        alike = run.artifacts.filter(dataset__in=datasets, name__in=names)
        known = set(alike.values_list("dataset", "name"))
        new = [row for row in rows if (row["dataset"], row["name"]) not in known]
        made = Artifact.objects.bulk_create(Artifact(run=run, created_at=at, **row) for row in new)
        shown += [artifact for artifact in made if artifact.dataset in results]
    return shown


def _note_unkept(run: Run, outcome: Outcome, at: datetime) -> None:
    """What is left behind and not kept; of one name given twice the last counts."""
    UnkeptFile.objects.bulk_create(
        (UnkeptFile(run=run, created_at=at, **row) for row in outcome.unkept),
        batch_size=FILES_AT_ONCE,
        update_conflicts=True,
        unique_fields=["run", "dataset", "name"],
        update_fields=["node", "path", "reason", "created_at"],
    )


def make_ready(step: Step, at: datetime) -> list[int]:
    """Release the steps that waited for this one last, of which Celery is told after the commit; their keys."""
    steps = Step.objects.filter(run_id=step.run_id).order_by()
    waiting = steps.filter(status=Status.QUEUED, ready_at=None).values_list("pk", "needs")
    near = {pk: set(needs) for pk, needs in waiting if step.position in needs}
    if not near:
        return []
    done = {step.position, *steps.filter(status=Status.SUCCEEDED).values_list("position", flat=True)}
    ready = [pk for pk, needs in near.items() if needs <= done]
    if ready:
        Step.objects.filter(pk__in=ready).update(ready_at=at, sent_at=at)
    return ready


def _may_try_again(run: Run, step: Step, outcome: Outcome) -> bool:
    if outcome.status != Status.CRASHED:
        return False
    crashes = run.steps.filter(position=step.position, status=Status.CRASHED, is_handed_back=False).count()
    return outcome.is_free or (outcome.may_retry and crashes <= run.pipeline.crash_retries)


def _queue_again(step: Step, *, at: datetime, by: str, reason: str, retry: Retry | None = None) -> None:
    """A new attempt is a new row; its nodes start over, after an exception at the time that the policy gives."""
    again = Step.objects.create(
        run_id=step.run_id,
        position=step.position,
        attempt=step.attempt + 1,
        nodes=_left_to_do(step) if retry else step.nodes,
        needs=step.needs,
        queue=step.queue,
        priority=step.priority,
        ready_at=at,
        eligible_at=retry.due if retry else None,
        wait_reason=retry.reason if retry else "",
    )
    again.begin(at=at, by=by, reason=reason)
    _start_over(step, again)
    if retry:
        tell_wait(step.run_id)
    else:
        transaction.on_commit(partial(send, again.pk))


def _queue_merged(run: Run, step: Step, failure: wire.RunFailed, *, at: datetime, by: str) -> None:
    """The same step once more, together with the steps that wait for the value that it could not give away."""
    left = _left_to_do(step)
    names = [*left, *merge(run, step, failure.dataset, at=at, by=by)]
    nodes = _in_order(run, with_makers(run, names, {*step.nodes, *names}))
    done = set(run.steps.filter(status=Status.SUCCEEDED).values_list("position", flat=True))
    again = Step.objects.create(
        run=run,
        position=step.position,
        attempt=step.attempt + 1,
        nodes=nodes,
        needs=step.needs,
        queue=step.queue,
        priority=step.priority,
        ready_at=at if set(step.needs) <= done else None,
    )
    again.begin(at=at, by=by, reason=f"{failure.dataset} stays in its process.")
    _start_over(step, again)
    if again.ready_at:
        transaction.on_commit(partial(send, again.pk))


def _in_order(run: Run, names: set[str]) -> list[str]:
    return list(run.node_runs.filter(name__in=names).order_by("position").values_list("name", flat=True))


def _left_to_do(step: Step) -> list[str]:
    """What a resumable run kept of this attempt is not made again."""
    run = step.run
    if not run.is_resumable:
        return list(step.nodes)
    nodes = NodeRun.objects.filter(Q(step=step) | Q(name__in=step.nodes), run_id=step.run_id)
    left = set(nodes.exclude(status=NodeStatus.SUCCEEDED).values_list("name", flat=True))
    if run.unshared:
        left = with_makers(run, left, step.nodes)
    return _in_order(run, left) or list(step.nodes)


def _start_over(step: Step, again: Step) -> None:
    """The nodes that the new attempt runs wait again; what the last one said of them stays until then."""
    UnkeptFile.objects.filter(run_id=step.run_id, node__in=again.nodes).delete()
    nodes = NodeRun.objects.filter(run_id=step.run_id)
    if step.run.is_resumable:
        nodes = nodes.filter(name__in=again.nodes)
    else:
        nodes = nodes.filter(Q(step=step) | Q(name__in=again.nodes))  # also those that the snapshot did not know
    done = nodes.filter(status=NodeStatus.SUCCEEDED).count()
    nodes.update(status=NodeStatus.WAITING, started_at=None, finished_at=None, seconds=None, progress=None)
    Run.objects.filter(pk=step.run_id).update(nodes_done=Greatest(F("nodes_done") - done, 0))


def _close_nodes(step: Step, outcome: Outcome, at: datetime) -> None:
    """No node of an ended step may look alive."""
    mine = NodeRun.objects.filter(Q(step=step) | Q(name__in=step.nodes), run_id=step.run_id)
    alive = mine.filter(status__in=sorted(NODE_LIVE))
    running = alive.filter(status=NodeStatus.RUNNING)
    running.update(status=NodeStatus(outcome.status), finished_at=at, error=outcome.error)
    waiting = NodeStatus.CANCELLED if outcome.status == Status.CANCELLED else NodeStatus.BLOCKED
    alive.filter(status=NodeStatus.WAITING).update(status=waiting)


def _block_followers(step: Step, *, at: datetime, by: str) -> None:
    """Steps that need this one, directly or through others, will not run."""
    steps = [other for other in step.run.steps.newest_attempts() if other.status == Status.QUEUED]
    blocked = {step.position}
    for other in sorted(steps, key=lambda row: row.position):
        if set(other.needs) & blocked:
            blocked.add(other.position)
            other.end(Status.CANCELLED, None, at=at, by=by, error=BLOCKED)
            nodes = NodeRun.objects.filter(run_id=step.run_id, name__in=other.nodes, status=NodeStatus.WAITING)
            nodes.update(status=NodeStatus.BLOCKED)


def end_if_done(run: Run, *, at: datetime, by: str) -> None:
    """End the run when none of its steps is left to run; its status is the worst of theirs."""
    if run.is_final or run.steps.exclude(status__in=sorted(FINAL)).exists():
        return
    status, error = _verdict(run, list(run.steps.newest_attempts().only("status", "error")))
    NodeRun.objects.filter(run=run, status=NodeStatus.WAITING).update(
        status=NodeStatus.CANCELLED if status == Status.CANCELLED else NodeStatus.BLOCKED
    )
    facts = {} if run.started_at or status in (Status.CANCELLED, Status.CRASHED) else {"started_at": at}
    run.end(status, at=at, by=by, reason=error, error=error, **facts)
    settle_run(run, at)
    settle(run, at)
    release(run, at)
    on_end.run_ended(run, at)
    shelve(run)


def _while(run: Run) -> str:
    """Which nodes were at work when it was cancelled."""
    stopped = run.node_runs.filter(status=NodeStatus.CANCELLED, started_at__isnull=False).order_by("position")
    names = list(stopped.values_list("name", flat=True)[: SHOWN + 1])
    more = " and others" if len(names) > SHOWN else ""
    return f" while {' and '.join(names[:SHOWN])}{more} ran"[:500] if names else ""


def _verdict(run: Run, steps: list[Step]) -> tuple[Status, str]:
    by_status = {status: [step for step in steps if step.status == status] for status in FINAL}
    if run.cancel_requested_at and by_status[Status.CANCELLED]:
        return Status.CANCELLED, f"Cancelled by {run.cancel_requested_by or 'somebody'}{_while(run)}."
    for status in (Status.CRASHED, Status.FAILED):
        if by_status[status]:
            return status, next((step.error for step in by_status[status] if step.error), "")
    return Status.SUCCEEDED, ""
