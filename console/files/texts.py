"""Bytes as the text that they most likely are, with a word on what was guessed."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Final

MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
LOOKED_AT: Final = 4_000
ENOUGH: Final = 0.4
"""Of every second byte so many are 0 in UTF-16 without a mark: a text of this share is taken for it."""
REPLACED: Final = "�"


@dataclass(frozen=True)
class Text:
    """What was read; `note` says how, when that is not plain UTF-8."""

    text: str
    note: str = ""


def decoded(data: bytes, *, is_cut: bool = False) -> Text:
    """The text of these bytes, which a page can show whatever they are; `is_cut`: the last character may be a part."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            text = _read(data[len(mark) :], encoding, is_cut)
            return Text(text, "" if encoding == "utf-8" else f"Decoded as {encoding[:6].upper()}.")
    if encoding := _wide(data):
        return Text(_read(data, encoding, is_cut), "Decoded as UTF-16, although it has no byte order mark.")
    try:
        return Text(_plain(codecs.getincrementaldecoder("utf-8")().decode(data, final=not is_cut)))
    except UnicodeDecodeError:
        return _not_utf8(data)


def _read(data: bytes, encoding: str, is_cut: bool) -> str:
    return _plain(codecs.getincrementaldecoder(encoding)("replace").decode(data, final=not is_cut))


def _plain(text: str) -> str:
    return text.replace("\x00", REPLACED)


def _wide(data: bytes) -> str:
    """The UTF-16 that Western text without a mark is written in; "" when it is not."""
    head = data[:LOOKED_AT]
    if len(head) < 4:
        return ""
    even, odd = (part.count(0) / max(len(part), 1) for part in (head[::2], head[1::2]))
    if odd > ENOUGH and even < ENOUGH / 8:
        return "utf-16-le"
    return "utf-16-be" if even > ENOUGH and odd < ENOUGH / 8 else ""


def _not_utf8(data: bytes) -> Text:
    """UTF-8 with broken places when most of what is not ASCII is UTF-8; else what Excel writes in Western Europe."""
    text = data.decode("utf-8", "replace")
    broken = text.count(REPLACED)
    if sum(character > "\x7f" for character in text) > 2 * broken:
        return Text(_plain(text), f"Decoded as UTF-8; {broken:,} places in it are not, and are shown as {REPLACED}.")
    if b"\x00" in data:
        return Text(_plain(text), f"Not all of it is text; what is not is shown as {REPLACED}.")
    return Text(_plain(data.decode("cp1252", "replace")), "It is not UTF-8: decoded as cp1252 (Western European).")
