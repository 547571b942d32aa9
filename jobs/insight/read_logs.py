"""Read a run's log lines in pages, forwards or backwards, by node, level and text; never all of them at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import Any, Final

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from jobs.errors import PlatformError
from jobs.models import LogChunk, Run
from jobs.models.log_chunk import COLOURS_IN_JSON, Line
from jobs.steps.spill_log import GLIMPSE, SPILLED, spilled

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
PAGE: Final = 400
COLOURED: Final = r"\u001b["  # a word may be torn by a colour
MOST_LOOKED: Final = 1_000  # so many chunks one question lets the database look through
MOST_CHUNKS: Final = 300  # so many it looks through itself
MOST_TAKEN_APART: Final = 200  # and of so many it looks at each line,
MOST_BYTES: Final = 16 * 2**20  # or of so much
PAGE_BYTES: Final = 2**20  # lines may be long: a page of them is full with so much text, too
FEW_OF_A_STEP: Final = 4
FEW: Final = 4  # chunks at a time


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


@dataclass(frozen=True)
class Reach:
    """The chunks that one question may look through: from line `start`, in one direction, to line `edge`."""

    run: Run
    only: Only
    start: int
    edge: int
    is_backwards: bool = False

    @classmethod
    def before(cls, run: Run, only: Only, line: int) -> Reach:
        rows = run.log_chunks.filter(first_seq__lt=line).order_by("-first_seq")
        return cls(run, only, line, _edge(rows, "first_seq", only) or 1, is_backwards=True)

    @classmethod
    def after(cls, run: Run, only: Only, line: int) -> Reach:
        end = _end(run)  # before the lines are read: whatever comes meanwhile is asked for again
        rows = run.log_chunks.filter(last_seq__gt=line).order_by("last_seq")
        return cls(run, only, line, _edge(rows, "last_seq", only) or max(line, end))

    @property
    def rows(self) -> QuerySet[LogChunk]:
        """Chunks follow each other and share no line, so that the order of their ends is that of their beginnings."""
        found = LogChunk.objects.filter(run=self.run).annotate(written=Cast("content", TextField()))
        found = found.filter(_may_have(self.only))
        if self.is_backwards:
            return found.filter(first_seq__lt=self.start, first_seq__gte=self.edge).order_by("-first_seq")
        return found.filter(last_seq__gt=self.start, last_seq__lte=self.edge).order_by("last_seq")

    def has(self, line: Line) -> bool:
        return line.seq < self.start if self.is_backwards else line.seq > self.start

    def goes_on(self, edge: int) -> bool:
        """Whether there are chunks beyond."""
        beyond = Q(first_seq__lt=edge) if self.is_backwards else Q(last_seq__gt=edge)
        return self.run.log_chunks.filter(beyond).exists()


def _edge(rows: QuerySet[LogChunk], number: str, only: Only) -> int | None:
    """Where so many chunks end; None when there are not so many, or nothing has to be looked for in them."""
    if not _may_have(only):
        return None
    return rows.values_list(number, flat=True)[MOST_LOOKED - 1 : MOST_LOOKED].first()


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
    found, edge, has_more = _gather(Reach.before(run, only, before), most)
    return Lines(found[::-1], edge, before - 1, has_older=has_more)


def newer(run: Run, after: int, only: Only = EVERYTHING, most: int = PAGE) -> Lines:
    """At most `most` lines that come right after line `after`."""
    found, edge, has_more = _gather(Reach.after(run, only, after), most)
    return Lines(found, after + 1, edge, has_newer=has_more)


def around(run: Run, seq: int, only: Only = EVERYTHING, most: int = PAGE) -> Lines:
    """Lines on both sides of line `seq`, itself among them."""
    above, below = older(run, seq, only, most // 2), newer(run, seq - 1, only, most // 2)
    return Lines(above.lines + below.lines, above.first, below.last, above.has_older, below.has_newer)


def next_error(run: Run, after: int) -> Lines:
    """The next line of level ERROR or worse; without lines when one question does not look so far."""
    return newer(run, after, Only(level="ERROR"), most=1)


def every(run: Run) -> Iterator[Line]:
    """All lines in order, also those in files, a few chunks in memory at a time.

    No cursor stays open between two of them: who reads slowly may be answered by several threads in turn.
    """
    rows, last = run.log_chunks.select_related("step").order_by("first_seq"), 0
    while chunks := list(rows.filter(first_seq__gt=last)[:FEW]):
        for chunk in chunks:
            for line in chunk.lines:
                if line.stream == SPILLED:
                    yield from _spilled(line, chunk.step.log_sha256)
                elif line.stream != GLIMPSE or not chunk.step.log_sha256:  # else the file has it
                    yield line
        last = chunks[-1].first_seq


def _spilled(line: Line, sha256: str) -> Iterator[Line]:
    try:
        yield from spilled(sha256, line.seq)
    except (PlatformError, OSError, EOFError, ValueError) as error:
        yield line._replace(stream="console", text=f"{line.text} The file cannot be read: {error}")


def walk(run: Run, only: Only, after: int) -> Iterator[tuple[int, list[Line]]]:
    """Of the chunks that follow line `after` the last number and the lines that are wanted, as far as one may look."""
    reach = Reach.after(run, only, after)
    for edge, lines in _looked_through(reach):
        yield edge, [line for line in lines if reach.has(line)]


def _gather(reach: Reach, most: int) -> tuple[list[Line], int, bool]:
    """The lines, how far was looked, and whether there is more beyond."""
    found: list[Line] = []
    room, looked = PAGE_BYTES, reach.start
    for edge, wanted in _looked_through(reach):
        looked = edge
        for line in wanted[:: -1 if reach.is_backwards else 1]:
            if not reach.has(line):
                continue
            if len(found) == most or room < 0:
                return found, found[-1].seq, True
            found.append(line)
            room -= len(line.text)
        if len(found) == most:
            break
    return found, looked, reach.goes_on(looked)


def _looked_through(reach: Reach) -> Iterator[tuple[int, list[Line]]]:
    """Of each chunk the number of its far end and its lines that are wanted, until it is enough for one question."""
    looked = taken_apart = size = 0
    for first, last, written in _written(reach.rows[:MOST_CHUNKS]):
        is_candidate = _may_hold(written, reach.only)
        looked, taken_apart = looked + 1, taken_apart + is_candidate
        size += is_candidate * len(written)
        yield first if reach.is_backwards else last, _taken_apart(written, reach.only) if is_candidate else []
        if looked == MOST_CHUNKS or taken_apart >= MOST_TAKEN_APART or size >= MOST_BYTES:
            return
    yield reach.edge, []


def _written(rows: Any) -> Iterator[tuple[int, int, str]]:
    """First and last number of chunks, and their lines as JSON."""
    yield from rows.values_list("first_seq", "last_seq", "written").iterator(FEW)


def _may_hold(written: str, only: Only) -> bool:
    """Whether such a line may be in it: the database passes everything that has colours, which may tear a word."""
    if not _stands_in_json(only.text) or COLOURED not in written:
        return True
    return only.text.lower() in COLOURS_IN_JSON.sub("", written).lower()


def _taken_apart(written: str, only: Only) -> list[Line]:
    lines = (Line(*fields) for fields in json.loads(written))
    return [line for line in lines if only.has(line)]


def _may_have(only: Only) -> Q:
    """Which chunks may hold such lines: the database leaves out those that surely do not."""
    wanted = Q()
    if _stands_in_json(only.node):
        wanted &= Q(written__contains=f'"{only.node}"')
    if _stands_in_json(only.text):
        wanted &= Q(written__icontains=only.text) | Q(written__contains=COLOURED)
    if worse := LEVELS[LEVELS.index(only.level) :] if only.level in LEVELS[2:] else ():
        wanted &= reduce(or_, (Q(written__contains=f'"{level}"') for level in worse))
    return wanted


def _stands_in_json(word: str) -> bool:
    """Whether JSON writes this text letter by letter as it is, so that the database can look for it."""
    return bool(word) and word.isascii() and word.isprintable() and not {'"', "\\"} & set(word)


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else LEVELS.index("INFO")
