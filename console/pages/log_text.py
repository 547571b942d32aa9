"""The whole log of a run as text, streamed: also what its rows do not hold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from django.http import StreamingHttpResponse

from console.files.ansi import plain
from jobs.insight import read_logs
from jobs.models import Run
from jobs.models.log_chunk import Line

PIECE: Final = 64 * 1024
"""So many characters are sent at once: a line alone may have as many."""


def whole_log(run: Run) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(_text(run), content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="run-{run.pk}.log"'
    return answer


def _text(run: Run) -> Iterator[bytes]:
    piece: list[str] = []
    size = 0
    for line in read_logs.every(run):
        piece.append(_line(line))
        size += len(piece[-1])
        if size >= PIECE:
            yield "".join(piece).encode("utf-8", "replace")
            piece, size = [], 0
    yield "".join(piece).encode("utf-8", "replace")


def _line(line: Line) -> str:
    node = f"[{line.node}] " if line.node else ""
    logger = f"{line.logger}: " if line.logger else ""
    moment = datetime.fromtimestamp(line.at, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ} {line.level:<8} {node}{logger}{plain(line.text)}\n"
