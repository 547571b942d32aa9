"""Batch queues for nodes: put work in once, take it in batches, say what became of each piece.

    from kedro_console import batches

    def load(rows: pd.DataFrame) -> None:
        batches.put("keywords", rows, key="keyword")       # what is there already is not put again

    def ask() -> list[dict]:
        answers = []
        for item in batches.take("keywords", 100):         # done when the run succeeds, given back otherwise
            try:
                answers.append(api.ask(item.body))
            except ValueError as error:
                item.fail(error)                           # this one goes back alone, when the run ends
        return answers

Under the console a queue is rows of its database. Under plain `kedro run` it is the file `.kedro_console/batches.db` of
the project, with the same meaning; there the run's success is known from the hook in `kedro_console.batches_hooks`,
and without it from `with batches.taking(…)` and `batches.drain(…)`, which finish their items themselves.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, Union

from kedro_console import wire
from kedro_console.line import here

CHUNK = 1_000
CHUNK_BYTES = 110_000
MAX_ITEM_BYTES = 100_000
SECONDS_BETWEEN = 0.25

Key = Union[str, Callable[[Any], Any], None]


@dataclass(frozen=True)
class Item:
    """A piece of work that this run holds; `attempt` counts the runs that took it."""

    queue: str
    id: int
    key: str
    body: Any
    attempt: int

    def done(self) -> None:
        """Finish it now, whatever becomes of the run."""
        _store().finish([self.id])

    def fail(self, why: object) -> None:
        """Let it go back when the run ends, or be parked with this reason after too many attempts."""
        _store().fail(self.id, str(why) or type(why).__name__)


@dataclass(frozen=True)
class Put:
    """How many items were new, and how many were there already."""

    added: int
    known: int


@dataclass(frozen=True)
class Counts:
    """How many items of a queue are in which status."""

    waiting: int
    taken: int
    done: int
    parked: int


class Store(Protocol):
    """Where queues are: the console's rows, or a file."""

    def put(self, queue: str, items: list[wire.NewItem]) -> wire.ItemsPut: ...
    def take(self, queue: str, count: int) -> wire.ItemsTaken: ...
    def finish(self, ids: list[int]) -> None: ...
    def fail(self, number: int, error: str) -> None: ...
    def describe(self, queue: str) -> wire.QueueDescribed: ...


class _Console:
    """The console's rows, by questions."""

    def put(self, queue: str, items: list[wire.NewItem]) -> wire.ItemsPut:
        return here.reply_to(wire.PutItems(queue, items))

    def take(self, queue: str, count: int) -> wire.ItemsTaken:
        return here.reply_to(wire.TakeItems(queue, count, here.node()))

    def finish(self, ids: list[int]) -> None:
        for begin in range(0, len(ids), CHUNK):
            here.reply_to(wire.FinishItems(ids[begin : begin + CHUNK]))

    def fail(self, number: int, error: str) -> None:
        here.reply_to(wire.FailItem(number, error[:10_000]))

    def describe(self, queue: str) -> wire.QueueDescribed:
        return here.reply_to(wire.DescribeQueue(queue))


def _store() -> Store:
    if here.is_supervised():
        return _Console()
    from kedro_console.loading import batches_file

    return batches_file.store()


def put(queue: str, rows: Iterable[Any], key: Key = None) -> Put:
    """Put rows in: dicts, a DataFrame (pandas, polars) or a pyarrow Table; text or numbers are their own key.

    `key` names the column, or is a function of a row. A key that the queue knows, done or not, is not put again, so a
    node that is tried again may put everything once more. ValueError names the row that cannot be stored.
    """
    total = len(rows) if isinstance(rows, Sized) else None
    added = known = 0
    bar = _Bar(queue, total)
    for chunk in _chunks(_items(rows, key)):
        found = _store().put(queue, chunk)
        added, known = added + found.added, known + found.known
        bar.show(added + known)
    bar.show(added + known, is_last=True)
    return Put(added, known)


def take(queue: str, count: int = 100) -> list[Item]:
    """Up to `count` items, [] when none waits. They are done when the run succeeds and go back otherwise.

    A node that is tried again within its run gets first, and unmixed, what its earlier attempt had.
    """
    items: list[Item] = []
    while True:
        batch = _store().take(queue, count - len(items))
        items += [Item(queue, each.id, each.key, each.body, each.attempt) for each in batch.items]
        if not batch.more:
            return items


def drain(queue: str, count: int = 100) -> Iterator[list[Item]]:
    """Batches until none is left; each is done, but for what failed, when the loop asks for the next.

    So the body of the loop has to bring its batch home. An exception in it leaves the batch to the end of the run.
    """
    while batch := take(queue, count):
        yield batch
        _store().finish([item.id for item in batch])


@contextmanager
def taking(queue: str, count: int = 100) -> Iterator[list[Item]]:
    """A batch that is done when the block ends, but for what failed, and goes back when the block raises."""
    batch = take(queue, count)
    try:
        yield batch
    except BaseException as error:
        for item in batch:
            item.fail(f"{type(error).__name__}: {error}")
        raise
    _store().finish([item.id for item in batch])


def describe(queue: str) -> Counts:
    """The queue's exact counters."""
    found = _store().describe(queue)
    return Counts(found.waiting, found.taken, found.done, found.parked)


# ---- rows as items


def _items(rows: Iterable[Any], key: Key) -> Iterator[wire.NewItem]:
    for number, row in enumerate(_rows(rows), 1):
        yield wire.NewItem(_key_of(row, key, number), plain(row, number))


def _rows(rows: Any) -> Iterable[Any]:
    """One by one, of a table a slice at a time: a million rows are not copied at once."""
    library, name = type(rows).__module__.partition(".")[0], type(rows).__name__
    if library == "pandas" and name == "DataFrame":
        slices = (rows.iloc[begin : begin + CHUNK] for begin in range(0, len(rows), CHUNK))
        return (row for part in slices for row in part.to_dict("records"))
    if library == "polars" and name == "DataFrame":
        return (row for row in rows.iter_rows(named=True))
    if library == "pyarrow" and name == "Table":
        return (row for part in rows.to_batches(CHUNK) for row in part.to_pylist())
    return (row for row in rows)


def _key_of(row: Any, key: Key, number: int) -> str:
    if callable(key):
        found = key(row)
    elif key is not None:
        found = row.get(key) if isinstance(row, Mapping) else getattr(row, key, None)
    elif isinstance(row, Mapping):
        raise ValueError('Say which column is the key of a row: put(queue, rows, key="name").')
    else:
        found = row
    text = "" if found is None or found != found else str(found)
    if not text:
        raise ValueError(f"Row {number} has no key{f' in “{key}”' if isinstance(key, str) else ''}.")
    return text


def plain(value: Any, number: int = 0) -> Any:
    """The value as JSON: numbers of numpy, dates and decimals become what JSON has, missing ones null."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(inner, number) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner, number) for inner in value]
    return _foreign(value, number)


def _foreign(value: Any, number: int) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat() if value == value else None  # NaT is not
    if hasattr(value, "tolist"):
        return plain(value.tolist(), number)
    if type(value).__module__.partition(".")[0] in ("decimal", "uuid", "pathlib"):
        return str(value)
    if type(value).__name__ == "NAType":
        return None
    raise ValueError(f"Row {number} holds a {type(value).__name__}, which JSON has no word for.")


def _chunks(items: Iterator[wire.NewItem]) -> Iterator[list[wire.NewItem]]:
    """As many at once as a message carries."""
    chunk: list[wire.NewItem] = []
    room = CHUNK_BYTES
    for item in items:
        need = len(json.dumps(vars(item))) + 2
        if need > MAX_ITEM_BYTES:
            raise ValueError(f"The item “{item.key[:60]}” has {need:,} bytes and may have {MAX_ITEM_BYTES:,}.")
        if chunk and (room < need or len(chunk) == CHUNK):
            yield chunk
            chunk, room = [], CHUNK_BYTES
        chunk.append(item)
        room -= need
    if chunk:
        yield chunk


class _Bar:
    """The progress of a put, at most four times a second."""

    def __init__(self, queue: str, total: int | None) -> None:
        self._label, self._total, self._next = f"put {queue}", total, 0.0

    def show(self, done: int, *, is_last: bool = False) -> None:
        if is_last or time.monotonic() >= self._next:
            self._next = time.monotonic() + SECONDS_BETWEEN
            event = wire.ProgressMade(time.time(), here.node(), self._label, done, self._total, "items")
            here.report(event)
