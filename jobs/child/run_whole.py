"""Run in one process what was to be divided: the pipeline has other nodes there than when the project was read."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import transaction

from jobs.models import Run, Step
from jobs.states import NODE_DONE, Runner, Status
from jobs.steps.advance import end_if_done

WHY = "The pipeline's nodes are not those it had when the project was read, so it cannot be divided into steps."


def take_all(step: Step, token: uuid.UUID, *, at: datetime, by: str) -> bool:
    """Give all nodes of the run to this step; False when that cannot be: something of it has run, or is to stop."""
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=step.run_id)
        if run.runner != Runner.DISTRIBUTED or run.begun_with or run.cancel_requested_at is not None:
            return False
        if run.node_runs.filter(status__in=sorted(NODE_DONE)).exists():
            return False
        nodes = list(run.node_runs.order_by("position").values_list("name", flat=True))
        step.record(token, nodes=nodes, needs=[])
        others = list(run.steps.filter(status=Status.QUEUED))
        for other in others:
            other.end(Status.CANCELLED, None, at=at, by=by, error=WHY, merged_into=step.position)
        if others:
            run.plan_reason = f"1 step instead of {run.steps.count()}. {WHY}"
        run.runner = Runner.SEQUENTIAL
        Run.objects.filter(pk=run.pk).update(runner=run.runner, plan_reason=run.plan_reason)
    step.nodes, step.needs, step.run.runner, step.run.plan_reason = nodes, [], run.runner, run.plan_reason
    return True


def was_taken(step: Step, token: uuid.UUID, *, at: datetime, by: str) -> bool:
    """Whether another step has all nodes of the run by now; then this one has ended."""
    with transaction.atomic():
        run = Run.objects.select_for_update(of=("self",)).select_related("pipeline").get(pk=step.run_id)
        taker = (
            run.steps.exclude(pk=step.pk)
            .filter(merged_into=None, status__in=[Status.RUNNING, Status.SUCCEEDED])
            .first()
        )
        if run.runner == Runner.DISTRIBUTED or WHY not in run.plan_reason or taker is None:
            return False
        step.end(Status.CANCELLED, token, at=at, by=by, error=WHY, merged_into=taker.position)
        end_if_done(run, at=at, by=by)
    return True
