"""Artifacts as analysts look for them: by file name across runs, the newest good one first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from console.files.kinds import kind_of
from jobs.models import Artifact, Pipeline
from jobs.states import Status

PAGE: Final = 50
LOOKED_AT: Final = 4000
"""Newest files that the library groups by name; older ones are found by searching for their name."""


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
    def origin(self) -> str:
        return plain_words(self.artifact.run.pipeline)


def plain_words(pipeline: Pipeline) -> str:
    """`data_loading` as “Data loading”."""
    return pipeline.name.strip("_").replace("_", " ").replace(".", ", ").capitalize()


def library(wanted: str = "", *, page: int = 1) -> list[Shelved]:
    """One page of files and one more when there is a next: of each name and pipeline the newest good one."""
    good = Artifact.objects.filter(run__status=Status.SUCCEEDED)
    if wanted:
        good = good.filter(name__icontains=wanted)
    newest: dict[tuple[int, str], int] = {}
    for pk, name, pipeline in good.order_by("-id").values_list("id", "name", "run__pipeline_id")[:LOOKED_AT]:
        newest.setdefault((pipeline, name), pk)
    ids = list(newest.values())[(page - 1) * PAGE : page * PAGE + 1]
    rows = Artifact.objects.select_related("run__pipeline__project").in_bulk(ids)
    return [Shelved(rows[pk]) for pk in ids if pk in rows]


def latest(pipeline_id: int, name: str) -> Artifact | None:
    """The newest good file of that name."""
    good = Artifact.objects.filter(run__pipeline=pipeline_id, run__status=Status.SUCCEEDED, name=name)
    return good.select_related("run__pipeline").order_by("-id").first()
