"""The parts of a console on their machines, each started again when it ends, and replaced by another checkout's."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.network import Machine

RESTART_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Part:
    """One role on one machine, in the code of one checkout."""

    name: str
    machine: Machine
    words: tuple[str, ...]
    code: Path


class Services:
    """Starts parts again, as a service manager does; `folder` has a `CONSOLE_VAR` for each machine, and the logs."""

    def __init__(self, folder: Path, parts: list[Part], settings: Mapping[str, str]) -> None:
        self._folder, self._settings = folder, dict(settings)
        self.parts = {part.name: part for part in parts}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.RLock()
        self._is_over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="services")
        self.restarts = 0

    def start(self) -> None:
        for name in self.parts:
            self._processes[name] = self._spawn(name)
        self._keeper.start()

    def replace(self, name: str, code: Path) -> float:
        """End it and start it in this checkout; how many seconds it took to end."""
        with self._lock:
            self.parts[name] = replace(self.parts[name], code=code)
            seconds = self.end(name)
            self._processes[name] = self._spawn(name)
        return seconds

    def end(self, name: str) -> float:
        """SIGTERM; how many seconds until it was gone. It is started again, unless that is paused."""
        began, process = time.monotonic(), self._processes[name]
        process.terminate()
        process.wait(LONGEST_SECONDS)
        return time.monotonic() - began

    def end_all(self) -> dict[str, float]:
        """All are asked at once; how many seconds each took. They are started again, unless that is paused."""
        with self._lock:
            began = time.monotonic()
            for process in self._processes.values():
                process.terminate()
            left, found = dict(self._processes), dict[str, float]()
            while left and time.monotonic() - began < LONGEST_SECONDS:
                for name in [name for name, process in left.items() if process.poll() is not None]:
                    found[name] = time.monotonic() - began
                    del left[name]
                time.sleep(0.02)
            return found | dict.fromkeys(left, LONGEST_SECONDS)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within this nothing is started again."""
        with self._lock:
            yield

    def stop(self) -> None:
        self._is_over.set()
        if self._keeper.ident:
            self._keeper.join()
        for name, seconds in self.end_all().items():
            if seconds >= LONGEST_SECONDS:
                self._processes[name].kill()

    def _keep(self) -> None:
        while not self._is_over.wait(RESTART_SECONDS):
            with self._lock:
                for name, process in self._processes.items():
                    if process.poll() is not None and not self._is_over.is_set():
                        self._processes[name] = self._spawn(name)
                        self.restarts += 1

    def prepare(self, code: Path) -> None:
        """`manage.py prepare` of this checkout, beside all that runs."""
        some = next(iter(self.parts.values()))
        command = some.machine.command(sys.executable, "manage.py", "prepare")
        subprocess.run(command, cwd=code, env=self._environment(replace(some, code=code)), check=True)

    def _environment(self, part: Part) -> dict[str, str]:
        return {
            **os.environ,
            **self._settings,
            "CONSOLE_VAR": str(self._folder / part.machine.name.rpartition("-")[2]),
            "PYTHONPATH": f"{part.code}:{part.code / 'pipelines'}",
        }

    def _spawn(self, name: str) -> subprocess.Popen[bytes]:
        part = self.parts[name]
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                part.machine.command(sys.executable, "-m", "console", *part.words),
                cwd=part.code, env=self._environment(part), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
