"""What the child of a step has to do."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from jobs import clock
from jobs.errors import ProjectError
from jobs.interpreters import stores
from jobs.models import Event, Run, Snapshot, Step
from jobs.states import NODE_DONE, NodeStatus, Runner
from jobs.steps.node_limits import tagged
from jobs.stored import is_closed
from jobs.structure.selection import selection_of
from kedro_console import wire


@dataclass(frozen=True)
class Structure:
    """What a snapshot says of a pipeline; a snapshot never changes, and is large."""

    revision: str = ""
    outputs: frozenset[str] = frozenset()
    has_versions: bool = True
    limits: Mapping[str, int] = field(default_factory=dict)
    """Seconds that nodes with a tag of their own may run."""
    secret_parameters: dict[str, list[list[str]]] = field(default_factory=dict)


def structure_of(run: Run) -> Structure:
    return structure_in(run.snapshot_id, run.pipeline.name) if run.snapshot_id else Structure()


@lru_cache(maxsize=64)
def structure_in(snapshot_id: int, pipeline_name: str) -> Structure:
    snapshot = Snapshot.objects.get(pk=snapshot_id)
    found = snapshot.pipeline(pipeline_name)
    outputs = frozenset(found.outputs) if found else frozenset()
    has_versions = any(dataset.is_versioned for dataset in snapshot.picture.datasets)
    limits, secrets = tagged(found.nodes) if found else {}, wire.secret_places(snapshot.picture.schemas)
    return Structure(snapshot.revision, outputs, has_versions, limits, secrets)


def step_folder(step: Step) -> Path:
    """Where this attempt's staged files lie until they are in the store."""
    return step.run.folder / f"{step.position}-{step.attempt}"


def spill_folder(step: Step) -> Path:
    """Where we write what its log rows do not hold: not where a child could put a link in our way."""
    folder: Path = settings.VAR / "spilled" / str(step.task_id)
    return folder


def drop_folders(step: Step) -> None:
    """What this attempt has staged and is not kept, and what it spilled."""
    for folder in (step_folder(step), spill_folder(step)):
        shutil.rmtree(folder, ignore_errors=True)


def request_for(step: Step, held_until: float) -> wire.StepStarted:
    """The request to the project's host; the child of a distributed step may go on with the next one."""
    run, pipeline = step.run, step.run.pipeline
    is_distributed, is_partial = run.runner == Runner.DISTRIBUTED, is_part(step)
    return wire.StepStarted(
        run_id=str(run.uuid),
        step_id=str(step.task_id),
        pipeline=pipeline.name,
        nodes=step.nodes if is_partial else [],
        choices={} if is_partial else selection_of(run).choices,
        runner=Runner.SEQUENTIAL if is_distributed else run.runner,
        max_workers=pipeline.max_workers,
        parameters=_told(run),
        secret_parameters=structure_of(run).secret_parameters,
        folder=str(step_folder(step)),
        store_folder=stores.place_of(run) if run.is_resumable or is_distributed else "",
        copies_folder=stores.place_of(run) if run.has_copies else "",
        copies_bytes=pipeline.copies_mb * 1024 * 1024,
        lent=_lent(run),
        in_memory=run.unshared,
        tracking_file=str(run.folder / "tracking") if is_distributed and run.nodes_total > len(step.nodes) else "",
        save_version=f"{clock.now():%Y-%m-%dT%H.%M.%S.%f}Z",
        load_versions=pinned_versions(step) if is_partial else run.load_versions,
        only_missing_outputs=run.selection.get("only_missing_outputs", False),
        chosen=run.nodes,
        free_outputs=sorted(structure_of(run).outputs),
        artifact_limit_bytes=settings.CONSOLE_ARTIFACT_LIMIT_MB * 1024 * 1024,
        memory_limit_bytes=pipeline.memory_limit_mb * 1024 * 1024,
        held_until=held_until,
        expected_revision=run.revision,
        begun_with=run.begun_with,
        may_go_on=is_distributed,
    )


def _lent(run: Run) -> dict[str, list[str]]:
    """Only a run that takes something from others has rows of this: the usual one is not to pay for it."""
    may_have = run.retry_of_id is not None or run.pipeline.reuses_content
    return dict(run.loans.values_list("place", "files")) if may_have else {}


def _told(run: Run) -> dict[str, wire.Json]:
    if any(is_closed(secret) for secret in wire.secrets_in(run.parameters)):
        raise ProjectError(
            f"A secret parameter of {run} could not be read with the present CONSOLE_ENCRYPTION_KEYS: "
            "add the key it was written with."
        )
    told: dict[str, wire.Json] = wire.packed(run.parameters)
    return told


def pinned_versions(step: Step) -> dict[str, str]:
    """The versions that this run (or the one it resumes) saved before: a step must not read a newer one of another.

    What the step makes itself is not pinned: its nodes read each other's new versions. What was asked for counts most.
    """
    run = step.run
    if not structure_of(run).has_versions:
        return dict(run.load_versions)
    done = run.node_runs.filter(status=NodeStatus.SUCCEEDED).exclude(name__in=step.nodes).values("name")
    saved = Event.objects.filter(run=run, kind="dataset_saved", node__in=done).exclude(data__version="")
    versions = saved.order_by("seq").values_list("data__dataset", "data__version")
    made = {dataset: version for dataset, version in versions if version}
    return {**run.load_versions, **made, **run.selection.get("load_versions", {})}


def is_part(step: Step) -> bool:
    """Whether it has to name its nodes; in one process Kedro chooses them, of what the pipeline is now."""
    run = step.run
    if run.runner == Runner.DISTRIBUTED:
        return True
    return run.node_runs.filter(status__in=sorted(NODE_DONE)).exclude(name__in=step.nodes).exists()
