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
}
