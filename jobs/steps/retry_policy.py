"""Whether a step that failed starts again by itself, and when: its pipeline's policy, overridden by tags of nodes."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from jobs.errors import one_line
from jobs.models import Pipeline, Run, Step
from jobs.states import Status
from kedro_console import wire

TAG: Final = re.compile(r"retry[-:](\d{1,3})")  # Kedro 1.x takes no colon in a tag, older ones did
LONGEST_WAIT_SECONDS: Final = 12 * 3600
HOPELESS: Final = frozenset({"bad_parameters", "interrupted", "lent_gone"})
"""Reasons of a failure that the same attempt once more cannot change."""
REASON_LENGTH: Final = 300


@dataclass(frozen=True)
class Retry:
    """The next attempt: not before `due`; the reason says which one it is and after what."""

    due: datetime
    reason: str


def after_failure(run: Run, step: Step, failure: wire.RunFailed | None, at: datetime) -> Retry | None:
    """The next attempt of a step that has just failed like this; None when it is not to be tried again."""
    if failure is None or failure.reason in HOPELESS or run.cancel_requested_at is not None:
        return None
    number = run.steps.filter(position=step.position, status=Status.FAILED, merged_into=None).count()
    allowed = allowed_retries(run, failure.node)
    if number > allowed or not _is_named(run.pipeline.retry_exceptions, failure.failure):
        return None
    due = at + timedelta(seconds=wait_seconds(run.pipeline, number, chance=secrets.SystemRandom().random()))
    head = f"Retry {number} of {allowed} at {due:%H:%M:%S} UTC after "
    return Retry(due, f"{head}{one_line(failure.failure)}"[: REASON_LENGTH - 1].rstrip(".") + ".")


def allowed_retries(run: Run, node: str) -> int:
    """How often this node may be tried again: its tag `retry-N`, else the policy when it is for this node."""
    structure = run.structure
    tags = next((known.tags for known in structure.nodes if known.name == node), []) if structure else []
    for tag in tags:
        if found := TAG.fullmatch(tag):
            return int(found[1])
    is_meant = not run.pipeline.retry_nodes or bool({node, *tags} & set(run.pipeline.retry_nodes))
    return run.pipeline.retries if is_meant else 0


def _is_named(names: list[str], failure: wire.Failure) -> bool:
    """Whether the policy names this exception, a class that it inherits from, or one that caused it."""
    classes = {failure.exception, *failure.classes}
    return not names or bool(set(names) & (classes | {name.rpartition(".")[2] for name in classes}))


def wait_seconds(pipeline: Pipeline, number: int, *, chance: float) -> float:
    """Before retry `number` (1 is the first); `chance` (0 to 1) is how much of the jitter counts."""
    try:
        wait = pipeline.retry_wait_seconds * pipeline.retry_factor ** (number - 1)
    except OverflowError:
        wait = LONGEST_WAIT_SECONDS
    return min(wait * (1 + pipeline.retry_jitter * chance), LONGEST_WAIT_SECONDS)


def tell_wait(run_id: int) -> None:
    """A running run says what the first of its steps that may not start yet waits for, or nothing."""
    steps = Step.objects.filter(run_id=run_id, status=Status.QUEUED, eligible_at__isnull=False)
    first = steps.order_by("eligible_at").first()
    reason, due = (first.wait_reason, first.eligible_at) if first else ("", None)
    Run.objects.filter(pk=run_id, status=Status.RUNNING).update(wait_reason=reason, eligible_at=due)
