"""Which runs may be under way together: those of one pipeline as it wishes, those that write one file never.

A run waits for the newest older run that stands against it, so that a line forms: what holds it back are older rows
only, which can only end, and so whoever ends one of them may decide without asking anybody else.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Final

from django.db import transaction

from jobs.errors import NotNow
from jobs.models import Pipeline, Project, Run, Step
from jobs.models.run import RunQuerySet
from jobs.states import LIVE, Cause, NodeStatus, Overlap, Status
from jobs.steps.dispatch import send
from kedro_console.wire import ProjectSnapshot, SnapshotNode, bare

SAME: Final = "of the same pipeline"


def unversioned(nodes: Iterable[SnapshotNode], picture: ProjectSnapshot) -> dict[str, str]:
    """The files that these nodes write over, each with its dataset's name; a dataset without a path counts by name."""
    written = {bare(name) for node in nodes for name in node.outputs}
    kept = (row for row in picture.datasets if row.is_persisted and not row.is_versioned)
    return {row.path or row.name: row.name for row in kept if bare(row.name) in written}


def written_by_live(project_id: int) -> dict[str, int]:
    """Datasets without versions that runs under way have saved or will save, each with the number of such a run."""
    live = Run.objects.live().filter(pipeline__project_id=project_id).select_related("pipeline", "snapshot")
    found: dict[str, int] = {}
    for run in live.order_by("pk"):
        structure = run.structure
        done = set(run.node_runs.filter(status=NodeStatus.REUSED).values_list("name", flat=True))
        nodes = [node for node in structure.nodes if node.name not in done] if structure else []
        chosen = [node for node in nodes if not run.nodes or node.name in run.nodes]
        names = unversioned(chosen, run.snapshot.picture).values() if run.snapshot else ()
        found |= {bare(name): run.pk for name in names}
    return found


def line_up(run: Run) -> list[Run]:
    """Decide, in the transaction that will write this new run, what it waits for; the older runs that it asks to stop.

    NotNow when its pipeline skips. The lock makes two launches at once take turns on PostgreSQL; SQLite has one writer.
    """
    pipeline, policy = run.pipeline, policy_of(run)
    if policy != Overlap.BOTH or pipeline.overlap != Overlap.BOTH:
        Pipeline.objects.select_for_update(no_key=True).get(pk=pipeline.pk)
    if run.writes:
        Project.objects.select_for_update(no_key=True).only("pk").get(pk=pipeline.project_id)
    if policy == Overlap.SKIP:
        _refuse_second(run)
    older: list[Run] = []
    if policy == Overlap.CANCEL:
        rows = _rivals(run)
        older = list(rows.order_by("pk").select_for_update())  # the older first, as those lock that end one
    _wait_for(run, blocker(run, is_new=True))
    return older


def policy_of(run: Run) -> Overlap:
    """Its own, when whoever ordered it chose one, else its pipeline's."""
    return Overlap(run.overlap or run.pipeline.overlap)


def _rivals(run: Run) -> RunQuerySet:
    """Older runs of its pipeline that it is skipped for, or that it cancels. Runs of a backfill are past dates: nothing
    that is due now is lost to them, and none of them to what is due; it waits for the one that is under way."""
    return _older(run).filter(pipeline_id=run.pipeline_id).exclude(cause=Cause.BACKFILL)


def _refuse_second(run: Run) -> None:
    rows = _rivals(run)
    if run.idempotency_key:  # the same run asked for again is told apart by its key
        rows = rows.exclude(idempotency_key=run.idempotency_key)
    if other := rows.first():
        raise NotNow(f"Not started: {_sentence(other, SAME)}, policy: skip.")


def release(ended: Run, at: datetime) -> None:
    """Within the transaction that ends a run: those that waited for it go on, or wait for the next in line."""
    waiting = list(Run.objects.filter(waits_for=ended, status=Status.QUEUED).values_list("pk", flat=True))
    for run in Run.objects.filter(pk__in=waiting).select_related("pipeline") if waiting else ():
        go_on(run, at)


def go_on(run: Run, at: datetime) -> bool:
    """Make this queued run ready if nothing older stands against it; otherwise it waits for that."""
    with transaction.atomic():
        _wait_for(run, blocker(run))
        queued = Run.objects.filter(pk=run.pk, status=Status.QUEUED)
        queued.update(waits_for=run.waits_for, wait_reason=run.wait_reason)
        if run.waits_for is None:
            _make_ready(run, at)
    return run.waits_for is None


def _make_ready(run: Run, at: datetime) -> None:
    held = Step.objects.filter(run=run, status=Status.QUEUED, ready_at=None)
    for step in held.only("needs"):
        if not step.needs and held.filter(pk=step.pk).update(ready_at=at):
            transaction.on_commit(partial(send, step.pk))


def _wait_for(run: Run, blocker: tuple[Run, str] | None) -> None:
    run.waits_for, run.wait_reason = blocker or (None, "")


def blocker(run: Run, *, is_new: bool = False) -> tuple[Run, str] | None:
    """The newest older run that stands against this one, and why. A launch locks it: its end then sees who waits."""
    rows = Run.objects.select_for_update() if is_new else Run.objects.all()
    while found := _of_same_pipeline(run) or _of_same_file(run):
        number, which, why = found
        if other := rows.filter(pk=number, status__in=sorted(LIVE)).first():
            return other, f"{_sentence(other, which)}{why}"
    return None  # whoever was found above has ended in the meantime


def _of_same_pipeline(run: Run) -> tuple[int, str, str] | None:
    if policy_of(run) == Overlap.BOTH:
        return None
    number = _older(run).filter(pipeline_id=run.pipeline_id).order_by("-pk").values_list("pk", flat=True).first()
    return (number, SAME, f", policy: {policy_of(run).value}") if number else None


def _of_same_file(run: Run) -> tuple[int, str, str] | None:
    if not run.writes:
        return None
    rows = _older(run).filter(pipeline__project_id=run.pipeline.project_id).exclude(writes={})
    for number, writes in rows.order_by("-pk").values_list("pk", "writes").iterator():
        if common := sorted(run.writes.keys() & writes.keys()):
            return number, "", f" and writes {run.writes[common[0]]}, as this one will"
    return None


def _older(run: Run) -> RunQuerySet:
    live = Run.objects.live()
    return live.filter(pk__lt=run.pk) if run.pk else live


def _sentence(other: Run, which: str) -> str:
    return " ".join(filter(None, ["run", f"#{other.pk}", which, "is", other.status]))
