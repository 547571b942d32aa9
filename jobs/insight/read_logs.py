"""Read a run's log lines in pages, forwards or backwards, by node, level and text; never all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Final

from django.db.models import Q, TextField
from django.db.models.functions import Cast

from jobs.errors import PlatformError
from jobs.models import LogChunk, Run
from jobs.models.log_chunk import Line, LogChunkQuerySet
from jobs.steps.spill_log import SPILLED, spilled

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
PAGE: Final = 400
COLOURED: Final = r"\u001b["  # a word may be torn by a colour
MOST_CHUNKS: Final = 300  # how much one question may look through
FEW_OF_A_STEP: Final = 4
FEW: Final = 20  # chunks at a time, when all are read


@dataclass(frozen=True)
class Only:
    """Which lines are wanted; an empty part asks for nothing."""

    node: str = ""
    level: str = ""  # this one and worse
    text: str = ""

    def has(self, line: Line) -> bool:
        return (
            (not self.node or line.node == self.node)
            and (not self.level or _rank(line.level) >= _rank(self.level))
            and (not self.text or self.text.lower() in line.plain.lower())
        )


@dataclass(frozen=True)
class Lines:
    """Some lines in order. `first` and `last` bound what was looked at, found or not: ask on from there."""

    lines: list[Line] = field(default_factory=list)
    first: int = 0
    last: int = 0
    has_older: bool = False
    has_newer: bool = False


EVERYTHING: Final = Only()


def newest(run: Run, only: Only = EVERYTHING, most: int = PAGE) -> Lines:
    """The end of the log."""
    tail = run.log_chunks.order_by("-last_seq").values_list("last_seq", flat=True).first()
    return older(run, tail + 1, only, most) if tail is not None else Lines()


def tail(run: Run, node: str, step_id: int, most: int) -> list[Line]:
    """The last lines of a node, as far as the newest chunks of its step have them: for a glance, at a fixed cost."""
    found: list[Line] = []
    for chunk in run.log_chunks.filter(step=step_id).order_by("-first_seq")[:FEW_OF_A_STEP]:
        found += [line for line in chunk.lines[::-1] if line.node == node][: most - len(found)]
        if len(found) == most:
            break
    return found[::-1]


def older(run: Run, before: int, only: Only = EVERYTHING, most: int = PAGE) -> Lines:
    """At most `most` lines that come right before line `before`."""
    rows = _chunks(run, only).filter(first_seq__lt=before).order_by("-first_seq")
    found, edge, has_more = _gather(rows, lambda line: line.seq < before and only.has(line), most, is_backwards=True)
    return Lines(found[::-1], before if edge is None else edge, before - 1, has_older=has_more)


def newer(run: Run, after: int, only: Only = EVERYTHING, most: int = PAGE) -> Lines:
    """At most `most` lines that come right after line `after`."""
    rows = _chunks(run, only).filter(last_seq__gt=after).order_by("first_seq")
    found, edge, has_more = _gather(rows, lambda line: line.seq > after and only.has(line), most, is_backwards=False)
    return Lines(found, after + 1, after if edge is None else edge, has_newer=has_more)


def around(run: Run, seq: int, only: Only = EVERYTHING, most: int = PAGE) -> Lines:
    """Lines on both sides of line `seq`, itself among them."""
    above, below = older(run, seq, only, most // 2), newer(run, seq - 1, only, most // 2)
    return Lines(above.lines + below.lines, above.first, below.last, above.has_older, below.has_newer)


def first_error(run: Run) -> int | None:
    """The number of the first line of level ERROR or worse, None when there is none."""
    only = Only(level="ERROR")
    chunks = _chunks(run, only).order_by("first_seq").iterator(chunk_size=20)
    return next((line.seq for chunk in chunks for line in chunk.lines if only.has(line)), None)


def every(run: Run) -> Iterator[Line]:
    """All lines in order, also those in files, a few chunks in memory at a time.

    No cursor stays open between two of them: who reads slowly may be answered by several threads in turn.
    """
    rows = run.log_chunks.select_related("step").order_by("first_seq", "pk")
    beyond = Q()
    while chunks := list(rows.filter(beyond)[:FEW]):
        for chunk in chunks:
            for line in chunk.lines:
                yield from _spilled(line, chunk.step.log_sha256) if line.stream == SPILLED else (line,)
        beyond = Q(first_seq__gt=chunk.first_seq) | Q(first_seq=chunk.first_seq, pk__gt=chunk.pk)


def _spilled(line: Line, sha256: str) -> Iterator[Line]:
    try:
        yield from spilled(sha256, line.seq)
    except (PlatformError, OSError, EOFError, ValueError) as error:
        yield line._replace(stream="console", text=f"{line.text} The file cannot be read: {error}")


def _gather(
    rows: LogChunkQuerySet, is_wanted: Callable[[Line], bool], most: int, *, is_backwards: bool
) -> tuple[list[Line], int | None, bool]:
    """The lines, how far was looked (None: nowhere), and whether there is more beyond."""
    found: list[Line] = []
    edge: int | None = None
    for chunk in rows[:MOST_CHUNKS].iterator(chunk_size=4):
        lines = [line for line in chunk.lines if is_wanted(line)][:: -1 if is_backwards else 1]
        room = most - len(found)
        found += lines[:room]
        if len(lines) > room:
            return found, found[-1].seq, True
        edge = chunk.first_seq if is_backwards else chunk.last_seq
        if len(found) == most:
            break
    beyond = Q(first_seq__lt=edge) if is_backwards else Q(last_seq__gt=edge)
    return found, edge, edge is not None and rows.filter(beyond).exists()


def _chunks(run: Run, only: Only) -> LogChunkQuerySet:
    """The chunks that may hold such lines; the database leaves out those that surely do not."""
    wanted = Q()
    for word in (only.node, only.text):
        if _stands_in_json(word):
            wanted &= Q(written__icontains=word) | Q(written__contains=COLOURED)
    if worse := LEVELS[LEVELS.index(only.level) :] if only.level in LEVELS[2:] else ():
        wanted &= reduce(or_, (Q(written__contains=f'"{level}"') for level in worse))
    rows = LogChunk.objects.filter(run=run)
    return rows.annotate(written=Cast("content", TextField())).filter(wanted) if wanted else rows


def _stands_in_json(word: str) -> bool:
    """Whether JSON writes this text letter by letter as it is, so that the database can look for it."""
    return bool(word) and word.isascii() and word.isprintable() and not {'"', "\\"} & set(word)


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else LEVELS.index("INFO")
