"""Kinds of files by the end of their names: what they are called, how they are shown, whether they are packed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Kind:
    """`picture` is the media type of what a browser shows as a picture; packing what is packed gains nothing."""

    title: str
    icon: str
    family: str = ""
    picture: str = ""
    is_packed: bool = False
    is_workbook: bool = False


def _picture(media_type: str, *, is_packed: bool = True) -> Kind:
    return Kind("Picture", "image", "pictures", media_type, is_packed)


KINDS: Final[dict[str, Kind]] = {
    ".pptx": Kind("PowerPoint slides", "slideshow", "decks", is_packed=True),
    ".docx": Kind("Word document", "description", "documents", is_packed=True),
    ".xlsx": Kind("Excel workbook", "table_chart", "tables", is_packed=True, is_workbook=True),
    ".xlsm": Kind("Excel workbook", "table_chart", "tables", is_packed=True, is_workbook=True),
    ".csv": Kind("Table (CSV)", "table", "tables"),
    ".tsv": Kind("Table (TSV)", "table", "tables"),
    ".parquet": Kind("Table (Parquet)", "table", "tables", is_packed=True),
    ".zip": Kind("Zip archive", "folder_zip", "archives", is_packed=True),
    ".gz": Kind("Packed file", "folder_zip", "archives", is_packed=True),
    ".pdf": Kind("PDF document", "picture_as_pdf", "documents", is_packed=True),
    ".html": Kind("Web page", "html", "documents"),
    ".htm": Kind("Web page", "html", "documents"),
    ".json": Kind("JSON data", "data_object", "documents"),
    ".txt": Kind("Text", "description", "documents"),
    ".md": Kind("Text", "description", "documents"),
    ".png": _picture("image/png"),
    ".jpg": _picture("image/jpeg"),
    ".jpeg": _picture("image/jpeg"),
    ".gif": _picture("image/gif"),
    ".webp": _picture("image/webp"),
    ".svg": _picture("image/svg+xml", is_packed=False),
}

FAMILIES: Final = ("decks", "tables", "pictures", "archives", "documents")
"""As the library filters by them."""


def suffixes_of(family: str) -> list[str]:
    return [suffix for suffix, kind in KINDS.items() if kind.family == family]


def suffix_of(name: str) -> str:
    """In small letters, with its dot. No `Path` for each of a million names: it interns them, in one table of all."""
    last = name.lower().rstrip("/").rpartition("/")[2]
    dot = last.rfind(".")
    return last[dot:] if 0 < dot < len(last) - 1 else ""


def kind_of(name: str) -> Kind:
    suffix = suffix_of(name)
    return KINDS.get(suffix) or Kind(f"{suffix[1:].upper()} file" if suffix else "File", "draft")
