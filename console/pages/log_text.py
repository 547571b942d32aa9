"""The whole log of a run as text, streamed: also what its rows do not hold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from django.http import StreamingHttpResponse

from console.files.ansi import plain
from jobs.insight import read_logs
from jobs.models import Run
from jobs.models.log_chunk import Line

BATCH: Final = 500


def whole_log(run: Run) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(_text(run), content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="run-{run.pk}.log"'
    return answer


def _text(run: Run) -> Iterator[bytes]:
    lines = read_logs.every(run)
    while batch := list(islice(lines, BATCH)):
        yield "".join(_line(line) for line in batch).encode("utf-8", "replace")


def _line(line: Line) -> str:
    node = f"[{line.node}] " if line.node else ""
    logger = f"{line.logger}: " if line.logger else ""
    moment = datetime.fromtimestamp(line.at, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ} {line.level:<8} {node}{logger}{plain(line.text)}\n"
