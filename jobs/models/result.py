"""A step's result where Celery keeps results: one row each, also of a step whose message a child made unnecessary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from celery import states
from django_celery_results.models import TaskResult

from jobs.states import Status
from kedro_console.wire import Json

TASK: Final = "jobs.execute"
STATES: Final = {
    Status.SUCCEEDED: states.SUCCESS,
    Status.FAILED: states.FAILURE,
    Status.CRASHED: states.FAILURE,
    Status.CANCELLED: states.REVOKED,
}
LONGEST_WORKER: Final = 100
LONGEST_ERROR: Final = 2_000


def keep_result(
    *, task_id: str, step_id: int, worker_name: str, started_at: datetime | None, status: Status, told: dict[str, Json]
) -> None:
    """Write it with the end of the step. `told` is what `AsyncResult(task_id).get()` answers, or why it raises."""
    row = TaskResult(
        task_id=task_id,
        task_name=TASK,
        task_args=json.dumps([step_id]),
        task_kwargs="{}",
        status=STATES[status],
        result=json.dumps(told if status == Status.SUCCEEDED else _exception(status, str(told["error"]))),
        content_type="application/json",
        content_encoding="utf-8",
        meta='{"children": []}',
        worker=worker_name[:LONGEST_WORKER] or None,
        date_started=started_at,
    )
    TaskResult.objects.bulk_create([row], ignore_conflicts=True)


def _exception(status: Status, error: str) -> dict[str, Json]:
    """As Celery writes an exception down: who asks for the result gets it raised."""
    text: Sequence[str] = [error[:LONGEST_ERROR] or f"The step was {status}."]
    if status == Status.CANCELLED:
        return {"exc_type": "TaskRevokedError", "exc_message": text, "exc_module": "celery.exceptions"}
    return {"exc_type": "StepFailed", "exc_message": text, "exc_module": "jobs.errors"}
