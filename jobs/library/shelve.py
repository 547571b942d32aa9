"""Keep for each file that a pipeline makes again and again which one is the newest good one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from math import inf
from typing import Final

from django.db.models import Max

from jobs.models import Artifact, Run, Shelf
from jobs.models.shelf import is_data, series_of
from jobs.states import Status
from kedro_console.wire import bare

MOST_SHELVED: Final = 1_000
"""Of the files of one run: of what leaves more, nobody looks through shelves; the run's own page has them all."""
MANY: Final = 500


def shelve(run: Run) -> None:
    """In the transaction that ends a run: what it left is the newest of its shelf, if the run succeeded."""
    if run.status != Status.SUCCEEDED:
        return
    if not (newest := _by_series(list(run.artifacts.order_by("id")[:MOST_SHELVED]))):
        return
    shelves = Shelf.objects.select_for_update(of=("self",)).filter(pipeline_id=run.pipeline_id, series__in=newest)
    known = {shelf.series: shelf for shelf in shelves.select_related("newest__run").order_by("pk")}
    read = _read_further(run)
    for series, shelf in known.items():
        _put(shelf, newest[series], run, read)
    Shelf.objects.bulk_create(
        (_new(series, artifact, run, read) for series, artifact in newest.items() if series not in known),
        ignore_conflicts=True,  # another run made it meanwhile
    )


def shelve_missed(*, among: int | None = None) -> int:
    """Put what is missing on its shelf, of all good files or of so many of the newest; how many were not there.

    Runs that ended under an older release, or were written in another way than by their end, have shelved nothing.
    """
    missed = _missed(among)
    for pipeline_id, name, key in missed:
        good = Artifact.objects.filter(name=name, run__pipeline=pipeline_id, run__status=Status.SUCCEEDED, pk__lte=key)
        for artifact in reversed(good.select_related("run__snapshot", "run__pipeline").order_by("-pk")[:2]):
            shelve(artifact.run)
    return len(missed)


def _missed(among: int | None) -> list[tuple[int, str, int]]:
    """Pipeline, name and artifact of the newest good files that no shelf has, the oldest first."""
    good = Artifact.objects.filter(run__status=Status.SUCCEEDED).order_by()
    if among is not None:
        newest = Artifact.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        good = good.filter(pk__gt=newest - among)
    known = {row[:2]: row[2] for row in Shelf.objects.order_by().values_list("pipeline", "series", "newest")}
    rows = good.values_list("run__pipeline", "name").annotate(newest=Max("pk")).order_by("newest")
    return _that_shelves_take(
        [
            (pipeline, name, key)
            for pipeline, name, key in rows
            if all((known.get((pipeline, series)) or 0) < key for series in {name, series_of(name)})
        ]
    )


def _that_shelves_take(missed: list[tuple[int, str, int]]) -> list[tuple[int, str, int]]:
    """Without those beyond what of their run is shelved."""
    keys = [key for _, _, key in missed]
    found = (Artifact.objects.filter(pk__in=keys[start : start + MANY]) for start in range(0, len(keys), MANY))
    run_of = {pk: run for rows in found for pk, run in rows.order_by().values_list("pk", "run")}
    edges = {run: _edge(run) for run in set(run_of.values())}
    return [row for row in missed if row[2] in run_of and row[2] < edges[run_of[row[2]]]]


def _edge(run_id: int) -> float:
    """The key of the first file that is not shelved any more."""
    keys = Artifact.objects.filter(run=run_id).order_by("id").values_list("pk", flat=True)
    return next(iter(keys[MOST_SHELVED : MOST_SHELVED + 1]), inf)


def _by_series(artifacts: list[Artifact]) -> dict[str, Artifact]:
    """Files of one run that differ by a date alone, such as one for each month, are not each other's successors."""
    times = Counter(series_of(artifact.name) for artifact in artifacts)
    alone = {artifact.pk: times[series_of(artifact.name)] == 1 for artifact in artifacts}
    return {series_of(each.name) if alone[each.pk] else each.name: each for each in artifacts}


def _new(series: str, artifact: Artifact, run: Run, read: Collection[str] | None) -> Shelf:
    facts = {"suffix": Shelf.suffix_of(artifact.name), "is_deliverable": _is_deliverable(artifact, read)}
    return Shelf(pipeline_id=run.pipeline_id, series=series, newest=artifact, **facts)


def _put(shelf: Shelf, artifact: Artifact, run: Run, read: Collection[str] | None) -> None:
    """A run that began earlier and ended later does not take the place of a newer file."""
    if shelf.newest and shelf.newest.pk >= artifact.pk:
        return
    before = shelf.newest
    if before is None or before.run.snapshot_id != run.snapshot_id:
        shelf.is_deliverable = _is_deliverable(artifact, read)
    shelf.newest, shelf.previous = artifact, before
    shelf.save(update_fields=["newest", "previous", "is_deliverable"])


def is_deliverable(artifact: Artifact, run: Run) -> bool:
    """Whether it is for people: what is no data always is, and data with which no node of the pipeline goes on."""
    return _is_deliverable(artifact, _read_further(run))


def _is_deliverable(artifact: Artifact, read: Collection[str] | None) -> bool:
    return read is None or not is_data(artifact.name) or bare(artifact.dataset) not in read


def _read_further(run: Run) -> set[str] | None:
    """The datasets with which a node of the pipeline goes on; None: not known."""
    if (structure := run.structure) is None:
        return None
    return {bare(name) for node in structure.nodes for name in node.inputs}
