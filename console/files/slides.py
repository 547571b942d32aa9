"""What stands on the slides of a PowerPoint file: bounded reads, no entities, nothing run; sketches of them."""

from __future__ import annotations

import base64
import hashlib
import posixpath
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import IO, Final
from xml.etree import ElementTree

from django.utils.safestring import SafeString, mark_safe

MOST_SLIDES: Final = 300
PART_BYTES: Final = 3_000_000
PICTURE_BYTES: Final = 400_000
ALL_BYTES: Final = 60_000_000
MARKUP_BYTES: Final = 20_000_000
"""Of parts that are parsed: a slide has some 20 kB."""
TOO_LARGE: Final = "The slides are too large to be read here."
SHAPES: Final = 60
EMU: Final = 9525
"""English metric units of a pixel."""
POINT: Final = 12700
PICTURES: Final = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif"}
SIZES: Final = {"title": 40.0, "ctrTitle": 44.0, "subTitle": 24.0, "body": 24.0}
"""Points of a placeholder whose own size is not written down."""
Tree = ElementTree.Element


class SlidesError(Exception):
    """Why the slides cannot be read, as a sentence."""


@dataclass(frozen=True)
class Slide:
    """One slide; its digest is of all that is drawn on it."""

    number: int
    title: str
    texts: tuple[str, ...]
    digest: str


@dataclass
class _Box:
    """Where a shape stands, in pixels, and what it has."""

    x: float
    y: float
    width: float
    height: float
    lines: list[str] = field(default_factory=list)
    points: float = 18.0
    picture: str = ""
    is_figure: bool = False
    fill: str = ""
    ink: str = ""
    """Colours as #rrggbb; "" where it has none of its own."""


def slides(file: IO[bytes]) -> list[Slide]:
    """All of them, in order. SlidesError when they cannot be read."""
    with _opened(file) as deck:
        return [deck.slide(number, part) for number, part in enumerate(deck.order()[:MOST_SLIDES], 1)]


def sketches(file: IO[bytes], numbers: Collection[int] = (1,)) -> dict[int, SafeString]:
    """These slides as drawings (SVG): texts and pictures where they stand, without effects; every text is escaped."""
    with _opened(file) as deck:
        parts = dict(enumerate(deck.order()[:MOST_SLIDES], 1))
        return {number: mark_safe(deck.drawn(parts[number])) for number in numbers if number in parts}  # noqa: S308


FAULTS: Final = (
    zipfile.BadZipFile, ElementTree.ParseError, KeyError, ValueError, OSError, EOFError, NotImplementedError,
    RuntimeError, OverflowError, zlib.error,
)  # fmt: skip


@contextmanager
def _opened(file: IO[bytes]) -> Iterator[_Deck]:
    """The deck, whatever is wrong with it told as SlidesError."""
    try:
        yield _Deck(zipfile.ZipFile(file))
    except FAULTS as error:
        raise SlidesError("This is not a PowerPoint file that can be read here.") from error


class _Deck:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive, self._left, self._markup_left = archive, ALL_BYTES, MARKUP_BYTES

    def order(self) -> list[str]:
        """The parts of its slides, as they are shown; hidden ones too."""
        place = "ppt/presentation.xml"
        targets = self._relations(place)
        listed = _all(self._tree(place), "sldId")
        return [targets[key][1] for each in listed if (key := _attribute(each, "id", True)) in targets]

    def slide(self, number: int, part: str) -> Slide:
        data = self._markup(part)
        tree = _parsed(data)
        texts = tuple(line for shape in _outer(tree, "sp", "graphicFrame") for line in _lines(shape))
        digest = hashlib.sha256(b"\0".join([_plain(data), *self._shown(part)])).hexdigest()
        return Slide(number, _title(tree) or (texts[0] if texts else ""), texts, digest)

    def drawn(self, part: str) -> str:
        wide, high = self._extent()
        layout = self._led(part, "slideLayout")
        master = self._led(layout, "slideMaster")
        under = [each for each in (master, layout) if each]
        trees = {each: self._tree(each) for each in [*under, part]}
        places = {name: box for each in under for name, box in _places(trees[each]).items()}
        colours = self._colours(master)
        boxes = [
            box
            for each in trees
            for shape in _drawable(trees[each], is_under=each != part)
            if (box := self._box(shape, each, places, colours))
        ]
        ground = next((fill for each in (part, layout, master) if each and (fill := _ground(trees[each], colours))), "")
        body = "".join(_svg(box, is_dark=_is_dark(ground)) for box in boxes)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:.0f} {high:.0f}" role="img" '
            f'aria-label="A sketch of the slide"><rect width="100%" height="100%" fill="{ground or "#ffffff"}"/>'
            f"{body}</svg>"
        )

    def _colours(self, master: str) -> dict[str, str]:
        """The theme's names of colours, as slides use them."""
        theme = self._led(master, "theme")
        scheme = next(iter(_all(self._tree(theme), "clrScheme")), None) if theme else None
        named = {_bare(each.tag): colour for each in scheme or () if (colour := _written(each))}
        return {**named, "bg1": named.get("lt1", ""), "tx1": named.get("dk1", ""), "bg2": named.get("lt2", ""),
                "tx2": named.get("dk2", "")}  # fmt: skip

    def _box(self, shape: Tree, part: str, places: dict[tuple[str, str], _Box], colours: dict[str, str]) -> _Box | None:
        kind, number = _placeholder(shape)
        box = _extent_of(shape) or places.get((kind, number)) or places.get((kind, ""))
        if box is None:
            return None
        own = _Box(box.x, box.y, box.width, box.height, _lines(shape), _points(shape, kind))
        if _bare(shape.tag) == "pic":
            own.picture = self._picture(shape, part)
        own.is_figure = _bare(shape.tag) == "graphicFrame" and not own.lines
        own.fill, own.ink = _fill(shape, colours), _ink(shape, colours)
        return own

    def _led(self, part: str, kind: str) -> str:
        """The part of this kind that it builds on; "" when there is none."""
        return next((target for found, target in self._relations(part).values() if found == kind), "") if part else ""

    def _picture(self, shape: Tree, part: str) -> str:
        """As a data address; "" for what is too large or of a kind that not every browser draws."""
        blip = next(iter(_all(shape, "blip")), None)
        _, target = (
            self._relations(part).get(_attribute(blip, "embed", True), ("", "")) if blip is not None else ("", "")
        )
        media_type = PICTURES.get(posixpath.splitext(target.lower())[1], "")
        if not media_type or self._archive.getinfo(target).file_size > PICTURE_BYTES:
            return ""
        return f"data:{media_type};base64,{base64.b64encode(self._bytes(target, PICTURE_BYTES)).decode()}"

    def _shown(self, part: str) -> Iterator[bytes]:
        """Checksums of what a slide shows that lies beside it: pictures, charts, tables."""
        for kind, target in sorted(self._relations(part).values()):
            if kind not in ("slideLayout", "notesSlide", "hyperlink") and target in self._archive.NameToInfo:
                yield f"{kind} {self._archive.getinfo(target).CRC}".encode()

    def _extent(self) -> tuple[float, float]:
        (size,) = _all(self._tree("ppt/presentation.xml"), "sldSz")[:1]
        return int(size.get("cx", "9144000")) / EMU, int(size.get("cy", "6858000")) / EMU

    def _relations(self, part: str) -> dict[str, tuple[str, str]]:
        """Id → its kind and the part that it leads to."""
        folder, name = posixpath.split(part)
        place = f"{folder}/_rels/{name}.rels"
        if place not in self._archive.NameToInfo:
            return {}
        return {
            each.get("Id", ""): (each.get("Type", "").rpartition("/")[2], _inside(folder, each.get("Target", "")))
            for each in self._tree(place)
            if each.get("TargetMode") != "External"
        }

    def _tree(self, part: str) -> Tree:
        return _parsed(self._markup(part))

    def _markup(self, part: str) -> bytes:
        data = self._bytes(part, PART_BYTES)
        self._markup_left -= len(data)
        if self._markup_left < 0:
            raise SlidesError(TOO_LARGE)
        return data

    def _bytes(self, part: str, most: int) -> bytes:
        with self._archive.open(part) as packed:
            data = packed.read(most + 1)
        self._left -= len(data)
        if len(data) > most or self._left < 0:
            raise SlidesError(TOO_LARGE)
        return data


def _parsed(data: bytes) -> Tree:
    text = data.decode("utf-8-sig")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise SlidesError("The file defines XML entities, which no ordinary deck does; it is not shown.")
    return ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))  # noqa: S314 - without entities, bounded


def _plain(data: bytes) -> bytes:
    """Without the numbers that differ each time a deck is written, though it shows the same."""
    return re.sub(rb'\b(?:id|creationId|val)="\{?[0-9A-Fa-f-]{8,}\}?"', b"", data)


def _inside(folder: str, target: str) -> str:
    return posixpath.normpath(target.lstrip("/") if target.startswith("/") else posixpath.join(folder, target))


def _bare(tag: str) -> str:
    return tag.rpartition("}")[2]


def _all(tree: Tree, *names: str) -> list[Tree]:
    return [each for each in tree.iter() if _bare(each.tag) in names]


def _outer(tree: Tree, *names: str) -> list[Tree]:
    """Those that stand in no other one of them, as it is in every ordinary deck: however deep, each is seen once."""
    found: list[Tree] = []
    left = list(reversed(tree))
    while left:
        each = left.pop()
        if _bare(each.tag) in names:
            found.append(each)
        else:
            left += reversed(each)
    return found


def _attribute(element: Tree, name: str, is_relation: bool = False) -> str:
    """The attribute of this name: a relation's has a namespace, and the plain one of that name is another."""
    return next((value for key, value in element.items() if _bare(key) == name and ("}" in key) == is_relation), "")


def _lines(shape: Tree) -> list[str]:
    """A row of a table is one line."""
    if rows := _outer(shape, "tr"):
        return ["   ".join(" ".join(_paragraphs(cell)) for cell in _outer(row, "tc")) for row in rows]
    return _paragraphs(shape)


def _paragraphs(element: Tree) -> list[str]:
    found = ("".join(part.text or "" for part in _outer(each, "t")).strip() for each in _outer(element, "p"))
    return [line for line in found if line]


def _placeholder(shape: Tree) -> tuple[str, str]:
    found = next(iter(_all(shape, "ph")), None)
    return (found.get("type", "body"), found.get("idx", "")) if found is not None else ("", "")


def _title(tree: Tree) -> str:
    titles = (_lines(shape) for shape in _outer(tree, "sp") if _placeholder(shape)[0] in ("title", "ctrTitle"))
    return next((" ".join(lines) for lines in titles if lines), "")


def _places(layout: Tree) -> dict[tuple[str, str], _Box]:
    """Where a layout puts its placeholders, by their type and number."""
    found: dict[tuple[str, str], _Box] = {}
    for shape in _outer(layout, "sp"):
        kind, number = _placeholder(shape)
        if kind and (box := _extent_of(shape)):
            found[(kind, number)] = box
            found.setdefault((kind, ""), box)
    return found


def _extent_of(shape: Tree) -> _Box | None:
    frame = next(iter(_all(shape, "xfrm")), None)
    if frame is None:
        return None
    parts = {_bare(each.tag): each for each in frame}
    if "off" not in parts or "ext" not in parts:
        return None
    x, y = (int(parts["off"].get(name, "0")) / EMU for name in ("x", "y"))
    width, height = (int(parts["ext"].get(name, "0")) / EMU for name in ("cx", "cy"))
    return _Box(x, y, width, height)


def _points(shape: Tree, kind: str) -> float:
    sizes = [int(size) for each in _all(shape, "rPr", "defRPr") if (size := each.get("sz", "")).isdecimal()]
    return max(sizes) / 100 if sizes else SIZES.get(kind, 18.0)


def _drawable(tree: Tree, *, is_under: bool) -> list[Tree]:
    """Shapes in the order in which they are drawn; of a layout or master those that are no placeholders."""
    outer = _outer(tree, "sp", "pic", "graphicFrame")
    framed = ([each, *(_outer(each, "pic") if _bare(each.tag) == "graphicFrame" else ())] for each in outer)
    found = [shape for each in framed for shape in each][:SHAPES]
    return [shape for shape in found if not (is_under and _placeholder(shape)[0])]


def _written(element: Tree | None, colours: dict[str, str] | None = None) -> str:
    """The colour that stands there, as #rrggbb; "" for what is none, or shaded in ways that are not drawn here."""
    for each in element.iter() if element is not None else ():
        value = each.get("lastClr") if _bare(each.tag) == "sysClr" else each.get("val", "")
        if _bare(each.tag) == "schemeClr":
            return (colours or {}).get(value or "", "")
        if _bare(each.tag) in ("srgbClr", "sysClr") and re.fullmatch("[0-9A-Fa-f]{6}", value or ""):
            return f"#{value}"
    return ""


def _child(element: Tree | None, *names: str) -> Tree | None:
    return next((each for each in element if _bare(each.tag) in names), None) if element is not None else None


def _ground(tree: Tree, colours: dict[str, str]) -> str:
    return _written(next(iter(_all(tree, "bg")), None), colours)


def _fill(shape: Tree, colours: dict[str, str]) -> str:
    return _written(_child(_child(shape, "spPr"), "solidFill"), colours)


def _ink(shape: Tree, colours: dict[str, str]) -> str:
    runs = (_child(each, "solidFill") for each in _all(shape, "rPr", "defRPr"))
    return next((colour for run in runs if (colour := _written(run, colours))), "")


def _is_dark(colour: str) -> bool:
    parts = [int(colour[place : place + 2], 16) for place in (1, 3, 5)] if colour else [255]
    return sum(parts) / len(parts) < 128


def _svg(box: _Box, *, is_dark: bool = False) -> str:
    place = f'x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" height="{box.height:.0f}"'
    if box.picture:
        return f'<image {place} href="{box.picture}" preserveAspectRatio="xMidYMid meet"/>'
    fill = box.fill or ("#dfe5f2" if box.is_figure else "")
    ground = f'<rect {place} fill="{fill}"/>' if fill else ""
    if not box.lines:
        return ground
    pixels = min(box.points * POINT / EMU, max(box.height, 12.0))
    lines = list(_wrapped(box.lines, max(8, int(box.width / (pixels * 0.52)))))[: max(1, int(box.height / pixels))]
    spans = "".join(
        f'<tspan x="{box.x + 8:.0f}" y="{box.y + pixels * (1 + 1.2 * row):.0f}">{escape(line)}</tspan>'
        for row, line in enumerate(lines)
    )
    ink = box.ink or ("#ffffff" if (_is_dark(box.fill) if box.fill else is_dark) else "#222222")
    return f'{ground}<text font-family="sans-serif" font-size="{pixels:.0f}" fill="{ink}">{spans}</text>'


def _wrapped(lines: list[str], width: int) -> Iterator[str]:
    for line in lines:
        row = ""
        for word in line[:2000].split():
            if row and len(row) + 1 + len(word) > width:
                yield row
                row = ""
            row = f"{row} {word}".strip()
        yield row
