"""What nodes ask of the console: a class for each question, which knows its reply.

On the wire a question is an `Asked` with its name and data, its reply the data of an `Answered`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, Optional, TypeVar, Union

from kedro_console.wire.replies import (
    AnswerPart,
    Granted,
    InLine,
    ItemsPut,
    ItemsTaken,
    QueueDescribed,
    RunDescribed,
    TakenItem,
    read_reply,
)
from kedro_console.wire.values import Json, WireError

MOST: Final = 2_000_000_000
MAX_ERROR: Final = 10_000

Data = Mapping[str, Any]
R = TypeVar("R")


class BadQuestion(WireError):
    """A question that nobody understands; its text says what is wrong with it."""


@dataclass(frozen=True)
class Question(Generic[R]):
    """`what` is its name on the wire."""

    what: ClassVar[str] = ""

    def to_data(self) -> dict[str, Json]:
        return dict(vars(self))

    @classmethod
    def read(cls, data: Data) -> Question[R]:
        """The question with this data; KeyError, TypeError, ValueError or BadQuestion when it is none."""
        raise NotImplementedError

    @staticmethod
    def reply(data: Any) -> R:
        """What the console replied."""
        raise NotImplementedError


def _whole(data: Data, name: str, otherwise: int) -> int:
    value = data.get(name)
    number = otherwise if value is None else value
    if type(number) is not int or not 0 <= number <= MOST:
        raise BadQuestion(f"{name}: write a whole number, not {str(number)[:40]}.")
    return number


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


# ---- the run


@dataclass(frozen=True)
class DescribeRun(Question[RunDescribed]):
    what: ClassVar[str] = "run_described"

    @classmethod
    def read(cls, data: Data) -> DescribeRun:
        return cls()

    @staticmethod
    def reply(data: Any) -> RunDescribed:
        return read_reply(RunDescribed, data)


# ---- quotas


@dataclass(frozen=True)
class TakeGrant(Question[Union[Granted, InLine]]):
    """Leave for so many requests and rows of this quota; `place` keeps the place in its line."""

    what: ClassVar[str] = "grant_taken"
    quota: str
    requests: int = 1
    rows: int = 0
    place: int | None = None
    node: str = ""

    @classmethod
    def read(cls, data: Data) -> TakeGrant:
        requests, rows = _whole(data, "requests", 1), _whole(data, "rows", 0)
        place, node = _whole(data, "place", 0), str(data.get("node") or "")
        return cls(str(data["quota"]), requests, rows, place or None, node)

    @staticmethod
    def reply(data: Any) -> Granted | InLine:
        return read_reply(Granted, data) if data["granted"] else read_reply(InLine, data)


@dataclass(frozen=True)
class SettleGrant(Question[None]):
    """The answer has come, with this HTTP status, at this moment of the machine's monotonic clock."""

    what: ClassVar[str] = "grant_settled"
    grant: int
    status: int | None = None
    retry_after_seconds: float | None = None
    monotonic: float | None = None

    @classmethod
    def read(cls, data: Data) -> SettleGrant:
        status = data.get("status")
        known = status if type(status) is int and 100 <= status <= 999 else None
        wait, moment = _number(data.get("retry_after_seconds")), _number(data.get("monotonic"))
        return cls(_whole(data, "grant", 0), known, wait, moment)

    @staticmethod
    def reply(data: Any) -> None:
        return None


# ---- batch queues


@dataclass(frozen=True)
class NewItem:
    key: str
    body: Json


@dataclass(frozen=True)
class PutItems(Question[ItemsPut]):
    what: ClassVar[str] = "items_put"
    queue: str
    items: list[NewItem]

    def to_data(self) -> dict[str, Json]:
        return {"queue": self.queue, "items": [vars(item) for item in self.items]}

    @classmethod
    def read(cls, data: Data) -> PutItems:
        return cls(str(data["queue"]), [NewItem(item["key"], item["body"]) for item in data["items"]])

    @staticmethod
    def reply(data: Any) -> ItemsPut:
        return read_reply(ItemsPut, data)


@dataclass(frozen=True)
class TakeItems(Question[ItemsTaken]):
    what: ClassVar[str] = "items_taken"
    queue: str
    count: int
    node: str = ""

    @classmethod
    def read(cls, data: Data) -> TakeItems:
        return cls(str(data["queue"]), int(data["count"]), str(data.get("node", "")))

    @staticmethod
    def reply(data: Any) -> ItemsTaken:
        return read_reply(ItemsTaken, {**data, "items": [read_reply(TakenItem, item) for item in data["items"]]})


@dataclass(frozen=True)
class FinishItems(Question[int]):
    """These are done, whatever becomes of the run; the reply is how many were."""

    what: ClassVar[str] = "items_done"
    ids: list[int]

    @classmethod
    def read(cls, data: Data) -> FinishItems:
        return cls([int(number) for number in (data["ids"] if "ids" in data else [data["id"]])])

    @staticmethod
    def reply(data: Any) -> int:
        return int(data or 0)


@dataclass(frozen=True)
class FailItem(Question[None]):
    what: ClassVar[str] = "item_failed"
    id: int
    error: str

    @classmethod
    def read(cls, data: Data) -> FailItem:
        return cls(int(data["id"]), str(data["error"])[:MAX_ERROR])

    @staticmethod
    def reply(data: Any) -> None:
        return None


@dataclass(frozen=True)
class DescribeQueue(Question[QueueDescribed]):
    what: ClassVar[str] = "queue_described"
    queue: str

    @classmethod
    def read(cls, data: Data) -> DescribeQueue:
        return cls(str(data["queue"]))

    @staticmethod
    def reply(data: Any) -> QueueDescribed:
        return read_reply(QueueDescribed, data)


# ---- answers of a replay


@dataclass(frozen=True)
class ReadAnswer(Question[Optional[AnswerPart]]):
    """The answer at this place of the replay, from this character on; None where there is none."""

    what: ClassVar[str] = "replay_answer"
    place: int
    start: int = 0

    @classmethod
    def read(cls, data: Data) -> ReadAnswer:
        return cls(int(data["place"]), int(data["start"]))

    @staticmethod
    def reply(data: Any) -> AnswerPart | None:
        return None if data is None else read_reply(AnswerPart, data)


AnyQuestion = Union[
    DescribeRun, TakeGrant, SettleGrant, PutItems, TakeItems, FinishItems, FailItem, DescribeQueue, ReadAnswer
]
QUESTIONS: Final[dict[str, type[AnyQuestion]]] = {
    **{cls.what: cls for cls in AnyQuestion.__args__},  # type: ignore[attr-defined]
    "item_done": FinishItems,  # as older hosts ask
}


def read_question(what: str, data: Data) -> AnyQuestion:
    """The question of this name; BadQuestion with a sentence when there is none, or its data is not understood."""
    if what not in QUESTIONS:
        raise BadQuestion(f"The console has no answer to “{what}”: update it.")
    try:
        return QUESTIONS[what].read(data)
    except (KeyError, TypeError, ValueError) as error:
        raise BadQuestion(f"The question is not understood: {error!r}.") from error
