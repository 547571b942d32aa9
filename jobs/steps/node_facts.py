"""What is heard of a step's nodes: plain facts, beside the rows that they are written to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, assert_never

from jobs.errors import one_line
from jobs.states import NODE_LIVE, NodeStatus
from kedro_console import wire

INTERRUPT: Final = "KeyboardInterrupt"
MAX_REASON: Final = 300


class StopReason(StrEnum):
    """Why a child is being stopped. How its nodes end follows from that."""

    CANCEL = "cancel"
    TIME_LIMIT = "time limit"


@dataclass
class NodeFacts:
    """One node; the columns of its row are named as here."""

    name: str
    position: int
    status: str = NodeStatus.WAITING
    attempts: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    seconds: float | None = None
    error: str = ""
    failure: dict[str, wire.Json] | None = None
    progress: dict[str, wire.Json] | None = None
    is_of_step: bool = False
    """Whether it was this step that started it."""

    def start(self, at: float) -> None:
        self.status, self.started_at, self.is_of_step = NodeStatus.RUNNING, moment(at), True
        self.attempts += 1
        self.finished_at = self.seconds = self.failure = self.progress = None
        self.error = ""

    def end(self, status: NodeStatus, at: float, seconds: float) -> None:
        self.status, self.finished_at, self.seconds = status, moment(at), seconds


@dataclass
class NodeNews:
    """What was heard of nodes since rows were written last, by name."""

    changed: dict[str, NodeFacts] = field(default_factory=dict)
    new: dict[str, NodeFacts] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    stopped_at: dict[str, str] = field(default_factory=dict)
    """Where in the project's code it was when it was stopped."""
    done: int = 0

    def __bool__(self) -> bool:
        return bool(self.changed or self.new)

    @property
    def ended(self) -> list[str]:
        return [node.name for node in (*self.changed.values(), *self.new.values()) if node.status not in NODE_LIVE]


OfNodes = wire.NodeStarted | wire.NodeFinished | wire.NodeFailed | wire.NodesSkipped | wire.ProgressMade


class Nodes:
    """All nodes of one step; those that nobody planned get their place when they are heard of."""

    def __init__(self, known: Iterable[NodeFacts]) -> None:
        self._known = {node.name: node for node in known}
        self.news = NodeNews()
        self.running_since: dict[str, float] = {}
        """In seconds of the monotonic clock."""
        self.stopping: StopReason | None = None
        self._stopped: list[str] = []

    @property
    def running(self) -> list[str]:
        return [name for name, node in self._known.items() if node.status == NodeStatus.RUNNING]

    def take(self, message: OfNodes, now: float) -> None:
        match message:
            case wire.NodeStarted():
                self.touch(message.node).start(message.at)
                self.running_since[message.node] = now
            case wire.NodeFinished():
                self.touch(message.node).end(NodeStatus.SUCCEEDED, message.at, message.seconds)
                self.running_since.pop(message.node, None)
                self.news.done += 1
            case wire.NodeFailed():
                self._fail(message)
            case wire.NodesSkipped():
                self._skip(message.nodes)
            case wire.ProgressMade():
                bar: dict[str, wire.Json] = {
                    "label": message.label,
                    "done": message.done,
                    "total": message.total,
                    "unit": message.unit,
                }
                if message.node in self._known:
                    self.touch(message.node).progress = bar
            case _:
                assert_never(message)

    def touch(self, name: str) -> NodeFacts:
        """The node, whose row is to be written."""
        node = self._known.get(name)
        if node is None:
            node = self._known[name] = self.news.new[name] = NodeFacts(name, len(self._known))
        elif name not in self.news.new:
            self.news.changed[name] = node
        return node

    def take_whole(self, names: list[str]) -> tuple[int, int]:
        """The nodes that the whole pipeline has are the run's, whatever it was planned with; how many new, and gone."""
        new, there = [name for name in names if name not in self._known], set(names)
        waiting = [name for name, node in self._known.items() if node.status == NodeStatus.WAITING]
        gone = [name for name in waiting if name not in there]
        if gone or new:
            for name in gone:
                self._drop(name)
            for position, name in enumerate(names):
                self.touch(name).position = position
        return len(new), len(gone)

    def _drop(self, name: str) -> None:
        del self._known[name]
        self.news.changed.pop(name, None)
        if not self.news.new.pop(name, None):  # else it has no row yet
            self.news.gone.append(name)

    def _skip(self, names: list[str]) -> None:
        for name in names:
            node = self.touch(name)
            if node.status == NodeStatus.WAITING:
                node.status = NodeStatus.REUSED
                self.news.skipped.append(name)
                self.news.done += 1

    def _fail(self, event: wire.NodeFailed) -> None:
        node = self.touch(event.node)
        self.running_since.pop(event.node, None)
        if self.stopping:
            self._stopped.append(event.node)
        if self.stopping == StopReason.CANCEL:  # whatever it raised then, it did not fail
            node.end(NodeStatus.CANCELLED, event.at, event.seconds)
            node.error, node.failure = "", None
            self.news.stopped_at[event.node] = place_of(event.failure)
        else:
            node.end(NodeStatus.FAILED, event.at, event.seconds)
            node.error, node.failure = one_line(event.failure), asdict(event.failure)

    def blame(self, sentence: str) -> None:
        """The nodes that were stopped failed for a reason that their exceptions do not tell."""
        for name in self._stopped if sentence else ():
            if self._known[name].status == NodeStatus.FAILED:
                node = self.touch(name)
                node.error = sentence
                if node.failure and node.failure["exception"] == INTERRUPT:
                    node.failure = {**node.failure, "exception": "TimeLimit", "message": sentence}


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def place_of(failure: wire.Failure) -> str:
    """Where in the project's code it was when it was stopped, as a sentence; "" when it was in none of it."""
    own = next((frame for frame in reversed(failure.frames) if frame.is_project), None)
    return f"It was at {own.file}:{own.line} in {own.function}."[:MAX_REASON] if own else ""
