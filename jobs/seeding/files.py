"""Small real files for the newest days of a seeded history; equal ones are kept once, as all files are."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import PurePosixPath
from random import Random
from typing import Final

from django.core.files.base import ContentFile

from jobs.interpreters.artifacts import key_of, store
from jobs.seeding.habits import File

CITIES: Final = ("Bergen", "Ghent", "Lyon", "Porto", "Riga", "Turku", "Zadar")
TITLES: Final = ("Orders of the week", "By city", "What to look at")
PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
KIND: Final = "application/vnd.openxmlformats-officedocument.presentationml"
SPACES: Final = (
    f'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:r="{OFFICE}" '
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'
)
SIZES: Final = {"title": 4000, "body": 2400}
"""Of letters, in hundredths of a point."""
LATIN: Final = "The figures of this week are within the usual range; nothing needs attention."


@lru_cache(maxsize=512)
def content_of(file: File, variant: int) -> tuple[int, str]:
    """Put a file of this kind into the artifact store; its size and checksum."""
    suffix = PurePosixPath(file.name).suffix
    content = WRITERS.get(suffix, _text)(file, Random(f"{file.name} {variant}"))  # noqa: S311 - nothing secret
    digest = hashlib.sha256(content).hexdigest()
    if not store().exists(key_of(digest)):
        store().save(key_of(digest), ContentFile(content))
    return len(content), digest


def _csv(file: File, random: Random) -> bytes:
    rows = ["city,day,orders,revenue,returns,rating"]
    for day in range(1, 29):
        for city in CITIES:
            orders = random.randrange(20, 400)
            rows.append(
                f"{city},2026-02-{day:02},{orders},{orders * 17.4:.2f},{orders // 23},{random.uniform(3, 5):.1f}"
            )
    return "\n".join([*rows, ""]).encode()


def _json(file: File, random: Random) -> bytes:
    return json.dumps({city: random.randrange(20, 400) for city in CITIES}, indent=2).encode()


def _html(file: File, random: Random) -> bytes:
    rows = "".join(f"<tr><td>{city}</td><td>{random.randrange(20, 400)}</td></tr>" for city in CITIES)
    return f"<!doctype html><title>{file.dataset}</title><h1>Orders</h1><table>{rows}</table>".encode()


def _text(file: File, random: Random) -> bytes:
    return "\n".join([file.dataset, *[f"{city}: {LATIN}" for city in CITIES], ""]).encode()


def _zip(file: File, random: Random) -> bytes:
    return _packed({"orders.csv": _csv(file, random), "readme.txt": _text(file, random)})


def _pptx(file: File, random: Random) -> bytes:
    """Three slides with a title and some lines: the least that a reader of slides takes."""
    slides = [_slide(title, [f"{city}: {random.randrange(20, 400)} orders" for city in CITIES]) for title in TITLES]
    names = [f"slides/slide{number}.xml" for number in range(1, len(slides) + 1)]
    link = f'<Relationship Id="r{{}}" Type="{OFFICE}/slide" Target="{{}}"/>'
    links = "".join(link.format(place, name) for place, name in enumerate(names))
    listed = "".join(f'<p:sldId id="{256 + place}" r:id="r{place}"/>' for place in range(len(names)))
    kinds = "".join(f'<Override PartName="/ppt/{each}" ContentType="{KIND}.slide+xml"/>' for each in names)
    main = f'<Override PartName="/ppt/presentation.xml" ContentType="{KIND}.presentation.main+xml"/>'
    plain = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    start = f'<Relationship Id="r" Type="{OFFICE}/officeDocument" Target="ppt/presentation.xml"/>'
    entries = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">{plain}{main}{kinds}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{start}</Relationships>',
        "ppt/_rels/presentation.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{links}</Relationships>',
        "ppt/presentation.xml": f"<p:presentation {SPACES}><p:sldIdLst>{listed}</p:sldIdLst>"
        '<p:sldSz cx="12192000" cy="6858000"/></p:presentation>',
    }
    entries |= {f"ppt/{name}": slide for name, slide in zip(names, slides, strict=True)}
    return _packed({name: text.encode() for name, text in entries.items()})


def _slide(title: str, lines: list[str]) -> str:
    shapes = _shape(2, "title", 500_000, 1_300_000, [title]) + _shape(3, "body", 1_900_000, 4_400_000, lines)
    return f"<p:sld {SPACES}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"


def _shape(number: int, kind: str, top: int, height: int, lines: list[str]) -> str:
    size = f'<a:rPr lang="en" sz="{SIZES[kind]}"/>'
    written = "".join(f"<a:p><a:r>{size}<a:t>{line}</a:t></a:r></a:p>" for line in lines)
    place = f'<a:xfrm><a:off x="800000" y="{top}"/><a:ext cx="10600000" cy="{height}"/></a:xfrm>'
    named = f'<p:cNvPr id="{number}" name="{kind}"/><p:cNvSpPr/><p:nvPr><p:ph type="{kind}"/></p:nvPr>'
    return f"<p:sp><p:nvSpPr>{named}</p:nvSpPr><p:spPr>{place}</p:spPr><p:txBody><a:bodyPr/>{written}</p:txBody></p:sp>"


def _packed(entries: dict[str, bytes]) -> bytes:
    """The same bytes for the same entries: no time of today is in them."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return packed.getvalue()


WRITERS: Final[dict[str, Callable[[File, Random], bytes]]] = {
    ".csv": _csv,
    ".json": _json,
    ".html": _html,
    ".zip": _zip,
    ".pptx": _pptx,
}
