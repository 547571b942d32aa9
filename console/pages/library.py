"""The library: what pipelines make again and again, as analysts look for it; of each file the newest good one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db.models import Min, OuterRef, QuerySet, Subquery

from console.files.kinds import FAMILIES, kind_of, suffixes_of
from jobs.models import Artifact, Pin, Pipeline, Run, Schedule, Shelf
from jobs.models.shelf import ShelfQuerySet, series_of
from jobs.states import FINAL, Status

PAGE: Final = 24
MOST_PINS: Final = 12
LOOKED_AT: Final = 1_000
OLDER_RUNS: Final = 60
OLDER: Final = 10


@dataclass(frozen=True)
class Shelved:
    """An artifact with what it is called in plain words."""

    artifact: Artifact

    @property
    def kind(self) -> str:
        return kind_of(self.artifact.name).title

    @property
    def icon(self) -> str:
        return kind_of(self.artifact.name).icon

    @property
    def family(self) -> str:
        return kind_of(self.artifact.name).family

    @property
    def origin(self) -> str:
        return plain_words(self.artifact.run.pipeline)


@dataclass(frozen=True)
class Card(Shelved):
    """The newest good file of a shelf, and what an analyst has to know before using it."""

    shelf: Shelf
    is_pinned: bool = False
    next_at: datetime | None = None
    """When a schedule makes the next one."""
    failed: Run | None = None
    """The pipeline's last run, where it ended after this file was made and made no newer one."""


@dataclass(frozen=True)
class Wanted:
    """What is looked for: words of the name, a family of kinds; what nodes hand on is left out unless asked for."""

    words: str = ""
    family: str = ""
    has_intermediate: bool = False
    before: int | None = None
    """The page after the card of this artifact."""


@dataclass(frozen=True)
class Shelves:
    """One screenful; `older` is where to go on, None when there is nothing more."""

    cards: list[Card]
    pinned: list[Card] = field(default_factory=list)
    older: int | None = None


def plain_words(pipeline: Pipeline) -> str:
    """`data_loading` as “Data loading”."""
    return pipeline.name.strip("_").replace("_", " ").replace(".", ", ").capitalize()


def library(wanted: Wanted, user: Any) -> Shelves:
    """What this person sees first is what they pinned; then the newest first, found by key."""
    pins = list(Pin.objects.filter(user=user).order_by("-id").values_list("shelf_id", flat=True)[:MOST_PINS])
    is_first = wanted == Wanted(has_intermediate=wanted.has_intermediate)
    rows = found(wanted)
    pinned = list(Shelf.objects.known().filter(pk__in=pins)) if pins and is_first else []
    shown = list((rows.exclude(pk__in=pins) if pinned else rows)[: PAGE + 1])
    cards = _cards([*pinned, *shown[:PAGE]], set(pins))
    older = shown[PAGE - 1].newest_id if len(shown) > PAGE else None
    return Shelves(cards[len(pinned) :], cards[: len(pinned)], older)


def found(wanted: Wanted) -> ShelfQuerySet:
    rows = Shelf.objects.known()
    if wanted.words:
        rows = rows.filter(newest__name__icontains=wanted.words)
    elif not wanted.has_intermediate:
        rows = rows.filter(is_deliverable=True)
    if wanted.family in FAMILIES:
        rows = rows.filter(suffix__in=suffixes_of(wanted.family))
    return rows.filter(newest_id__lt=wanted.before) if wanted.before else rows


def named(words: str, most: int) -> list[Shelved]:
    """The newest of those with these words in their name."""
    return [Shelved(shelf.newest) for shelf in found(Wanted(words))[:most] if shelf.newest]


def card(shelf: Shelf) -> Card | None:
    """Of a shelf that was read `with_pin`."""
    return next(iter(_cards([shelf], {shelf.pk} if vars(shelf)["is_pinned"] else set())), None)


def _cards(shelves: list[Shelf], pins: set[int]) -> list[Card]:
    numbers = {shelf.pipeline_id for shelf in shelves}
    times, failed = _next_times(numbers), _last_failures(numbers)
    return [
        Card(
            shelf.newest,
            shelf,
            shelf.pk in pins,
            times.get(shelf.pipeline_id),
            run if (run := failed.get(shelf.pipeline_id)) and run.pk > shelf.newest.run_id else None,
        )
        for shelf in shelves
        if shelf.newest
    ]


def _next_times(pipelines: Iterable[int]) -> dict[int, datetime]:
    running = Schedule.objects.filter(pipeline__in=pipelines, paused_since=None, next_due_at__isnull=False)
    return dict(running.order_by().values_list("pipeline").annotate(Min("next_due_at")))


def _last_failures(pipelines: Iterable[int]) -> dict[int, Run]:
    """Of each pipeline the last run that ended, where it did not succeed."""
    ended: QuerySet[Run] = Run.objects.filter(pipeline=OuterRef("pk"), status__in=sorted(FINAL)).order_by("-id")
    last = Pipeline.objects.filter(pk__in=pipelines).annotate(last=Subquery(ended.values("pk")[:1]))
    return {
        run.pipeline_id: run for run in Run.objects.filter(pk__in=last.values("last")).exclude(status=Status.SUCCEEDED)
    }


def latest(pipeline_id: int, name: str, shelf: Shelf | None = None) -> Artifact | None:
    """The newest good file of that name; its shelf, where somebody has it already, may know."""
    if shelf and shelf.newest and shelf.series == name:
        return shelf.newest
    return newest_of(name, [pipeline_id])


def newest_of(name: str, pipelines: Iterable[int] | None = None) -> Artifact | None:
    """The newest good file of that name, of one of these pipelines or of any.

    Its shelf has it, unless a day in the name makes it one of many there: then the newest of the name are looked at.
    """
    if series_of(name) == name:
        shelves = Shelf.objects.known().filter(series=name)
        shelf = (shelves if pipelines is None else shelves.filter(pipeline__in=pipelines)).first()
        if shelf:
            return shelf.newest
    keys = Artifact.objects.filter(name=name).order_by("-id").values("pk")[:LOOKED_AT]
    good = Artifact.objects.filter(pk__in=keys, run__status=Status.SUCCEEDED).order_by("-id")
    good = good if pipelines is None else good.filter(run__pipeline__in=pipelines)
    return good.select_related("run__pipeline").first()


def older(artifact: Artifact) -> list[Artifact]:
    """Other files of its name that the last runs of its pipeline left, the newest first."""
    runs = Run.objects.filter(pipeline=artifact.run.pipeline_id).order_by("-id").values_list("pk", flat=True)
    found = Artifact.objects.filter(run__in=list(runs[:OLDER_RUNS]), name=artifact.name).exclude(pk=artifact.pk)
    return list(found.select_related("run").order_by("-id")[:OLDER])
