"""What the expressions and handlers of rules see of a run that has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final

from jobs import requests
from jobs.batches import batches
from jobs.models import NodeRun, Run
from jobs.quotas.quotas import left
from jobs.structure.paths import merge
from jobs.structure.values import plain
from kedro_console.wire import Json

Scope = dict[str, Json]
"""What expressions are computed with."""
More = Callable[[Run, datetime], Json]

MORE: Final[dict[str, More]] = {
    "batches": lambda run, at: batches.counts(run),
    "quotas": lambda run, at: left(at),
    "requests": lambda run, at: requests.counts(run),
}
"""By name, what other stories tell of a run: counts of its batches, what is left of quotas."""


def see(
    run: Run,
    at: datetime,
    *,
    node: NodeRun | None = None,
    joined: Iterable[Run] = (),
    results: Mapping[str, Json] | None = None,
) -> Scope:
    """The input of a rule's expressions: the run, at a node's end that node, at a join the other runs."""
    seen: Scope = {**describe(run, results), "runs": {other.pipeline.name: describe(other) for other in joined}}
    if node is not None:
        facts = ("name", "status", "seconds", "attempts", "error")
        seen["node"] = {name: getattr(node, name) for name in facts}
    return {**seen, **{name: tell(run, at) for name, tell in MORE.items()}}


def describe(run: Run, results: Mapping[str, Json] | None = None) -> Scope:
    facts = {
        "number": run.pk,
        "uuid": str(run.uuid),
        "pipeline": run.pipeline.name,
        "status": run.status,
        "cause": run.cause,
        "iteration": run.iteration,
        "duration_seconds": run.duration.total_seconds() if run.duration else None,
        "error": run.error,
        "tags": run.tags,
    }
    parameters = plain(merge(run.resolved_parameters or {}, run.parameters))
    return {"run": facts, "parameters": parameters, "results": {**(run.results or {}), **(results or {})}}
