"""The warm hosts of this worker: one process per project as it is configured, started when first needed."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from django.conf import settings

from jobs.encryption import leave_masking_keys
from jobs.errors import HostLeft, HostLost, ProjectError
from jobs.interpreters.boundary import behind, sockets_of
from jobs.models import Project, Run
from kedro_console import wire

MOST_RETIRED: Final = 2
"""How many hosts of older code may stay for the runs that began with it."""
LET_GO_SECONDS: Final = 1.0
START_SECONDS: Final = 60
"""How long a host may take to open its socket (it opens it before it imports the project)."""


def child_environment(project: Project) -> dict[str, str]:
    """What a project's processes see: a few names of ours and the project's own variables, no secret."""
    return {
        **_personal(),
        "PYTHONPATH": str(settings.BASE_DIR / "pipelines"),
        "KEDRO_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "MPLBACKEND": "Agg",
        **{str(name): str(value) for name, value in project.environment.items()},
    }


def _personal() -> dict[str, str]:
    """What we pass on of our own environment; of another user what is theirs."""
    passed, user = settings.CONSOLE_PASSED_ON, settings.CONSOLE_RUN_AS
    if user is None:
        return dict(passed)
    kept = {name: value for name, value in passed.items() if name != "TMPDIR"}
    return {**kept, "HOME": user.home, "USER": user.name, "LOGNAME": user.name}


@dataclass
class Host:
    """A running host process and where it listens."""

    process: subprocess.Popen[bytes]
    socket_path: Path
    log: IO[bytes]
    code: str = ""
    """`wire.code_of` what it was loaded from, once it has said so."""
    started_at: float = field(default_factory=time.monotonic)
    has_listened: bool = False

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def connect(self) -> socket.socket:
        """A connection for one step; HostLost, HostLeft or another ProjectError when it does not listen."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(str(self.socket_path))
            except (FileNotFoundError, ConnectionRefusedError) as error:
                connection.close()
                if refusal := self._refusal(deadline):
                    raise refusal from error
                time.sleep(0.01)
            else:
                self.has_listened = True
                return connection

    def _refusal(self, deadline: float) -> ProjectError | None:
        """Why nobody listens there; None while it is still starting."""
        code = self.process.poll()
        if code is not None and code < 0:
            return HostLost(f"The project's host was ended by signal {-code}.")
        if self.has_listened:
            return HostLeft("The project's host has ended.")
        if code is not None:
            return ProjectError(f"The project's Python could not start: {self.last_words()}")
        if time.monotonic() > deadline:
            self.stop()  # else the next step would wait as long for the same process
            return ProjectError(f"The project's Python did not answer within {START_SECONDS} s.")
        return None

    def last_words(self) -> str:
        lines = Path(self.log.name).read_bytes()[-4000:].decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with exit code {self.process.returncode}."

    def let_go(self) -> None:
        """Ask it to end with the last of the steps that it has."""
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(LET_GO_SECONDS)
            connection.connect(str(self.socket_path))
            wire.send(connection, wire.LeaveAsked(is_for_host=True))

    def stop(self) -> None:
        """Close the lifeline: the host kills its children and ends."""
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Hosts:
    """Hosts by project and Kedro environment; safe to use from the worker's threads."""

    def __init__(self) -> None:
        self._hosts: dict[str, Host] = {}
        self._retired: dict[str, list[Host]] = {}
        self._lock = threading.Lock()
        # A host asks the kernel to kill it when the *thread* that started it ends: so one lasting thread starts all.
        self._starter = ThreadPoolExecutor(1, "hosts")

    def of(self, project: Project, env: str | None = None, begun_with: str = "") -> Host:
        """The host in this Kedro environment, in the project's own unless it is given; for a run that has begun the
        one with its code, also when that is an older one."""
        env = project.kedro_env if env is None else env
        key = _key(project, env)
        with self._lock:
            host = self._hosts.get(key)
            if begun_with:
                candidates: list[Host | None] = [host, *self._retired.get(key, ())]
                for known in candidates:
                    if known and known.code == begun_with and known.is_alive:
                        return known
            if host is not None and host.is_alive:
                return host
            started: Host = self._starter.submit(_start, project, env, key).result()
            self._hosts[key] = started
            return started

    def connect(self, project: Project, env: str | None = None, begun_with: str = "") -> tuple[Host, socket.socket]:
        """The host that `of` says and a connection to it; one that has ended or is about to makes room for another."""
        while True:
            host = self.of(project, env, begun_with)
            try:
                return host, host.connect()
            except HostLeft:
                if not self.forget(host):
                    self.replace(host)
            except ProjectError:
                if not self.forget(host):
                    raise

    def replace(self, stale: Host, begun_with: str = "") -> None:
        """New runs get a new host: this one's code is no longer the project's. It finishes what began with it.

        An older one that refused a run that began with its code is let go.
        """
        if begun_with and stale.code == begun_with and self.forget(stale):
            return
        with self._lock:
            for key in [key for key, host in self._hosts.items() if host is stale]:
                del self._hosts[key]
                retired = [each for each in self._retired.get(key, ()) if each.is_alive]
                self._retired[key] = [*retired, stale][-MOST_RETIRED:]
                for each in retired[: len(retired) + 1 - MOST_RETIRED]:
                    _leave(each)

    def forget(self, gone: Host) -> bool:
        """It cannot be reached: False when it is not an older one but the project's own."""
        with self._lock:
            for retired in self._retired.values():
                if gone in retired:
                    retired.remove(gone)
                    _leave(gone)
                    return True
        return False

    def let_retired_go(self) -> None:
        """Those with whose code no run is under way any more."""
        with self._lock:
            known = [host for hosts in self._retired.values() for host in hosts]
        for host in known:
            if not (host.is_alive and host.code and Run.objects.live().filter(begun_with=host.code).exists()):
                self.forget(host)

    def stop_all(self) -> None:
        with self._lock:
            for host in (*self._hosts.values(), *(each for hosts in self._retired.values() for each in hosts)):
                host.stop()
            self._hosts.clear()
            self._retired.clear()


_leaving: list[Host] = []


def _leave(host: Host) -> None:
    """Keep the lifeline of a host that still has children; drop those that have ended."""
    host.let_go()
    _leaving[:] = [other for other in _leaving if other.is_alive]
    _leaving.append(host)


def _key(project: Project, env: str) -> str:
    what = [project.pk, project.path, project.interpreter, env, project.environment]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def _start(project: Project, env: str, key: str) -> Host:
    if not project.folder.is_dir():
        raise ProjectError(
            f"The project's folder {project.path} does not exist: restore it, or change the path of {project.name}."
        )
    folder = sockets_of(project)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    leave_masking_keys(folder)
    logs = settings.VAR / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    path = folder / f"{key[:8]}-{os.getpid()}-{time.monotonic_ns() % 10**8}.sock"
    log = (logs / f"host-{project.name}.log").open("ab")
    command = [project.interpreter, "-m", "kedro_console.host", "--socket", str(path), "--project", project.path]
    if env:
        command += ["--env", env]
    try:
        process = subprocess.Popen(
            behind(project, command),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=project.path,
            env=child_environment(project),
            start_new_session=True,
        )
    except OSError as error:
        raise ProjectError(
            f"The Python of {project.name} ({project.interpreter}) could not be started: {error.strerror}."
        ) from error
    return Host(process, path, log)


HOSTS: Final = Hosts()
