"""Kinds of files by the end of their names: what they are called, how they are shown, whether they are packed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final


@dataclass(frozen=True)
class Kind:
    """`picture` is the media type of what a browser shows as a picture; packing what is packed gains nothing."""

    title: str
    icon: str
    picture: str = ""
    is_packed: bool = False
    is_workbook: bool = False


def _picture(media_type: str, *, is_packed: bool = True) -> Kind:
    return Kind("Picture", "image", media_type, is_packed)


KINDS: Final[dict[str, Kind]] = {
    ".pptx": Kind("PowerPoint slides", "slideshow", is_packed=True),
    ".docx": Kind("Word document", "description", is_packed=True),
    ".xlsx": Kind("Excel workbook", "table_chart", is_packed=True, is_workbook=True),
    ".xlsm": Kind("Excel workbook", "table_chart", is_packed=True, is_workbook=True),
    ".csv": Kind("Table (CSV)", "table"),
    ".tsv": Kind("Table (TSV)", "table"),
    ".parquet": Kind("Table (Parquet)", "table", is_packed=True),
    ".zip": Kind("Zip archive", "folder_zip", is_packed=True),
    ".gz": Kind("Packed file", "folder_zip", is_packed=True),
    ".pdf": Kind("PDF document", "picture_as_pdf", is_packed=True),
    ".html": Kind("Web page", "html"),
    ".htm": Kind("Web page", "html"),
    ".json": Kind("JSON data", "data_object"),
    ".txt": Kind("Text", "description"),
    ".md": Kind("Text", "description"),
    ".png": _picture("image/png"),
    ".jpg": _picture("image/jpeg"),
    ".jpeg": _picture("image/jpeg"),
    ".gif": _picture("image/gif"),
    ".webp": _picture("image/webp"),
    ".svg": _picture("image/svg+xml", is_packed=False),
}


def suffix_of(name: str) -> str:
    return PurePosixPath(name.lower()).suffix


def kind_of(name: str) -> Kind:
    suffix = suffix_of(name)
    return KINDS.get(suffix) or Kind(f"{suffix[1:].upper()} file" if suffix else "File", "draft")
