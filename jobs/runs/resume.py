"""Go on where a run ended: a new run that executes what is missing and reuses what the old one left."""

from __future__ import annotations

import shutil
import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import transaction

from jobs.errors import NothingToResume, ProjectError
from jobs.interpreters import stores
from jobs.models import Run
from jobs.runs.carry_over import carry_over
from jobs.runs.launch import launch, nodes_of, snapshot_of, store_url_of
from jobs.runs.preview_reuse import Preview, preview
from jobs.runs.reread import reread
from jobs.runs.spread import Part
from jobs.states import Cause
from jobs.structure.parameters import as_given
from jobs.structure.selection import selection_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

__all__ = ["Part", "Preview", "preview", "resume"]


def resume(
    run: Run, *, at: datetime, by: User | None = None, by_name: str = "", parameters: dict[str, Any] | None = None
) -> Run:
    """A new run over what `preview` says; the files it reuses are its own, so that the old run may be deleted.

    Raises what `preview` raises, and NothingToResume when every node can be reused.
    """
    reread(run.pipeline.project, at=at)
    found = preview(run, parameters)
    if not found.rerun:
        raise NothingToResume(
            f"There is nothing to resume: all nodes of run #{run.pk} succeeded. Change a parameter, or run it again."
        )
    new = Run(uuid=uuid.uuid4(), pipeline=run.pipeline)
    try:
        return _start(run, new, found, at=at, by=by, by_name=by_name, has_changed=bool(parameters))
    except BaseException:
        shutil.rmtree(new.folder, ignore_errors=True)
        with suppress(ProjectError):
            stores.drop(run.pipeline.project, [new.store_url] if new.store_url else [])
        raise


def _start(
    run: Run, new: Run, found: Preview, *, at: datetime, by: User | None, by_name: str, has_changed: bool
) -> Run:
    reused = {part.node for part in found.reuse}
    outputs = _outputs(run, reused, at)
    selection = selection_of(run)
    if has_changed:  # what is there was made with other parameters
        selection = replace(selection, only_missing_outputs=False)
    if run.is_resumable:
        new.store_url = store_url_of(run.pipeline, new.uuid)
        stores.share(run, new, outputs)
    with transaction.atomic():
        started = launch(
            run.pipeline,
            at=at,
            cause=Cause.RETRY,
            by=by,
            by_name=by_name,
            parameters=as_given(found.parameters),
            selection=selection,
            runner=run.runner,
            reused=reused,
            uuid=new.uuid,
            retry_of=run,
            cause_detail=f"resumes run #{run.pk}: {len(reused)} of {len(reused) + len(found.rerun)} nodes reused",
            tags=run.tags,
            load_versions=found.load_versions,
            is_resumable=run.is_resumable or run.pipeline.is_resumable,
        )
        carry_over(run, started, reused, outputs, at)
    return started


def _outputs(run: Run, nodes: set[str], at: datetime) -> list[str]:
    selection = selection_of(run)
    chosen = nodes_of(run.pipeline, snapshot_of(run.pipeline, selection.env, at=at), selection)
    return [name for node in chosen if node.name in nodes for name in node.outputs]
