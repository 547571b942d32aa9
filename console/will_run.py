"""What the run form says before it starts anything: nodes, steps, workers, and the usual duration."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from console.forms import RunForm
from jobs.fallbacks import plan_of
from jobs.models import Snapshot, Worker
from jobs.selection import choose
from jobs.statistics import lately
from kedro_console.wire import SnapshotNode

CHOICE = frozenset({"nodes", "from_nodes", "to_nodes", "tags"})


def will_run(form: RunForm, snapshot: Snapshot, at: datetime) -> dict[str, Any]:
    """For the form as it stands; no nodes while its choice of them is wrong."""
    nodes, runner = _nodes(form), _runner(form)
    return {
        "will_run": nodes,
        "plan": plan_of(form.pipeline, snapshot, nodes, runner),
        "workers": sum(form.pipeline.queue in worker.queues for worker in Worker.objects.alive(at)),
        "usual_seconds": lately([form.pipeline], at=at)[form.pipeline.pk].usual_seconds,
    }


def _nodes(form: RunForm) -> list[SnapshotNode]:
    if not form.is_bound:
        only = set(form.initial["nodes"])
        return [node for node in form.structure.nodes if not only or node.name in only]
    return [] if set(form.bad_names) & CHOICE else choose(form.structure, form.selection)


def _runner(form: RunForm) -> str:
    chosen = form.cleaned_data.get("runner") if form.is_bound else form.initial["runner"]
    return str(chosen or form.pipeline.runner)
