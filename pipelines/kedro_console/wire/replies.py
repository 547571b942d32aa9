"""What the console replies to the questions of nodes: a class for each reply that is more than a number."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeVar

from kedro_console.wire.values import Json, WireError


@dataclass(frozen=True)
class Reply:
    def to_data(self) -> dict[str, Json]:
        return dict(vars(self))


P = TypeVar("P", bound=Reply)


def read_reply(cls: type[P], data: Any) -> P:
    """Unknown fields of a newer side are dropped."""
    try:
        return cls(**{each.name: data[each.name] for each in fields(cls) if each.name in data})
    except (KeyError, TypeError) as error:
        raise WireError(f"Not a reply: {str(data)[:200]} ({error})") from error


def said(reply: Reply | int | None) -> Json:
    """A reply as it travels."""
    return reply.to_data() if isinstance(reply, Reply) else reply


@dataclass(frozen=True)
class RunDescribed(Reply):
    number: int
    pipeline: str
    cause: str
    iteration: int


@dataclass(frozen=True)
class Granted(Reply):
    """The request may be made; `grant` is what is settled when its answer has come."""

    grant: int

    def to_data(self) -> dict[str, Json]:
        return {"granted": True, **vars(self)}


@dataclass(frozen=True)
class InLine(Reply):
    """Not yet: ask again in so many seconds, with this place in the line."""

    at: float  # seconds since the epoch
    seconds: float
    is_known: bool  # False: somebody has to open the quota, and nobody knows when
    reason: str
    place: int

    def to_data(self) -> dict[str, Json]:
        return {"granted": False, **vars(self)}


@dataclass(frozen=True)
class ItemsPut(Reply):
    added: int
    known: int


@dataclass(frozen=True)
class TakenItem(Reply):
    id: int
    key: str
    body: Json
    attempt: int


@dataclass(frozen=True)
class ItemsTaken(Reply):
    """A batch; `more` when what was asked for did not fit into it, `left` is what waits after it."""

    items: list[TakenItem]
    more: bool
    left: int = 0

    def to_data(self) -> dict[str, Json]:
        return {**vars(self), "items": [vars(item) for item in self.items]}


@dataclass(frozen=True)
class QueueDescribed(Reply):
    """How many items are in which status."""

    waiting: int
    taken: int
    done: int
    parked: int


@dataclass(frozen=True)
class AnswerPart(Reply):
    """A part of an answer's text; `next` is where the following one starts, None after the last."""

    method: str
    url: str
    status: int
    text: str
    next: int | None
