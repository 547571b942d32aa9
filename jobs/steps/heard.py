"""What is heard of a step's child: facts, and nothing else. What follows from them is decided elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from typing import Final, assert_never

from jobs.steps.node_facts import NodeFacts, Nodes, StopReason
from jobs.stored import opened
from kedro_console import wire

NO_EVENTS: Final = frozenset(
    {"memory_measured", "progress_made", "asked", "requests_counted", "request_made", "request_recovered"}
)
"""Kinds that only move a value, are answered, or have rows of their own; as events they would be noise."""

OfTheChild = (
    wire.StepRefused | wire.ChildStarted | wire.ChildWaited | wire.ChildExited | wire.RunFinished | wire.RunFailed
)


@dataclass
class News:
    """What was heard of the step and its run since rows were written last."""

    step: dict[str, wire.Json] = field(default_factory=dict)
    run: dict[str, object] = field(default_factory=dict)
    events: list[wire.Reported] = field(default_factory=list)
    started: wire.ChildStarted | None = None
    is_other_code: bool = False
    """The child has another revision of the code than the run was planned for."""

    def __bool__(self) -> bool:
        return bool(self.events or self.step)


class Heard:
    """Takes the messages of one step, in order.

    `outputs` are the run's final datasets: what is known of them goes into its results. `revision` is what the run was
    planned for ("": not known).
    """

    def __init__(self, nodes: Iterable[NodeFacts], outputs: Set[str] = frozenset(), revision: str = "") -> None:
        self.nodes, self.outputs, self._planned_for = Nodes(nodes), outputs, revision
        self.news = News()
        self.results: dict[str, dict[str, wire.Json]] = {}
        self.tries = 0
        self.is_following = False
        """The step was given to a child that had done another one."""
        self.refusal: wire.StepRefused | None = None
        self.failure: wire.RunFailed | None = None
        self.exit: wire.ChildExited | None = None
        self.has_begun = self.is_finished = self.is_waiting = self.is_closed = False
        self.questions: deque[wire.Asked] = deque()
        """Those that are not answered yet."""
        self.has_asked = False
        """Only then may the step hold a quota."""
        self.peak_memory_bytes = 0
        self.revision = ""
        self.graph_change = ""

    # ---- what a supervisor does with the line

    def ask(self, *, is_following: bool) -> None:
        """A child is asked for, or asked to go on; why it was refused before counts no more."""
        self.tries += 1
        self.is_following, self.is_closed, self.refusal = is_following, False, None

    def close(self) -> None:
        """The host has said all that it will say."""
        self.is_closed = True

    def stop(self, reason: StopReason) -> None:
        """From now on the child is being stopped; the first reason counts."""
        self.nodes.stopping = self.nodes.stopping or reason

    @property
    def is_host_lost(self) -> bool:
        return self.is_closed and self.exit is None and self.refusal is None

    def is_refused(self, reason: str) -> bool:
        return self.refusal is not None and self.refusal.reason == reason

    def is_of_a_cancel(self, message: wire.AnyMessage) -> bool:
        """A request that breaks off because its process is asked to stop has not failed."""
        return self.nodes.stopping == StopReason.CANCEL and isinstance(message, wire.RequestMade)

    # ---- what is said on it

    def take(self, message: wire.AnyMessage, now: float) -> None:
        """Remember one message, at this time of the monotonic clock."""
        if isinstance(message, wire.ChildExited) and not self.has_begun:
            return  # it is of the step before
        if isinstance(message, wire.Event) and message.kind not in NO_EVENTS:
            self.news.events.append(message)
        match message:
            case (
                wire.NodeStarted() | wire.NodeFinished() | wire.NodeFailed() | wire.NodesSkipped() | wire.ProgressMade()
            ):
                self.nodes.take(message, now)
            case wire.DatasetSaved():
                if message.has_value or message.dataset in self.outputs:
                    self.results[message.dataset] = result_of(message)
            case wire.MemoryMeasured():
                self._measure(message.used_bytes)
            case wire.Asked():
                self.has_asked = True
                self.questions.append(message)
            case wire.RunStarted():
                self._start_run(message)
            case (
                wire.StepRefused()
                | wire.ChildStarted()
                | wire.ChildWaited()
                | wire.ChildExited()
                | wire.RunFinished()
                | wire.RunFailed()
            ):
                self._take_of_child(message)
            case wire.DatasetLoaded() | wire.FileKept() | wire.FileUnkept() | wire.FunctionReturned():
                pass  # an event, and no more than that here
            case wire.RequestsCounted() | wire.RequestMade() | wire.RequestRecovered():
                pass  # they have rows of their own
            case wire.StepStarted() | wire.StopAsked() | wire.LeaveAsked() | wire.LeaseRenewed() | wire.Answered():
                pass  # what is said to a host
            case _:
                assert_never(message)

    def _start_run(self, event: wire.RunStarted) -> None:
        if event.versions:
            self.news.run |= {"resolved_parameters": opened(event.parameters), "versions": event.versions}
        self.outputs = self.outputs | frozenset(event.outputs)
        if event.is_whole:
            new, gone = self.nodes.take_whole(event.nodes)
            if new or gone:
                self.graph_change = self.news.run["graph_change"] = (
                    f"The pipeline's nodes are not those it had when the project was read: {new} new, {gone} gone."
                )
        for name in event.nodes:
            self.nodes.touch(name)

    def _take_of_child(self, message: OfTheChild) -> None:
        match message:
            case wire.StepRefused():
                self.refusal = message
            case wire.ChildStarted():
                self._begin(message)
            case wire.ChildWaited():
                self.is_waiting = True
                self._measure(message.peak_memory_bytes)
            case wire.ChildExited():
                self._end(message)
            case wire.RunFinished():
                self.is_finished = True
            case wire.RunFailed():
                self.failure = message
            case _:
                assert_never(message)

    def _begin(self, event: wire.ChildStarted) -> None:
        self.has_begun, self.revision = True, event.revision
        self.news.step |= {"pid": event.pid, "mode": event.mode, "revision": event.revision}
        self.news.step |= {"packages": event.packages}
        if not event.has_gone_on:
            self.news.started = event
            self.news.is_other_code = self._planned_for not in ("", event.revision)

    def _end(self, event: wire.ChildExited) -> None:
        self.exit = event
        self.news.step |= {"exit_code": event.exit_code, "exit_signal": event.signal}
        self._measure(event.peak_memory_bytes)

    def _measure(self, used_bytes: int) -> None:
        self.peak_memory_bytes = self.news.step["peak_memory_bytes"] = max(used_bytes, self.peak_memory_bytes)


def result_of(event: wire.DatasetSaved) -> dict[str, wire.Json]:
    """What the run's results say of one of its outputs; only what is known."""
    known: dict[str, wire.Json] = {
        "type": event.type,
        "rows": event.rows,
        "columns": event.columns,
        "parts": event.parts,
        "size_bytes": event.size_bytes,
        "path": event.path or None,
        "version": event.version or None,
    }
    result: dict[str, wire.Json] = {name: value for name, value in known.items() if value is not None}
    return {**result, "value": event.value} if event.has_value else result
