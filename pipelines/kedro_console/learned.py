"""What a project's hosts learned: modules that its runs import, and whether it can be forked."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from kedro_console.warm import NEVER_FORKED

MODES = ("fork", "standby", "cold")
MODE_SECONDS = 24 * 3600  # a slower mode is tried again as a fork after this: the machine may only have been busy


@dataclass
class Learned:
    """Kept in a small file beside the socket; a file that cannot be read is an empty one."""

    path: Path
    modules: list[str] = field(default_factory=list)
    mode: str = "fork"  # the fastest one that is known to work
    mode_at: float = 0.0  # when that was learned

    @classmethod
    def read(cls, folder: Path, project_path: Path, env: str) -> Learned:
        key = hashlib.sha256(f"{project_path}\0{env}\0{sys.executable}".encode()).hexdigest()[:16]
        learned = cls(folder / f"learned-{key}.json")
        try:
            raw = json.loads(learned.path.read_text("utf-8"))
            learned.modules = [name for name in raw["modules"] if isinstance(name, str)]
            is_recent = time.time() - raw["mode_at"] < MODE_SECONDS
            if raw["mode"] in MODES and is_recent:
                learned.mode, learned.mode_at = raw["mode"], raw["mode_at"]
        except (OSError, ValueError, KeyError, TypeError):
            return learned
        return learned

    def add(self, modules: list[str]) -> None:
        fresh = set(modules) - set(self.modules)
        if fresh:
            self.modules = sorted({*self.modules, *fresh})
            self._write()

    def remember_mode(self, mode: str) -> None:
        if mode != self.mode:
            self.mode, self.mode_at = mode, time.time()
            self._write()

    def _write(self) -> None:
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        part.write_text(json.dumps({"mode": self.mode, "mode_at": self.mode_at, "modules": self.modules}), "utf-8")
        part.replace(self.path)


def newly_imported(count_before: int, package: str) -> list[str]:
    """The modules that came after the first `count_before` and are worth preloading: importable by name, and safe
    before a fork. Looks at the new ones alone: touching all names would copy their pages into a forked child."""
    skipped = {"__main__", "kedro_console", package, *NEVER_FORKED}
    fresh = islice(reversed(sys.modules), max(0, len(sys.modules) - count_before))
    names = [name for name in list(fresh) if name.partition(".")[0] not in skipped]
    return sorted(name for name in names if getattr(sys.modules.get(name), "__spec__", None) is not None)
