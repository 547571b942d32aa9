"""What a card shows of a file before one opens it: its first slide, its first rows, the picture itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from console.files.kinds import kind_of, suffix_of
from console.files.previews import preview
from console.files.slides import SlidesError, sketches
from jobs.errors import PlatformError
from jobs.interpreters.artifacts import open_file
from jobs.models import Artifact

ROWS: Final = 5
COLUMNS: Final = 4
PICTURE_BYTES: Final = 3_000_000
DECK_BYTES: Final = 60_000_000
LINES: Final = 8


@dataclass(frozen=True)
class Face:
    """`kind` is drawing, table, picture, text or none."""

    kind: str = "none"
    drawing: str = ""
    """SVG that was made here, with every text escaped."""
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    text: str = ""


def face(artifact: Artifact) -> Face:
    """None of it when it cannot be read now: the card has its icon."""
    try:
        return _face(artifact)
    except (PlatformError, SlidesError):
        return Face()


def _face(artifact: Artifact) -> Face:
    if kind_of(artifact.name).picture:
        return Face("picture") if artifact.size_bytes <= PICTURE_BYTES else Face()
    if suffix_of(artifact.name) == ".pptx" and artifact.size_bytes <= DECK_BYTES:
        with open_file(artifact) as file:
            return Face("drawing", sketches(file).get(1, ""))
    shown = preview(artifact, open_file)
    if shown.kind == "table" and shown.columns:
        names = [column.name for column in shown.columns[:COLUMNS]]
        return Face("table", columns=names, rows=[row[:COLUMNS] for row in shown.rows[:ROWS]])
    if shown.kind == "archive":
        return Face("text", text="\n".join(line.folder or line.name for line in shown.lines[:LINES]))
    if shown.kind == "text":
        return Face("text", text="\n".join(line[:60] for line in shown.text.splitlines()[:LINES]))
    return Face()
