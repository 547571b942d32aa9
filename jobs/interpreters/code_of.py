"""Which code a run has run: that of its first step, and what else came in when it could not go on with that."""

from __future__ import annotations

from jobs.models import Run, Step
from jobs.states import NodeStatus
from kedro_console import wire
from kedro_console.wire import Json


def seen(run: Run, step: Step, started: wire.ChildStarted) -> dict[str, Json]:
    """What a run's row says of its code once this child of this step has started; {} when that is nothing new."""
    code = wire.code_of(started.revision, started.packages)
    if not run.begun_with:
        return {"revision": started.revision, "begun_with": code, "other_code": _before(run, code)}
    known = {run.begun_with, *(wire.code_of(each["revision"], each["packages"]) for each in run.other_code)}
    if code in known:
        return {}
    other = {"revision": started.revision, "packages": started.packages}
    node = step.nodes[0] if step.nodes else ""
    return {"other_code": [*run.other_code, {**other, "node": node, "attempt": step.attempt}]}


def _before(run: Run, code: str) -> list[dict[str, Json]]:
    """Of a run that goes on where another one ended: the code of what it takes from there, if that was another."""
    old = run.retry_of
    if old is None or old.begun_with in ("", code):
        return []
    taken = run.node_runs.filter(status=NodeStatus.REUSED, taken_from=old, reason="")
    if not taken.exists():
        return []
    revision, _, packages = old.begun_with.rpartition("/")
    return [{"revision": revision, "packages": packages, "run": old.pk}]
