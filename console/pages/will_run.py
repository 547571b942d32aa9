"""What the run form says before it starts anything: nodes, steps, workers, what is reused, the usual duration."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from console.forms.forms import RunForm
from jobs.errors import BadParameters, EmptyPipeline
from jobs.insight.durations import lately
from jobs.models import Snapshot, Worker
from jobs.runs.fallbacks import plan_of
from jobs.runs.recall import Recall, recall
from jobs.runs.spread import Part
from jobs.structure.content import is_fresh
from jobs.structure.parameters import settled
from jobs.structure.paths import merge
from jobs.structure.selection import OF_NODES, choose
from kedro_console.wire import SnapshotNode

CHOICE = frozenset(OF_NODES)


def will_run(form: RunForm, snapshot: Snapshot, at: datetime) -> dict[str, Any]:
    """For the form as it stands; no nodes while its choice of them is wrong."""
    nodes = _nodes(form)
    found = _recall(form, snapshot, nodes)
    todo = [node for node in nodes if not (found and node.name in found.taken)]
    return {
        "will_run": nodes,
        "todo": todo,
        "plan": plan_of(form.pipeline, snapshot, todo, _runner(form)),
        "columns": _columns(found) if found else [],
        "is_outdated": form.pipeline.reuses_content and not is_fresh(snapshot, form.pipeline.project),
        "workers": sum(form.pipeline.queue in worker.queues for worker in Worker.objects.alive(at)),
        "usual_seconds": lately([form.pipeline], at=at)[form.pipeline.pk].usual_seconds,
    }


def _nodes(form: RunForm) -> list[SnapshotNode]:
    if set(form.bad_names) & CHOICE:
        return []
    try:
        return choose(form.structure, form.selection, kedro=form.kedro)
    except (BadParameters, EmptyPipeline):  # of a run whose choices the pipeline of today does not have
        return []


def _runner(form: RunForm) -> str:
    chosen = form.cleaned_data.get("runner") if form.is_bound else form.initial["runner"]
    return str(chosen or form.pipeline.runner)


def _recall(form: RunForm, snapshot: Snapshot, nodes: list[SnapshotNode]) -> Recall | None:
    """What would be taken from earlier runs; None when that is not asked for, or the form is not right yet."""
    is_asked = form.pipeline.reuses_content and not (form.is_bound and form.cleaned_data.get("everything"))
    if not is_asked or not nodes or form.bad_names:
        return None
    changes = form.changes if form.is_bound else form.started_with
    given = settled(changes, form.values)
    asked = merge(settled(form.pipeline.default_parameters, snapshot.picture.parameters), given)
    return recall(form.pipeline, snapshot, nodes, asked)


def _columns(found: Recall) -> list[tuple[str, list[Part]]]:
    return [("Re-run", found.rerun), ("Reuse", found.reuse), ("Will happen again", found.again)]
