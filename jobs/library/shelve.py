"""Keep for each file that a pipeline makes again and again which one is the newest good one."""

from __future__ import annotations

from collections import Counter

from jobs.models import Artifact, Run, Shelf
from jobs.models.shelf import is_data, series_of
from jobs.states import Status
from kedro_console.wire import bare


def shelve(run: Run) -> None:
    """In the transaction that ends a run: what it left is the newest of its shelf, if the run succeeded."""
    if run.status != Status.SUCCEEDED:
        return
    if not (newest := _by_series(list(run.artifacts.order_by("id")))):
        return
    shelves = Shelf.objects.select_for_update(of=("self",)).filter(pipeline_id=run.pipeline_id, series__in=newest)
    known = {shelf.series: shelf for shelf in shelves.select_related("newest__run").order_by("pk")}
    for series, artifact in newest.items():
        if shelf := known.get(series):
            _put(shelf, artifact, run)
        else:
            _add(series, artifact, run)


def _by_series(artifacts: list[Artifact]) -> dict[str, Artifact]:
    """Files of one run that differ by a date alone, such as one for each month, are not each other's successors."""
    times = Counter(series_of(artifact.name) for artifact in artifacts)
    alone = {artifact.pk: times[series_of(artifact.name)] == 1 for artifact in artifacts}
    return {series_of(each.name) if alone[each.pk] else each.name: each for each in artifacts}


def _add(series: str, artifact: Artifact, run: Run) -> None:
    facts = {"suffix": Shelf.suffix_of(artifact.name), "is_deliverable": is_deliverable(artifact, run)}
    Shelf.objects.get_or_create(pipeline_id=run.pipeline_id, series=series, defaults={"newest": artifact, **facts})


def _put(shelf: Shelf, artifact: Artifact, run: Run) -> None:
    """A run that began earlier and ended later does not take the place of a newer file."""
    if shelf.newest and shelf.newest.pk >= artifact.pk:
        return
    before = shelf.newest
    if before is None or before.run.snapshot_id != run.snapshot_id:
        shelf.is_deliverable = is_deliverable(artifact, run)
    shelf.newest, shelf.previous = artifact, before
    shelf.save(update_fields=["newest", "previous", "is_deliverable"])


def is_deliverable(artifact: Artifact, run: Run) -> bool:
    """Whether it is for people: what is no data always is, and data with which no node of the pipeline goes on."""
    if not is_data(artifact.name) or (structure := run.structure) is None:
        return True
    return bare(artifact.dataset) not in {bare(name) for node in structure.nodes for name in node.inputs}
