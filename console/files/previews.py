"""Look into an artifact without trusting it: bounded reads, nothing unpacked, nothing executed."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import islice
from typing import IO, Any, Final, cast

from console.files import delimited, workbooks
from console.files.bounded import Bounded, TooMuch
from console.files.entries import ArchiveError, Entry, entries
from console.files.kinds import kind_of, suffix_of
from console.files.texts import Text, decoded
from jobs.models import Artifact

MB: Final = 1_000_000
TEXT_BYTES: Final = 200_000
TABLE_BYTES: Final = 2 * MB
JSON_BYTES: Final = 1 * MB
HTML_BYTES: Final = 5 * MB
PICTURE_BYTES: Final = 25 * MB
SLIDES_BYTES: Final = 60 * MB
PDF: Final = b"%PDF-"
SLIDE: Final = re.compile(r"ppt/slides/slide\d+\.xml")
WORKBOOK_BYTES: Final = 60 * MB
ROWS: Final = 200
COLUMNS: Final = 60
CELL: Final = 300  # characters
ENTRIES: Final = 1_000
BOMB: Final = 100  # unpacked to packed; honest text stays below 30


@dataclass(frozen=True)
class Column:
    """A column of a table preview; `empty_share` is a share of the rows that were read."""

    name: str
    kind: str
    empty_share: float

    @property
    def is_number(self) -> bool:
        return self.kind in ("whole number", "number")

    @property
    def empty_percent(self) -> int:
        return round(self.empty_share * 100)


@dataclass(frozen=True)
class Line:
    """A line of what is in a folder of an archive: a file, or a folder with how many files are below it."""

    name: str
    size_bytes: int
    packed_bytes: int
    number: int = -1
    folder: str = ""
    files: int = 0


@dataclass(frozen=True)
class Preview:
    """What the page shows: `kind` names its partial (none, table, slides, archive, picture, text, html, pdf)."""

    kind: str
    sentence: str = ""
    text: str = ""
    columns: list[Column] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    folder: str = ""
    """Which folder of the archive is shown, with a slash at its end; "" is the top."""
    sheets: list[str] = field(default_factory=list)
    shown: int = 0
    """The number of the sheet that is shown."""
    slides: int = 0

    @property
    def trail(self) -> list[tuple[str, str]]:
        """The folders on the way to the one that is shown, each with its path."""
        parts = self.folder.split("/")[:-1]
        return [(name, "".join(f"{each}/" for each in parts[: place + 1])) for place, name in enumerate(parts)]


Opener = Callable[[Artifact], IO[bytes]]


def preview(artifact: Artifact, open_file: Opener, *, sheet: int = -1, folder: str = "") -> Preview:
    """What can be shown of this artifact, of a workbook one sheet, of an archive one folder.

    Errors of the store pass through.
    """
    suffix, kind = suffix_of(artifact.name), kind_of(artifact.name)
    if kind.picture:
        return _limited("picture", artifact, PICTURE_BYTES)
    if suffix == ".pptx":
        return replace(_limited("slides", artifact, SLIDES_BYTES), slides=_slides(artifact, open_file))
    if suffix in (".html", ".htm"):
        return _limited("html", artifact, HTML_BYTES)
    if suffix == ".pdf":
        return _pdf(artifact, open_file)
    if suffix == ".parquet":
        return _sampled(artifact) or Preview("table", "Reading its rows…")
    if kind.is_workbook or suffix == ".zip":
        with open_file(artifact) as file:
            return _archive(file, folder) if suffix == ".zip" else _workbook(file, artifact, sheet)
    reader = _READERS.get(suffix)
    if reader is None and not artifact.media_type.startswith("text/"):
        words = _WORDS.get(suffix, "There is no preview of this type of file. Download it to see it.")
        return _sampled(artifact) or Preview("none", words)
    with open_file(artifact) as file:
        return (reader or _text)(file, artifact)


_WORDS: Final = {
    ".xls": "Workbooks of old Excel are not previewed here. Download it and open it in Excel or LibreOffice.",
}


def _limited(kind: str, artifact: Artifact, most: int) -> Preview:
    """Kinds that the browser draws itself, up to a size that it bears."""
    if artifact.size_bytes > most:
        return Preview("none", f"Larger than {most // MB} MB, so there is no preview. Download it to see it.")
    return Preview(kind)


def _slides(artifact: Artifact, open_file: Opener) -> int:
    """How many the deck lists; 0 when it cannot be read."""
    with suppress(ArchiveError), open_file(artifact) as file:
        return sum(bool(SLIDE.fullmatch(each.name)) for each in entries(file))
    return 0


def _pdf(artifact: Artifact, open_file: Opener) -> Preview:
    """The browser's own reader shows it, if it is what its name says."""
    with open_file(artifact) as file:
        if not file.read(len(PDF)).startswith(PDF):
            return Preview("none", "This is no PDF document, whatever its name says. Download it to see it.")
    return Preview("pdf")


def _head(file: IO[bytes], most: int) -> tuple[Text, bool]:
    """The beginning as text, whatever its bytes are, and whether there is more."""
    data = file.read(most + 1)
    is_cut = len(data) > most
    return decoded(data[:most], is_cut=is_cut), is_cut


def _text(file: IO[bytes], artifact: Artifact) -> Preview:
    head, is_cut = _head(file, TEXT_BYTES)
    first = f"The first {TEXT_BYTES // 1000} kB." if is_cut else ""
    return Preview("text", f"{first} {head.note}".strip(), head.text)


def _json(file: IO[bytes], artifact: Artifact) -> Preview:
    if artifact.size_bytes > JSON_BYTES:
        return _text(file, artifact)
    head, _ = _head(file, JSON_BYTES)
    try:
        whole = _indented(json.loads(head.text, object_pairs_hook=_once), 2 * JSON_BYTES)
    except (ValueError, RecursionError):
        sentence = f"This is not valid JSON; it is shown as it is. {head.note}".strip()
        return Preview("text", sentence, head.text[:TEXT_BYTES])
    return Preview("text", head.note, _storable(whole))


def _indented(value: Any, most: int) -> str:
    """As JSON with a line for each value, up to so many characters: each level indents all that is inside of it."""
    parts: list[str] = []
    for part in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(value):
        parts.append(part)
        most -= len(part)
        if most < 0:
            break
    return "".join(parts)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A name that comes twice would be shown once: ValueError."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("A name occurs twice.")
    return found


def _storable(text: str) -> str:
    """Halves of characters, which JSON can name and no page can hold, as JSON names them."""
    return text.encode("utf-8", "backslashreplace").decode()


def _table(file: IO[bytes], artifact: Artifact) -> Preview:
    head, is_cut = _head(file, TABLE_BYTES)
    try:
        is_tabbed = artifact.name.lower().endswith(".tsv")
        rows = list(islice(delimited.rows(head.text, is_tabbed=is_tabbed), ROWS + 2))
    except csv.Error as error:
        return Preview("text", f"This table cannot be read ({error}). {head.note}", head.text[:TEXT_BYTES])
    if is_cut and 1 < len(rows) < ROWS + 2:  # the last row is a part of one
        rows.pop()
    if not rows:
        return Preview("none", "The file is empty.")
    return _of_rows(rows, artifact, has_more=is_cut or len(rows) > ROWS + 1, note=head.note)


def _of_rows(rows: list[list[str]], artifact: Artifact, *, has_more: bool, note: str = "") -> Preview:
    """A table whose first row has the names."""
    whole = max(len(row) for row in rows)
    width = min(whole, COLUMNS)
    body = [[cell[:CELL] for cell in (row + [""] * width)[:width]] for row in rows[1 : ROWS + 1]]
    names = (rows[0] + [""] * width)[:width]
    columns = [_column(name[:CELL], [row[place] for row in body]) for place, name in enumerate(names)]
    sentence = f"{_told(len(body), has_more, artifact, whole - width)} {note}".strip()
    return Preview("table", sentence, columns=columns, rows=body)


def _workbook(file: IO[bytes], artifact: Artifact, sheet: int) -> Preview:
    try:
        found = workbooks.read(
            cast(IO[bytes], Bounded(file, WORKBOOK_BYTES)), sheet=sheet, rows=ROWS + 1, columns=COLUMNS + 1
        )
    except TooMuch:
        return Preview("none", "The workbook is too large for a preview. Download it to see it.")
    except workbooks.WorkbookError as error:
        return Preview("none", str(error))
    sheets = [each.name for each in found.sheets]
    hidden = [each.name for each in found.sheets if each.is_hidden]
    note = f"Hidden in Excel: {', '.join(hidden)}." if hidden else ""
    if not found.rows:
        return Preview("table", f"This sheet is empty. {note}".strip(), sheets=sheets, shown=found.shown)
    is_only = len(sheets) == 1 and artifact.parts is None
    counted = artifact if is_only else Artifact(name=artifact.name)  # what is known of rows is of one sheet
    shown = _of_rows(found.rows, counted, has_more=found.has_more, note=note)
    return replace(shown, sheets=sheets, shown=found.shown)


def _sampled(artifact: Artifact) -> Preview | None:
    """The first rows as they were when they were saved; None when nobody saw them."""
    saved = (
        artifact.run.events.filter(kind="dataset_saved", data__dataset=artifact.dataset) if artifact.run_id else None
    )
    last = saved.order_by("-seq").first() if saved is not None else None
    sample = last.data.get("sample") if last else None
    if not sample or (last and (last.data.get("kept") or {}).get("sha256") != artifact.sha256):
        return None
    names = last.data.get("names") if last else None
    if not names:
        return None
    rows = [names, *[["" if row.get(name) is None else _cell(row[name]) for name in names] for row in sample]]
    is_whole = artifact.rows is not None and artifact.rows <= len(sample)
    shown = _of_rows(rows, artifact, has_more=not is_whole)
    left = (artifact.columns or 0) - len(names)
    more = f" {left:,} further columns are not shown." if left > 0 else ""
    rest = "" if is_whole and not more else " Download the file to see the rest."
    return replace(shown, sentence=f"{shown.sentence}{more} As they were saved.{rest}")


def _cell(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _told(shown: int, more: bool, artifact: Artifact, hidden_columns: int) -> str:
    if not more:
        words = f"All {shown:,} rows" if shown != 1 else "The only row"
    elif artifact.rows and artifact.rows > shown:
        words = f"The first {shown:,} of {artifact.rows:,} rows"
    else:
        words = f"The first {shown:,} rows"
    return words + (f", without {hidden_columns:,} further columns." if hidden_columns > 0 else ".")


def _column(name: str, cells: list[str]) -> Column:
    filled = [cell for cell in cells if cell.strip() and cell.strip().lower() not in ("nan", "null", "none")]
    kind = next((words for words, fits in _KINDS if filled and all(_fits(fits, cell) for cell in filled)), "text")
    return Column(name, kind if filled else "empty", 1 - len(filled) / len(cells) if cells else 0.0)


def _fits(read: Callable[[str], Any], cell: str) -> bool:
    if "_" in cell:  # Python reads 1_000 as a number, and nobody else does
        return False
    try:
        read(cell.strip())
    except ValueError:
        return False
    return True


def _truth(cell: str) -> bool:
    if cell.lower() not in ("true", "false"):
        raise ValueError(cell)
    return cell.lower() == "true"


_KINDS: Final[list[tuple[str, Callable[[str], Any]]]] = [
    ("whole number", int),
    ("number", float),
    ("true or false", _truth),
    ("date", date.fromisoformat),
    ("time", datetime.fromisoformat),
]


def _archive(file: IO[bytes], folder: str) -> Preview:
    """One folder of the archive, as its list of contents claims; nothing is unpacked."""
    try:
        known = entries(file)
    except ArchiveError as error:
        return Preview("none", str(error))
    unpacked, packed = sum(each.size_bytes for each in known), sum(each.packed_bytes for each in known)
    if not any(each.name.startswith(folder) for each in known):
        folder = ""
    lines = _lines(known, folder)
    told = [f"The first {ENTRIES:,} of {len(lines):,} entries."] if len(lines) > ENTRIES else []
    if unpacked > BOMB * max(packed, 1) and unpacked > 100 * MB:
        told.insert(0, f"Careful: it says that it unpacks to {unpacked / 1e9:,.1f} GB.")
    return Preview("archive", " ".join(told), lines=lines[:ENTRIES], folder=folder)


def _lines(known: list[Entry], folder: str) -> list[Line]:
    """What lies directly in this folder: the folders first, both by name."""
    folders: dict[str, Line] = {}
    files = []
    for each in known:
        rest = each.name[len(folder) :] if each.name.startswith(folder) else ""
        name, slash, _ = rest.partition("/")
        if slash and name:
            known_line = folders.get(name, Line(name[:CELL], 0, 0, folder=f"{folder}{name}/"))
            folders[name] = _with(known_line, each)
        elif rest and not each.is_folder:
            files.append(Line(rest[:CELL], each.size_bytes, each.packed_bytes, number=each.number))
    return [*sorted(folders.values(), key=lambda line: line.name), *sorted(files, key=lambda line: line.name)]


def _with(line: Line, entry: Entry) -> Line:
    """A folder with one more file below it."""
    size, packed = line.size_bytes + entry.size_bytes, line.packed_bytes + entry.packed_bytes
    return replace(line, size_bytes=size, packed_bytes=packed, files=line.files + (not entry.is_folder))


_READERS: Final[dict[str, Callable[[IO[bytes], Artifact], Preview]]] = {
    ".csv": _table,
    ".tsv": _table,
    ".json": _json,
    ".geojson": _json,
    ".ipynb": _json,
    ".txt": _text,
    ".log": _text,
    ".md": _text,
    ".yml": _text,
    ".yaml": _text,
    ".xml": _text,
    ".sql": _text,
    ".jsonl": _text,
}
