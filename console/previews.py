"""Look into an artifact without trusting it: bounded reads, nothing unpacked, nothing executed."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from io import StringIO
from pathlib import PurePosixPath
from typing import IO, Any, Final

from jobs.models import Artifact

MB: Final = 1_000_000
TEXT_BYTES: Final = 200_000
TABLE_BYTES: Final = 2 * MB
JSON_BYTES: Final = 1 * MB
HTML_BYTES: Final = 5 * MB
PICTURE_BYTES: Final = 25 * MB
SLIDES_BYTES: Final = 60 * MB
DIRECTORY_BYTES: Final = 8 * MB
ROWS: Final = 200
COLUMNS: Final = 60
CELL: Final = 300  # characters
ENTRIES: Final = 500
BOMB: Final = 100  # unpacked to packed; honest text stays below 30

PICTURES: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
}
DELIMITERS: Final = ",;\t|"


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
class Entry:
    """A file in an archive, as the archive itself claims."""

    name: str
    size_bytes: int
    packed_bytes: int
    is_folder: bool


@dataclass(frozen=True)
class Preview:
    """What the page shows: `kind` names its partial (none, table, slides, archive, picture, text, html)."""

    kind: str
    sentence: str = ""
    text: str = ""
    columns: list[Column] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


class _TooMuch(Exception):
    """More was read than a preview may."""


class _Bounded:
    """A seekable file that refuses to be read for more than its budget of bytes."""

    def __init__(self, file: IO[bytes], budget: int) -> None:
        self._file, self._left = file, budget

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise _TooMuch
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


Opener = Callable[[Artifact], IO[bytes]]


def preview(artifact: Artifact, open_file: Opener) -> Preview:
    """What can be shown of this artifact; errors of the store pass through."""
    suffix = PurePosixPath(artifact.name.lower()).suffix
    if suffix in PICTURES:
        return _limited("picture", artifact, PICTURE_BYTES)
    if suffix == ".pptx":
        return _limited("slides", artifact, SLIDES_BYTES)
    if suffix in (".html", ".htm"):
        return _limited("html", artifact, HTML_BYTES)
    reader = _READERS.get(suffix)
    if reader is None and not artifact.media_type.startswith("text/"):
        return Preview("none", _WORDS.get(suffix, "There is no preview of this type of file. Download it to see it."))
    with open_file(artifact) as file:
        return (reader or _text)(file, artifact)


_WORDS: Final = {
    ".xlsx": "Excel workbooks are not previewed here. Download it and open it in Excel or LibreOffice.",
    ".parquet": "Parquet files are not previewed here. Download it and read it with pandas or DuckDB.",
    ".pdf": "PDF files are not previewed here. Download it to read it.",
}


def _limited(kind: str, artifact: Artifact, most: int) -> Preview:
    """Kinds that the browser draws itself, up to a size that it bears."""
    if artifact.size_bytes > most:
        return Preview("none", f"Larger than {most // MB} MB, so there is no preview. Download it to see it.")
    return Preview(kind)


def _head(file: IO[bytes], most: int) -> tuple[str, bool]:
    """The beginning as text, whatever its bytes are, and whether there is more."""
    data = file.read(most + 1)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data[:most].decode("utf-16", "replace").replace("\x00", "�"), len(data) > most
    return data[:most].decode("utf-8-sig", "replace").replace("\x00", "�"), len(data) > most


def _text(file: IO[bytes], artifact: Artifact) -> Preview:
    text, is_cut = _head(file, TEXT_BYTES)
    return Preview("text", f"The first {TEXT_BYTES // 1000} kB." if is_cut else "", text)


def _json(file: IO[bytes], artifact: Artifact) -> Preview:
    if artifact.size_bytes > JSON_BYTES:
        return _text(file, artifact)
    text, _ = _head(file, JSON_BYTES)
    try:
        return Preview("text", text=json.dumps(json.loads(text), indent=2, ensure_ascii=False)[: 2 * JSON_BYTES])
    except (ValueError, RecursionError):
        return Preview("text", "This is not JSON that can be read; here it is as it stands.", text[:TEXT_BYTES])


def _table(file: IO[bytes], artifact: Artifact) -> Preview:
    text, is_cut = _head(file, TABLE_BYTES)
    if is_cut:  # the last line is a part of one
        text = text[: text.rfind("\n") + 1] or text
    try:
        rows = list(_rows(text))
    except csv.Error as error:
        return Preview("text", f"This is not a table that can be read ({error}).", text[:TEXT_BYTES])
    if not rows:
        return Preview("none", "The file is empty.")
    width = min(max(len(row) for row in rows), COLUMNS)
    body = [[cell[:CELL] for cell in (row + [""] * width)[:width]] for row in rows[1 : ROWS + 1]]
    names = (rows[0] + [""] * width)[:width]
    columns = [_column(name[:CELL], [row[place] for row in body]) for place, name in enumerate(names)]
    more = is_cut or len(rows) > ROWS + 1
    return Preview("table", _told(len(body), more, artifact, max(map(len, rows)) - width), columns=columns, rows=body)


def _rows(text: str) -> Iterator[list[str]]:
    """The heading and one row more than is shown."""
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    for place, row in enumerate(csv.reader(StringIO(text, newline=""), delimiter=delimiter)):
        if place > ROWS + 1:
            return
        if row:
            yield row


def _told(shown: int, more: bool, artifact: Artifact, hidden_columns: int) -> str:
    if not more:
        words = f"All {shown:,} rows" if shown != 1 else "The only row"
    elif artifact.rows:
        words = f"The first {shown:,} of {artifact.rows:,} rows"
    else:
        words = f"The first {shown:,} rows"
    return words + (f", without {hidden_columns:,} further columns." if hidden_columns > 0 else ".")


def _column(name: str, cells: list[str]) -> Column:
    filled = [cell for cell in cells if cell.strip() and cell.strip().lower() not in ("nan", "null", "none")]
    kind = next((words for words, fits in _KINDS if filled and all(_fits(fits, cell) for cell in filled)), "text")
    return Column(name, kind if filled else "empty", 1 - len(filled) / len(cells) if cells else 0.0)


def _fits(read: Callable[[str], Any], cell: str) -> bool:
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


def _archive(file: IO[bytes], artifact: Artifact) -> Preview:
    """The list of contents as the archive claims it; nothing is unpacked."""
    try:
        infos = zipfile.ZipFile(_Bounded(file, DIRECTORY_BYTES)).infolist()
    except _TooMuch:
        return Preview("none", "Its list of contents is too long for a preview. Download it to see it.")
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, OverflowError, EOFError):
        return Preview("none", "This is not a zip file that can be read, though its name says so.")
    unpacked, packed = sum(info.file_size for info in infos), sum(info.compress_size for info in infos)
    entries = [Entry(info.filename[:CELL], info.file_size, info.compress_size, info.is_dir()) for info in infos]
    sentence = f"The first {ENTRIES:,} of {len(infos):,} entries." if len(infos) > ENTRIES else ""
    if unpacked > BOMB * max(packed, 1) and unpacked > 100 * MB:
        sentence = f"Take care: it says that it unpacks to {unpacked / 1e9:,.1f} GB. {sentence}".strip()
    return Preview("archive", sentence, entries=entries[:ENTRIES])


_READERS: Final[dict[str, Callable[[IO[bytes], Artifact], Preview]]] = {
    ".csv": _table,
    ".tsv": _table,
    ".json": _json,
    ".geojson": _json,
    ".ipynb": _json,
    ".zip": _archive,
    ".txt": _text,
    ".log": _text,
    ".md": _text,
    ".yml": _text,
    ".yaml": _text,
    ".xml": _text,
    ".sql": _text,
    ".jsonl": _text,
}
