"""Artifacts as analysts look for them: by file name across runs, the newest good one first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from jobs.models import Artifact, Pipeline
from jobs.states import Status

PAGE: Final = 50
LOOKED_AT: Final = 4000
"""Newest files that the library groups by name; older ones are found by searching for their name."""

KINDS: Final[dict[str, tuple[str, str]]] = {
    ".pptx": ("PowerPoint slides", "slideshow"),
    ".xlsx": ("Excel workbook", "table_chart"),
    ".csv": ("Table (CSV)", "table"),
    ".tsv": ("Table (TSV)", "table"),
    ".parquet": ("Table (Parquet)", "table"),
    ".zip": ("Zip archive", "folder_zip"),
    ".pdf": ("PDF document", "picture_as_pdf"),
    ".html": ("Web page", "html"),
    ".json": ("JSON data", "data_object"),
    ".txt": ("Text", "description"),
    ".md": ("Text", "description"),
    ".png": ("Picture", "image"),
    ".jpg": ("Picture", "image"),
    ".jpeg": ("Picture", "image"),
    ".svg": ("Picture", "image"),
}


@dataclass(frozen=True)
class Shelved:
    """An artifact with what it is called in plain words."""

    artifact: Artifact

    @property
    def kind(self) -> str:
        return self._words[0]

    @property
    def icon(self) -> str:
        return self._words[1]

    @property
    def origin(self) -> str:
        return plain_words(self.artifact.run.pipeline)

    @property
    def _words(self) -> tuple[str, str]:
        suffix = PurePosixPath(self.artifact.name.lower()).suffix
        return KINDS.get(suffix, (f"{suffix[1:].upper()} file" if suffix else "File", "draft"))


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
