"""Read a run's log lines in pages, forwards or backwards, by node, level and text; never all of them at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import Any, Final

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from jobs.errors import PlatformError
from jobs.models import LogChunk, Run
from jobs.models.log_chunk import COLOURS_IN_JSON, Line
from jobs.steps.spill_log import SPILLED, spilled

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
PAGE: Final = 400
COLOURED: Final = r"\u001b["  # a word may be torn by a colour
MOST_CHUNKS: Final = 300  # how much one question may look through
MOST_TAKEN_APART: Final = 200  # and of how much it may look at each line
FEW_OF_A_STEP: Final = 4
FEW: Final = 20  # chunks at a time, when all are read


@dataclass(frozen=True)
class Only:
    """Which lines are wanted; an empty part asks for nothing."""

    node: str = ""
    level: str = ""  # this one and worse
    text: str = ""
    is_outside: bool = False  # of every node

    @property
    def seeks(self) -> bool:
        """Whether it looks for something, beyond whose lines they are."""
        return bool(self.level or self.text)

    @property
    def scope(self) -> Only:
        """Whose lines they are, whatever they say."""
        return replace(self, level="", text="")

    def has(self, line: Line) -> bool:
        return (
            (not self.node or line.node == self.node)
            and not (self.is_outside and line.node)
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
    hits: frozenset[int] = frozenset()
    """The numbers of those that were looked for, where others are shown beside them."""


EVERYTHING: Final = Only()


def newest(run: Run, only: Only = EVERYTHING, most: int = PAGE) -> Lines:
    """The end of the log."""
    end = _end(run)
    return older(run, end + 1, only, most) if end else Lines()


def _end(run: Run) -> int:
    return run.log_chunks.order_by("-last_seq").values_list("last_seq", flat=True).first() or 0


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
    found, edge, has_more = _gather(rows, only, lambda line: line.seq < before, most, is_backwards=True)
    return Lines(found[::-1], before if edge is None else edge, before - 1, has_older=has_more)


def newer(run: Run, after: int, only: Only = EVERYTHING, most: int = PAGE) -> Lines:
    """At most `most` lines that come right after line `after`."""
    end = _end(run)  # before the lines are read: whatever comes meanwhile is asked for again
    rows = _chunks(run, only).filter(last_seq__gt=after).order_by("first_seq")
    found, edge, has_more = _gather(rows, only, lambda line: line.seq > after, most, is_backwards=False)
    last = after if edge is None else edge
    return Lines(found, after + 1, last if has_more else max(last, end), has_newer=has_more)


def around(run: Run, seq: int, only: Only = EVERYTHING, most: int = PAGE) -> Lines:
    """Lines on both sides of line `seq`, itself among them."""
    above, below = older(run, seq, only, most // 2), newer(run, seq - 1, only, most // 2)
    return Lines(above.lines + below.lines, above.first, below.last, above.has_older, below.has_newer)


def first_error(run: Run) -> int | None:
    """The number of the first line of level ERROR or worse, None when there is none."""
    only = Only(level="ERROR")
    rows = _written(_chunks(run, only).order_by("first_seq"))
    return next((line.seq for _, _, written in rows for line in _taken_apart(written, only)), None)


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


def walk(run: Run, only: Only, after: int) -> Iterator[tuple[int, list[Line]]]:
    """Of the chunks that follow line `after` the last number and the lines that are wanted, as far as one may look."""
    rows = _chunks(run, only).filter(last_seq__gt=after).order_by("first_seq")
    for _, last, lines in _looked_through(rows, only):
        yield last, [line for line in lines if line.seq > after]


def _gather(
    rows: QuerySet[LogChunk], only: Only, is_in_reach: Callable[[Line], bool], most: int, *, is_backwards: bool
) -> tuple[list[Line], int | None, bool]:
    """The lines, how far was looked (None: nowhere), and whether there is more beyond."""
    found: list[Line] = []
    edge: int | None = None
    for first, last, wanted in _looked_through(rows, only):
        lines = [line for line in wanted if is_in_reach(line)][:: -1 if is_backwards else 1]
        room = most - len(found)
        found += lines[:room]
        if len(lines) > room:
            return found, found[-1].seq, True
        edge = first if is_backwards else last
        if len(found) == most:
            break
    beyond = Q(first_seq__lt=edge) if is_backwards else Q(last_seq__gt=edge)
    return found, edge, edge is not None and rows.filter(beyond).exists()


def _looked_through(rows: QuerySet[LogChunk], only: Only) -> Iterator[tuple[int, int, list[Line]]]:
    """First and last number of each chunk and its lines that are wanted, until it is enough for one question."""
    taken_apart = 0
    for first, last, written in _written(rows[:MOST_CHUNKS]):
        is_candidate = _may_hold(written, only)
        taken_apart += is_candidate
        yield first, last, _taken_apart(written, only) if is_candidate else []
        if taken_apart >= MOST_TAKEN_APART:
            return


def _written(rows: Any) -> Iterator[tuple[int, int, str]]:
    """First and last number of chunks, and their lines as JSON."""
    yield from rows.values_list("first_seq", "last_seq", "written").iterator(chunk_size=4)


def _may_hold(written: str, only: Only) -> bool:
    """Whether such a line may be in it: the database passes everything that has colours, which may tear a word."""
    if not _stands_in_json(only.text) or COLOURED not in written:
        return True
    return only.text.lower() in COLOURS_IN_JSON.sub("", written).lower()


def _taken_apart(written: str, only: Only) -> list[Line]:
    lines = (Line(*fields) for fields in json.loads(written))
    return [line for line in lines if only.has(line)]


def _chunks(run: Run, only: Only) -> QuerySet[LogChunk]:
    """The chunks that may hold such lines; the database leaves out those that surely do not."""
    wanted = Q()
    if _stands_in_json(only.node):
        wanted &= Q(written__contains=f'"{only.node}"')
    if _stands_in_json(only.text):
        wanted &= Q(written__icontains=only.text) | Q(written__contains=COLOURED)
    if worse := LEVELS[LEVELS.index(only.level) :] if only.level in LEVELS[2:] else ():
        wanted &= reduce(or_, (Q(written__contains=f'"{level}"') for level in worse))
    return LogChunk.objects.filter(run=run).annotate(written=Cast("content", TextField())).filter(wanted)


def _stands_in_json(word: str) -> bool:
    """Whether JSON writes this text letter by letter as it is, so that the database can look for it."""
    return bool(word) and word.isascii() and word.isprintable() and not {'"', "\\"} & set(word)


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else LEVELS.index("INFO")
