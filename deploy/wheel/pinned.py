"""What the wheel depends on: exactly the versions of requirements.txt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LOCK = "requirements.txt"


class Pinned(MetadataHookInterface):
    def update(self, metadata: dict[str, Any]) -> None:
        metadata["dependencies"] = pinned((Path(self.root) / LOCK).read_text())


def pinned(lock: str) -> list[str]:
    """Each entry of a lock, with its version and marker, without its hashes."""
    return re.findall(r"^([a-z0-9][^\s;]*==[^\s;]+(?: ; [^\\\n]*[^\\\s])?)", lock, re.MULTILINE)
