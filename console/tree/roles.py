"""`python -m console web | worker | beat | up`: one role of the console, for a container or for the tree."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NoReturn

from console.env import BASE, ENV, IS_INSTALLED
from console.tree.grace import end_within
from console.tree.private import be_alone, be_private
from console.tree.programs import STOP_SECONDS, worker_name
from console.tree.say import say
from jobs.errors import PlatformError
from jobs.steps.pulse import Pulse

MARGIN_SECONDS: Final = 1.0
"""A role ends by itself before whoever stops it loses patience."""


def main(words: Sequence[str] | None = None) -> int:
    """Be this role until it ends; its exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    asked = _parser().parse_args(words)
    if asked.role != "up":
        be_private()
        _be_alone()
        end_within(STOP_SECONDS[asked.role] - MARGIN_SECONDS)
    if asked.role == "web":
        return web(asked.host, asked.port)
    if asked.role == "worker":
        return worker()
    if asked.role == "beat":
        return beat()
    return up(asked.host, asked.port)


def _be_alone() -> None:
    try:
        be_alone()
    except PlatformError as refusal:
        sys.exit(str(refusal))


def up(host: str, port: int) -> NoReturn:
    """Everything at once, as `manage.py up` does it."""
    commands = BASE / ("__init__.py" if IS_INSTALLED else "manage.py")
    command = [sys.executable, str(commands), "up", "--host", host, "--port", str(port)]
    os.execv(sys.executable, command)  # noqa: S606 - our own Python


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m console")
    parser.add_argument("role", choices=("web", "worker", "beat", "up"))
    parser.add_argument("--host", default=ENV.bind, help="address of the pages (default %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port of the pages (default %(default)s)")
    return parser


def web(host: str, port: int) -> int:
    """The pages: one process with threads, which wait for the database and not for the processor."""
    import django
    from django.core.servers.basehttp import get_internal_wsgi_application

    from console.server.serve import serve

    django.setup()
    _answer_until_ready()
    serve(get_internal_wsgi_application(), host, port, proxies=ENV.trusted_proxies)
    return 0


def worker() -> int:
    """A Celery worker of threads: each only waits for a child of a host."""
    import django
    from celery.utils.nodenames import gethostname

    from console.celery import app

    django.setup()
    from jobs import schema
    from jobs.upkeep.take_name import free_name

    with _stopping_at_once():
        schema.wait("The worker", say, Pulse("worker", ENV.var).tell)

    started = app.Worker(
        hostname=free_name(worker_name(), gethostname()),
        pool="threads",
        concurrency=ENV.worker_slots,
        queues=ENV.worker_queues,
        without_gossip=True,
        without_mingle=True,
        loglevel="INFO",
    )
    started.start()
    return int(started.exitcode or 0)


def beat() -> int:
    """The one that keeps the schedules of django-celery-beat."""
    import django

    from console.celery import app

    django.setup()
    from jobs import schema
    from jobs.steps import broker

    with _stopping_at_once():
        schema.wait("Beat", say, Pulse("beat", ENV.var).tell)
        try:
            broker.insist()
        except PlatformError as refusal:
            sys.exit(str(refusal))
    app.Beat(loglevel="INFO").run()
    return 0


def _answer_until_ready() -> None:
    """The pages answer also while the database is not ready, to probes and people alike: that it is not."""
    from console import no_database
    from jobs import schema

    if why := schema.obstacle():
        say(f"The pages wait. {why}")
        no_database.READY.clear()


@contextmanager
def _stopping_at_once() -> Iterator[None]:
    """Nothing is under way that a stop would have to wait for; the first process of a container hears it only so."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
