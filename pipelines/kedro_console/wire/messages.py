"""All messages between the console's supervisor, a project's host and its child, and how they are read."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any, Final, Union

from kedro_console.wire.events import (
    Asked,
    ChildExited,
    ChildStarted,
    ChildWaited,
    DatasetLoaded,
    DatasetSaved,
    Failure,
    FileKept,
    FileUnkept,
    Frame,
    FunctionReturned,
    KeptFile,
    MemoryMeasured,
    NodeFailed,
    NodeFinished,
    NodesSkipped,
    NodeStarted,
    ProgressMade,
    RequestMade,
    RequestRecovered,
    RequestsCounted,
    RunFailed,
    RunFinished,
    RunStarted,
    StepRefused,
)
from kedro_console.wire.message import Message
from kedro_console.wire.to_host import Answered, LeaseRenewed, LeaveAsked, StepStarted, StopAsked
from kedro_console.wire.values import HOSTILE, Json, WireError, clean

ToHost = Union[StepStarted, StopAsked, LeaveAsked, LeaseRenewed, Answered]
"""What a supervisor says."""
Reported = Union[
    StepRefused, ChildStarted, RunStarted, NodesSkipped, NodeStarted, NodeFinished, NodeFailed, DatasetLoaded,
    DatasetSaved, ProgressMade, Asked, RequestsCounted, RequestMade, RequestRecovered, FileKept, FileUnkept,
    FunctionReturned, RunFinished, RunFailed, MemoryMeasured, ChildWaited, ChildExited,
]  # fmt: skip
"""What a host or its child says."""
AnyMessage = Union[ToHost, Reported]

MESSAGES: Final[dict[str, type[AnyMessage]]] = {
    cls.kind: cls
    for cls in AnyMessage.__args__  # type: ignore[attr-defined]
}

NESTED: Final[dict[str, type[Any]]] = {"failure": Failure, "kept": KeptFile}


def plain(message: Message) -> dict[str, Json]:
    """The message without its kind, as JSON can hold it; values are not copied."""
    nested = tuple(NESTED.values())
    return {name: asdict(value) if isinstance(value, nested) else value for name, value in vars(message).items()}


def parse(data: bytes) -> AnyMessage:
    """The message in these bytes; WireError when it is none of ours. Unknown fields of a newer side are dropped."""
    try:
        raw = json.loads(data)
        if any(mark in data for mark in HOSTILE):
            raw = clean(raw)
        cls = MESSAGES[raw.pop("kind")]
        known = {f.name for f in fields(cls)}
        return cls(**{name: nested(name, value) for name, value in raw.items() if name in known})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WireError(f"Not a message: {data[:200]!r} ({error})") from error


def nested(name: str, value: Any) -> Any:
    if name not in NESTED or value is None:
        return value
    if name == "failure":
        value = {**value, "frames": [Frame(**frame) for frame in value.get("frames", [])]}
    return NESTED[name](**value)
