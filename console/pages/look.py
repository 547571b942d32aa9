"""A look into an artifact: its preview, where the page gets its bytes, and where they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse

from console.files.downloads import Content, content_of
from console.files.entries import (
    ArchiveError,
    Entry,
    as_artifact,
    content_of_entry,
    find_entry,
    open_entry,
    unpacked,
)  # fmt: skip
from console.files.previews import Preview, preview
from console.whole_number import whole_number
from jobs import clock
from jobs.errors import PlatformError
from jobs.interpreters.artifacts import is_remote, open_file
from jobs.models import Artifact


@dataclass(frozen=True)
class Source:
    """What a preview shows: the artifact, or a file in it."""

    artifact: Artifact
    entry: Entry | None = None

    @property
    def name(self) -> str:
        return self.entry.name if self.entry else self.artifact.name

    @property
    def content(self) -> Content:
        return content_of_entry(self.artifact, self.entry) if self.entry else content_of(self.artifact)

    def open(self) -> IO[bytes]:
        return open_entry(self.artifact, self.entry) if self.entry else open_file(self.artifact)

    @property
    def download(self) -> str:
        return self._address("artifact_download")

    @property
    def html(self) -> str:
        return self._address("artifact_html")

    @property
    def pdf(self) -> str:
        return self._address("artifact_pdf")

    def _address(self, name: str) -> str:
        query = f"?{urlencode({'entry': self.entry.number})}" if self.entry else ""
        return f"{reverse(name, args=[self.artifact.uuid])}{query}"


def source(row: Artifact, query: QueryDict) -> Source:
    """The artifact, or with `entry` a file of it; ArchiveError when there is none of this number."""
    number = whole_number(query.get("entry", ""), most=10**9)
    return Source(row) if number is None else Source(row, find_entry(row, number))


def look(row: Artifact, query: QueryDict) -> dict[str, Any]:
    """`preview` and `source` as the address names them; a sentence where the store does not give it."""
    try:
        shown = source(row, query)
        return {"preview": _preview(shown, query), "source": shown}
    except (PlatformError, ArchiveError) as error:
        return {"preview": Preview("none", str(error)), "source": Source(row)}


def _preview(shown: Source, query: QueryDict) -> Preview:
    sheet = whole_number(query.get("sheet", ""), most=9_999)
    number = -1 if sheet is None else sheet
    if (entry := shown.entry) is None:
        return preview(shown.artifact, open_file, sheet=number, folder=query.get("folder", ""))
    return preview(as_artifact(shown.artifact, entry), lambda _: unpacked(shown.artifact, entry), sheet=number)


@dataclass(frozen=True)
class Delivery:
    """Where the file is kept: the words, the status that they look like, and why."""

    words: str
    look: str
    reason: str = ""


def delivery(row: Artifact) -> Delivery:
    """Sent to a store elsewhere and verified there, not yet, or kept on our own disk."""
    if upload := row.upload:
        words = "failed so far" if upload.error else "on its way to the artifact store"
        return Delivery(words, "failed" if upload.error else "running", upload.sentence(clock.now()))
    if is_remote():
        return Delivery("sent and verified", "succeeded", "The artifact store has it, with this size.")
    return Delivery("kept here only", "queued", "The artifact store is a folder of this console.")
