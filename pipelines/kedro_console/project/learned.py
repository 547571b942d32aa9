"""What a project's hosts learned: modules that its runs import, and whether it can be forked."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import ModuleType

from kedro_console import wire
from kedro_console.project import record
from kedro_console.project.forkable import NEVER_FORKED

MODES = ("fork", "standby", "cold")
IN_A_ROW = 3
MOST_FILES = 20_000
MODE_SECONDS = 24 * 3600  # a slower mode is tried again as a fork after this: the machine may only have been busy


@dataclass
class Learned:
    """Kept in a small file beside the socket; a file that cannot be read is an empty one."""

    path: Path
    modules: list[str] = field(default_factory=list)
    mode: str = "fork"  # the fastest one that is known to work
    mode_at: float = 0.0  # when that was learned
    rewritten: list[str] = field(default_factory=list)  # what runs rewrote and so ended the last hosts, newest last
    is_rewritten_read: bool = False  # the project is loaded from it
    reason: str = ""  # why it is not "fork", as a sentence
    code: str = ""  # the state of the code for which that is so

    @classmethod
    def read(cls, folder: Path, project_path: Path, env: str) -> Learned:
        key = hashlib.sha256(f"{project_path}\0{env}\0{sys.executable}".encode()).hexdigest()[:16]
        learned = cls(folder / f"learned-{key}.json")
        try:
            raw = json.loads(learned.path.read_text("utf-8"))
            learned.modules = [name for name in raw["modules"] if isinstance(name, str)]
            learned.rewritten = [path for path in raw.get("rewritten", []) if isinstance(path, str)]
            learned.is_rewritten_read = bool(raw.get("is_rewritten_read"))
            is_recent = time.time() - raw["mode_at"] < MODE_SECONDS
            code = raw.get("code") or ""
            if raw["mode"] in MODES and is_recent and (not code or code == state_of(project_path)):
                learned.mode, learned.mode_at = raw["mode"], raw["mode_at"]
                learned.reason, learned.code = raw.get("reason", ""), code
        except (OSError, ValueError, KeyError, TypeError):
            return learned
        return learned

    def add(self, modules: list[str]) -> None:
        fresh = set(modules) - set(self.modules)
        if fresh:
            self.modules = sorted({*self.modules, *fresh})
            self._write()

    def remember_mode(self, mode: str, reason: str = "", code: str = "") -> None:
        """`code`: the state of the code (see `state_of`) for which this is so; "" for any."""
        if mode != self.mode:
            self.mode, self.mode_at, self.reason, self.code = mode, time.time(), reason, code
            self._write()

    def ended_by(self, path: str, *, is_read: bool = False) -> None:
        """The host ends because this changed; "" when no run of its did that. `is_read`: it is loaded from that."""
        kept = [*self.rewritten, path][-IN_A_ROW:] if path else []
        if kept or self.rewritten:
            self.rewritten, self.is_rewritten_read = kept, is_read
            self._write()

    @property
    def is_read_anew(self) -> bool:
        """Whether no host can serve two runs: each process has to load the project for itself."""
        return bool(self.restless) and self.is_rewritten_read

    @property
    def restless(self) -> str:
        """What runs themselves rewrite although the project is loaded from it; "" while nothing is known to be so."""
        is_so = len(self.rewritten) == IN_A_ROW and len(set(self.rewritten)) == 1
        return self.rewritten[0] if is_so else ""

    def _write(self) -> None:
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        known = {name: value for name, value in vars(self).items() if name != "path"}
        part.write_text(json.dumps(known), "utf-8")
        part.replace(self.path)


def state_of(project_path: Path) -> str:
    """Another text when a Python file of the project is written; "" when it has too many to look at."""
    found, digest = 0, hashlib.sha256()
    for folder, folders, files in os.walk(project_path):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in wire.NEVER_SOURCES)
        for name in sorted(name for name in files if name.endswith(".py")):
            with contextlib.suppress(OSError):
                seen = Path(folder, name).stat()
                digest.update(
                    f"{folder}\0{name}\0{seen.st_mtime_ns}\0{seen.st_size}\n".encode("utf-8", "surrogateescape")
                )
        found += len(files)
        if found > MOST_FILES:
            return ""
    return digest.hexdigest()


def newly_imported(count_before: int, package: str) -> list[str]:
    """The modules that came after the first `count_before` and are worth preloading: importable by name, and safe
    before a fork. Looks at the new ones alone: touching all names would copy their pages into a forked child."""
    skipped = {"__main__", "kedro_console", package, *NEVER_FORKED}
    fresh = islice(reversed(sys.modules), max(0, len(sys.modules) - count_before))
    names = [name for name in list(fresh) if name.partition(".")[0] not in skipped]
    return sorted(name for name in names if _is_a_librarys(sys.modules.get(name)))


def _is_a_librarys(module: ModuleType | None) -> bool:
    """The project's own modules are imported by each run that needs them: a host would have to watch them."""
    spec = getattr(module, "__spec__", None)
    return spec is not None and not (spec.has_location and record.is_own(str(spec.origin)))
