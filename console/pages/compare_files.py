"""Two files of one kind side by side: what the newer one says that the older did not."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from django.utils.safestring import SafeString

from console.files import delimited, workbooks
from console.files.bounded import TooMuch
from console.files.differences import (
    EntryDifference,
    SlideDifference,
    Sort,
    TableDifference,
    archive_difference,
    deck_difference,
    line_difference,
    table_difference,
)
from console.files.kinds import kind_of, suffix_of
from console.files.slides import Slide, SlidesError, sketches, slides
from console.files.texts import decoded
from jobs.interpreters.artifacts import open_file
from jobs.models import Artifact

MB: Final = 1_000_000
TABLE_BYTES: Final = 20 * MB
TEXT_BYTES: Final = 1 * MB
BINARY_BYTES: Final = 60 * MB
CELLS: Final = 4_000_000
"""Of a table that is text; each row counts as some cells more, as it does in memory."""
OF_A_ROW: Final = 8
TEXT_COLUMNS: Final = 2_000
ROWS: Final = 50_000
COLUMNS: Final = 200
SHEETS: Final = 20
DRAWN: Final = 40


@dataclass(frozen=True)
class ShownSlide:
    """A slide that differs, as it was and as it is; "" where there is none, or too many differ to draw all."""

    difference: SlideDifference
    before: str = ""
    after: str = ""

    @property
    def title(self) -> str:
        slide = self.difference.after or self.difference.before
        if slide is None:
            return ""
        place = f"Slide {slide.number}{'' if self.difference.after else ' before'}"
        return f"{place}: {slide.title}" if slide.title else place


@dataclass(frozen=True)
class FileDifference:
    """What the page shows; `kind` names its partial (same, decks, tables, archives, texts, pictures, none)."""

    kind: str
    sentence: str = ""
    slides: list[ShownSlide] = field(default_factory=list)
    tables: list[tuple[str, TableDifference]] = field(default_factory=list)
    """With the name of each sheet; "" for a file that is one table."""
    entries: list[EntryDifference] = field(default_factory=list)
    lines: list[tuple[Sort, str]] = field(default_factory=list)


def compare_files(before: Artifact, after: Artifact) -> FileDifference:
    """The older one first; errors of the store pass through."""
    if before.sha256 == after.sha256:
        return FileDifference("same", "Both files are the same, byte for byte.")
    suffix, kind = suffix_of(after.name), kind_of(after.name)
    if suffix_of(before.name) != suffix:
        return FileDifference("none", "They are files of two kinds: there is nothing to compare.")
    if kind.picture:
        return FileDifference("pictures")
    compare = _workbooks if kind.is_workbook else _COMPARERS.get(suffix)
    if compare is None:
        return FileDifference("none", "Files of this kind cannot be compared here. Download both to see them.")
    if max(before.size_bytes, after.size_bytes) > _MOST.get(suffix, BINARY_BYTES):
        most = _MOST.get(suffix, BINARY_BYTES) // MB
        return FileDifference("none", f"One is larger than {most} MB: download both and compare them there.")
    try:
        return compare(before, after)
    except SlidesError as error:
        return FileDifference("none", str(error))
    except workbooks.WorkbookError as error:
        return FileDifference("none", str(error))
    except TooMuch:
        return FileDifference("none", "The list of contents of one is too long to be compared here.")
    except (zipfile.BadZipFile, csv.Error, NotImplementedError, ValueError, OverflowError, EOFError):
        return FileDifference("none", "One of them cannot be read as what its name says. Download both to see them.")


def _decks(before: Artifact, after: Artifact) -> FileDifference:
    with open_file(before) as old, open_file(after) as new:
        found = deck_difference(slides(old), slides(new))
        differ = [each for each in found if each.sort != "same"]
        drawn = differ[:DRAWN]
        then = sketches(old, {each.before.number for each in drawn if each.before})
        now = sketches(new, {each.after.number for each in drawn if each.after})
    words = f"{len(differ)} of {len(found)} slides differ." if differ else "All slides show the same."
    shown = [ShownSlide(each, _drawing(then, each.before), _drawing(now, each.after)) for each in differ]
    return FileDifference("decks", words, slides=shown)


def _drawing(drawings: dict[int, SafeString], slide: Slide | None) -> str:
    return drawings.get(slide.number, "") if slide else ""


def _tables(before: Artifact, after: Artifact) -> FileDifference:
    (old, old_is_cut), (new, new_is_cut) = (_rows(each) for each in (before, after))
    note = f"The first {max(len(old), len(new)) - 1:,} rows of each." if old_is_cut or new_is_cut else ""
    return FileDifference("tables", note, tables=[("", table_difference(old, new))])


def _rows(artifact: Artifact) -> tuple[list[list[str]], bool]:
    """As many rows as can be compared here, and whether there are more."""
    with open_file(artifact) as file:
        text = decoded(file.read(TABLE_BYTES + 1)).text
    rows = delimited.rows(text, is_tabbed=suffix_of(artifact.name) == ".tsv")
    names = next(rows, [])[:TEXT_COLUMNS]
    most = CELLS // (len(names) + OF_A_ROW)
    found = [row[: len(names)] for row in islice(rows, most + 1)]
    return [names, *found[:most]] if names else [], len(found) > most


def _workbooks(before: Artifact, after: Artifact) -> FileDifference:
    old, new = _sheets(before), _sheets(after)
    found = [(name, table_difference(old.get(name, []), new.get(name, []))) for name in dict.fromkeys([*new, *old])]
    note = (
        "" if max(map(len, [*old.values(), *new.values()]), default=0) <= ROWS else f"The first {ROWS:,} rows of each."
    )
    return FileDifference("tables", note, tables=found)


def _sheets(artifact: Artifact) -> dict[str, list[list[str]]]:
    with open_file(artifact) as file:
        first = workbooks.read(file, sheet=0, rows=ROWS, columns=COLUMNS)
        names = [sheet.name for sheet in first.sheets[:SHEETS]]
        rest = [workbooks.read(file, sheet=place, rows=ROWS, columns=COLUMNS).rows for place in range(1, len(names))]
    return dict(zip(names, [first.rows, *rest], strict=True))


def _archives(before: Artifact, after: Artifact) -> FileDifference:
    with open_file(before) as old, open_file(after) as new:
        found = archive_difference(old, new)
    differ = [each for each in found if each.sort != "same"]
    words = f"{len(differ)} of {len(found)} entries differ." if differ else "All entries are the same."
    return FileDifference("archives", words, entries=differ[:500])


def _texts(before: Artifact, after: Artifact) -> FileDifference:
    found, has_more = line_difference(*(_text(each) for each in (before, after)))
    return FileDifference("texts", "The first differences." if has_more else "", lines=found)


def _text(artifact: Artifact) -> str:
    with open_file(artifact) as file:
        return decoded(file.read(TEXT_BYTES + 1)).text


_COMPARERS: Final[dict[str, Callable[[Any, Any], FileDifference]]] = {
    ".pptx": _decks,
    ".csv": _tables,
    ".tsv": _tables,
    ".zip": _archives,
    **dict.fromkeys((".json", ".geojson", ".txt", ".log", ".md", ".yml", ".yaml", ".xml", ".sql", ".html"), _texts),
}
_MOST: Final = {".csv": TABLE_BYTES, ".tsv": TABLE_BYTES, **dict.fromkeys(
    (".json", ".geojson", ".txt", ".log", ".md", ".yml", ".yaml", ".xml", ".sql", ".html"), TEXT_BYTES)}  # fmt: skip
