"""What every message is: typed, JSON, and one packet where it passes between a child and its host."""

from __future__ import annotations

import json
from dataclasses import dataclass, is_dataclass
from typing import ClassVar, Final

MAX_EVENT_BYTES: Final = 150_000  # an event is one packet between child and host; the kernel's limit is ~208 kB


@dataclass(frozen=True)
class Message:
    """A typed JSON message; `kind` names its class on the wire."""

    kind: ClassVar[str] = ""

    def to_json(self) -> bytes:
        return json.dumps({"kind": self.kind, **vars(self)}, default=_plain, separators=(",", ":")).encode(
            "utf-8", "backslashreplace"
        )


def _plain(value: object) -> object:
    """A nested message as a dict (without the deep copy of `asdict`: a child writes several events a node)."""
    return vars(value) if is_dataclass(value) else str(value)
