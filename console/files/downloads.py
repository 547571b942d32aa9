"""Answer with a stored file so that no browser runs it, resumes work, and its name does no harm."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.utils.http import parse_etags

from jobs.errors import PlatformError
from jobs.interpreters.artifacts import open_exactly
from jobs.models import Artifact
from jobs.models.act import record
from kedro_console.wire import Json

CHUNK = 256 * 1024
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
ONE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
HARMFUL = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that break headers or turn the reading direction: `gpj.exe` must not look like `exe.jpg`."""


@dataclass(frozen=True)
class Content:
    """What is sent: how to open the file, seekable, and what its row says about it."""

    open: Callable[[], IO[bytes]]
    name: str
    size_bytes: int
    media_type: str
    sha256: str


def content_of(row: Artifact) -> Content:
    """What is sent of an artifact, read so that a range of it costs no more than that range."""
    opener = partial(open_exactly, row.sha256, row.name)
    return Content(opener, row.name, row.size_bytes, row.media_type, row.sha256)


def refusal(error: PlatformError) -> HttpResponse:
    """The store is away, or the file waits elsewhere: ask again later."""
    return HttpResponse(str(error), status=503, content_type="text/plain; charset=utf-8")


def safe_name(name: str) -> str:
    """A file name without folders, control characters, direction marks or anything that a header or shell minds."""
    plain = "".join(character for character in name if unicodedata.category(character) not in HARMFUL)
    plain = re.sub(r'[\\/:*?"<>|]+', "_", plain).strip(" .")
    return plain[-200:] or "file"


def disposition(name: str) -> str:
    """The Content-Disposition of a download, its name in ASCII and, as RFC 5987 writes it, in full."""
    plain = safe_name(name)
    ascii_name = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode() or "file"
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(plain, safe='')}"


def safe_type(media_type: str) -> str:
    """The row's media type when it is one; types that a browser would run are sent as plain bytes."""
    kind = media_type.split(";")[0].strip().lower()
    if not re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", kind):
        return "application/octet-stream"
    if kind in ("text/html", "application/xhtml+xml", "text/javascript", "application/javascript"):
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def answer(request: HttpRequest, content: Content, link: str = "") -> HttpResponseBase:
    """200, 206 for one range, 304 when the asker has it already, 416 for a range outside; the file is closed after.

    With a link, who asks for bytes is sent there. What the file's opening raises passes through; without a need for
    bytes it is not opened.
    """
    etag = f'"{content.sha256}"'
    known = parse_etags(request.headers.get("If-None-Match", ""))
    if "*" in known or etag in {tag.removeprefix("W/") for tag in known}:
        return _dressed(HttpResponse(status=304), content, etag)
    if link and request.method == "GET":
        return _away(link)
    wanted = _range(request, content.size_bytes, etag)
    if wanted is None:
        refused = HttpResponse(status=416)
        refused["Content-Range"] = f"bytes */{content.size_bytes}"
        return refused
    first, last = wanted
    is_part = _is_asked(request, etag)
    parts = begun(_read(content.open(), first, last)) if request.method == "GET" else iter(())
    response = StreamingHttpResponse(parts, status=206 if is_part else 200)
    if is_part:
        response["Content-Range"] = f"bytes {first}-{last}/{content.size_bytes}"
    response["Content-Length"] = str(last - first + 1)
    return _dressed(response, content, etag)


def _away(link: str) -> HttpResponseBase:
    """To the store itself: the address is good for minutes, and for whoever has it."""
    response = HttpResponseRedirect(link)
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response


def _dressed(response: HttpResponseBase, content: Content, etag: str) -> HttpResponseBase:
    response["Content-Type"] = safe_type(content.media_type)
    response["Content-Disposition"] = disposition(content.name)
    response["ETag"] = etag
    response["Accept-Ranges"] = "bytes"
    response["Cache-Control"] = "private, no-cache"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = SANDBOX
    return response


def _is_asked(request: HttpRequest, etag: str) -> bool:
    """Whether there is one range to honour: several at once, other units and an outdated If-Range get the whole."""
    found = ONE_RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    return bool(found and any(found.groups())) and request.headers.get("If-Range", etag) == etag


def _range(request: HttpRequest, size: int, etag: str) -> tuple[int, int] | None:
    """The first and the last byte to send; None when the range is outside."""
    if not _is_asked(request, etag):
        return 0, size - 1
    found = ONE_RANGE.fullmatch(request.headers["Range"].replace(" ", ""))
    first, last = found.groups() if found else ("", "")
    if not first:  # the last n bytes
        return (max(size - int(last), 0), size - 1) if int(last) and size else None
    if int(first) >= size or (last and int(last) < int(first)):
        return None
    return int(first), min(int(last), size - 1) if last else size - 1


def begun(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same, once the first of it is there: what is raised at its start can still be answered."""
    return _after(next(parts, b""), parts)


def _after(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _read(file: IO[bytes], first: int, last: int) -> Iterator[bytes]:
    with file:
        file.seek(first)
        left = last - first + 1
        while left > 0 and (data := file.read(min(CHUNK, left))):
            left -= len(data)
            yield data


def note_download(request: HttpRequest, row: Artifact, *, entry: str = "") -> None:
    """Write down who took the file: once, not for each further part that a program asks for."""
    asked = request.headers.get("Range", "")
    if request.method == "GET" and (not asked or asked.replace(" ", "").startswith("bytes=0-")):
        taken: dict[str, Json] = {"entry": entry[:300]} if entry else {"bytes": row.size_bytes}
        record("downloaded", row, after={"run": row.run_id, **taken})
