"""How a child tells its host what happened: one packet an event, from any thread or process of the run."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kedro_console import wire
from kedro_console.words import masking
from kedro_console.words.progress import Bar

READY = "child_ready"
LEARNED = "modules_learned"
WAITING = "child_waits"
ENDING = "child_ends"
UNFINISHED = "save_may_change"
MAX_LEARNED = 3_000
DATA = (wire.Asked, wire.FunctionReturned, wire.RequestMade, wire.RequestRecovered)
"""What is the project's own data or masked already: a secret in any other event becomes `***`."""
OF_ANY_PROCESS = (wire.RequestsCounted, wire.RequestMade, wire.RequestRecovered, wire.ProgressMade)
"""What is a fact of the node, whichever of its processes tells it."""


class Reporter:
    """Sends events over a packet socket; each arrives whole or not at all.

    Only the process that began the step speaks for it: one that a node has forked sends what is not about the step.
    """

    def __init__(self, packets: socket.socket) -> None:
        self._packets = packets
        self._pid = os.getpid()

    @property
    def speaks(self) -> bool:
        """Whether this process speaks for the step."""
        return os.getpid() == self._pid

    def speak(self) -> None:
        """This process does from now on, as well as the one that it was forked from."""
        self._pid = os.getpid()

    def send(self, event: wire.Event) -> None:
        if not (self.speaks or isinstance(event, OF_ANY_PROCESS)):
            return
        packet = fit(event)
        self._packets.send(packet if isinstance(event, DATA) else masking.packet(packet))

    def send_progress(self, node: str, bar: Bar) -> None:
        """Passes a node's progress bar on. What holds this lives to the last: nothing of the project hangs on it."""
        self.send(wire.ProgressMade(time.time(), node, bar.label, bar.done, bar.total, bar.unit))

    def heard(self) -> Iterator[wire.Message]:
        """What the host hands on, answers and the next steps, until it closes the line."""
        while packet := self._packets.recv(2 * wire.MAX_EVENT_BYTES):
            yield wire.parse(packet)

    def send_waiting(self, cpu_seconds: float, kept_bytes: int) -> None:
        """Tells the host that the step is done, all its lines are written, and this process waits for the next one."""
        self._packets.send(json.dumps({"kind": WAITING, "cpu_seconds": cpu_seconds, "kept_bytes": kept_bytes}).encode())

    def send_ready(self) -> None:
        """Tells the host that a process of its own has warmed up."""
        self._packets.send(json.dumps({"kind": READY}).encode())

    def send_ending(self, tasks: Iterable[dict[str, Any]]) -> None:
        """Tells the host that this process ends as an interpreter does, and which saves its end may complete."""
        if not self.speaks:
            return
        for task in tasks:
            self._packets.send(json.dumps({"kind": UNFINISHED, "task": task}).encode())
        self._packets.send(json.dumps({"kind": ENDING}).encode())

    def send_learned(self, modules: list[str]) -> None:
        """Tells the host (nobody else) which modules this run had to import by itself."""
        packet = json.dumps({"kind": LEARNED, "modules": modules[:MAX_LEARNED]}).encode()
        if len(packet) <= wire.MAX_EVENT_BYTES:
            self._packets.send(packet)


def internal(packet: bytes) -> dict[str, Any] | None:
    """The packet when it is between child and host only; None when it is an event for the supervisor."""
    if not packet.startswith(b'{"kind": "'):  # events are written without the space
        return None
    found: dict[str, Any] = json.loads(packet)
    return found


def fit(event: wire.Event) -> bytes:
    """The event as JSON of at most MAX_EVENT_BYTES; what matters least is cut first, the event is never lost."""
    packet = event.to_json()
    if len(packet) <= wire.MAX_EVENT_BYTES:
        return packet
    for shorten in (_without_previews, _with_short_failure, _with_cut_values, _with_fewer_nodes):
        event = shorten(event)
        packet = event.to_json()
        if len(packet) <= wire.MAX_EVENT_BYTES:
            return packet
    return _with_cut_text(event).to_json()


def _without_previews(event: wire.Event) -> wire.Event:
    if isinstance(event, wire.RequestMade):
        return dataclasses.replace(event, response="", response_headers={}, is_response_whole=False)
    if isinstance(event, wire.DatasetSaved):
        return dataclasses.replace(event, sample=[], value=None, has_value=False)
    return event


def _with_short_failure(event: wire.Event) -> wire.Event:
    if not isinstance(event, (wire.NodeFailed, wire.RunFailed, wire.StepRefused)) or event.failure is None:
        return event
    failure = event.failure
    short = dataclasses.replace(failure, traceback=failure.traceback[-10_000:], frames=failure.frames[-20:])
    return dataclasses.replace(event, failure=short)


def _with_cut_values(event: wire.Event) -> wire.Event:
    if isinstance(event, wire.RunStarted):
        return dataclasses.replace(event, parameters=_cut(event.parameters, 3, 50), versions={})
    return event


def _with_fewer_nodes(event: wire.Event) -> wire.Event:
    if not isinstance(event, wire.RunStarted):
        return event
    nodes, room = [], wire.MAX_EVENT_BYTES // 2
    for name in event.nodes:
        room -= len(json.dumps(name)) + 1
        if room < 0:
            break
        nodes.append(name)
    return dataclasses.replace(event, nodes=nodes, parameters={})


def _with_cut_text(event: wire.Event) -> wire.Event:
    values: dict[str, Any] = {f.name: getattr(event, f.name) for f in dataclasses.fields(event)}
    short = {name: value[:2_000] if isinstance(value, str) else value for name, value in values.items()}
    make: Callable[..., wire.Event] = type(event)
    return make(**short)


def _cut(value: Any, depth: int, items: int) -> Any:
    safe = wire.json_safe(value, depth=depth, items=items)
    if isinstance(safe, str):
        return safe[:500]
    if isinstance(safe, dict):
        return {name[:500]: _cut(part, depth, items) for name, part in safe.items()}
    if isinstance(safe, list):
        return [_cut(part, depth, items) for part in safe]
    return safe
