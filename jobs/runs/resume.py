"""Go on where a run ended: a new run that executes what is missing and reuses what the old one left."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction

from jobs.errors import NothingToResume
from jobs.interpreters import stores
from jobs.models import Run
from jobs.runs.carry_over import carry_over
from jobs.runs.launch import launch, nodes_of, snapshot_of, store_url_of
from jobs.runs.order import Order, Reuse, again
from jobs.runs.preview_reuse import Preview, preview
from jobs.runs.reread import reread
from jobs.runs.spread import Part
from jobs.structure.parameters import as_given
from jobs.structure.selection import selection_of
from kedro_console.wire import Group

if TYPE_CHECKING:
    from django.contrib.auth.models import User

__all__ = ["Part", "Preview", "preview", "resume"]


def resume(
    run: Run, *, at: datetime, by: User | None = None, by_name: str = "", parameters: Group | None = None
) -> Run:
    """A new run over what `preview` says; what it reuses of the old run's store is linked or lent.

    Raises what `preview` raises, and NothingToResume when every node can be reused.
    """
    reread(run.pipeline.project, at=at)
    found = preview(run, parameters)
    if not found.rerun:
        raise NothingToResume(
            f"There is nothing to resume: all nodes of run #{run.pk} succeeded. Change a parameter, or run it again."
        )
    order = _order(run, found, by=by, by_name=by_name, has_changed=bool(parameters))
    new = Run(uuid=order.uuid, pipeline=run.pipeline)
    try:
        return _start(run, new, order, at)
    except BaseException:
        stores.unshare(new)
        raise


def _order(run: Run, found: Preview, *, by: User | None, by_name: str, has_changed: bool) -> Order:
    reuse = Reuse(
        nodes=frozenset(part.node for part in found.reuse),
        load_versions=found.load_versions,
        is_resumable=run.is_resumable or run.pipeline.is_resumable or (run.has_copies and bool(found.reuse)) or None,
    )
    reused, all_nodes = len(reuse.nodes), len(reuse.nodes) + len(found.rerun)
    order = again(run, f"resumes run #{run.pk}: {reused} of {all_nodes} nodes reused", by=by, by_name=by_name)
    selection = order.selection
    if has_changed:  # what is there was made with other parameters
        selection = replace(selection, only_missing_outputs=False)
    parameters = as_given(found.parameters)
    return replace(order, parameters=parameters, selection=selection, reuse=reuse, is_resumption=True)


def _start(run: Run, new: Run, order: Order, at: datetime) -> Run:
    reused = set(order.reuse.nodes)
    outputs = _outputs(run, reused, at)
    if run.is_resumable or run.has_copies:
        new.store_url = store_url_of(run.pipeline, new.uuid)
        order = replace(order, reuse=replace(order.reuse, loans=stores.share(run, new, outputs)))
    with transaction.atomic():
        started = launch(order, at=at)
        carry_over(run, started, reused, outputs, at)
    return started


def _outputs(run: Run, nodes: set[str], at: datetime) -> list[str]:
    selection = selection_of(run)
    chosen = nodes_of(run.pipeline, snapshot_of(run.pipeline, selection.env, at=at), selection)
    return [name for node in chosen if node.name in nodes for name in node.outputs]
