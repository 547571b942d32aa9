"""`python -m console web | worker | beat | up`: one role of the console, for a container or for the tree."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from console.env import BASE, ENV
from console.tree.programs import with_port, worker_name

WEB_THREADS: Final = 16


def main(words: Sequence[str] | None = None) -> int:
    """Be this role until it ends; its exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    asked = _parser().parse_args(words)
    if asked.role == "web":
        return web(asked.host, asked.port)
    if asked.role == "worker":
        return worker()
    if asked.role == "beat":
        return beat()
    return up(asked.host, asked.port)


def up(host: str, port: int) -> NoReturn:
    """Everything at once, as `manage.py up` does it."""
    command = [sys.executable, str(BASE / "manage.py"), "up", "--host", host, "--port", str(port)]
    os.execv(sys.executable, command)  # noqa: S606 - our own Python


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m console")
    parser.add_argument("role", choices=("web", "worker", "beat", "up"))
    parser.add_argument("--host", default=ENV.bind, help="address of the pages (default %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port of the pages (default %(default)s)")
    return parser


def web(host: str, port: int) -> int:
    """The pages: one process with threads, which wait for the database and not for the processor."""
    from gunicorn.app.wsgiapp import WSGIApplication

    sys.argv = [
        *("gunicorn", "console.wsgi", "--preload", "--no-control-socket", "--bind", with_port(host, port)),
        *("--worker-class", "gthread", "--workers", "1", "--threads", str(WEB_THREADS), "--graceful-timeout", "5"),
    ]
    WSGIApplication("%(prog)s").run()
    return 0


def worker() -> int:
    """A Celery worker of threads: each only waits for a child of a host."""
    import django
    from celery.utils.nodenames import gethostname

    from console.celery import app

    django.setup()
    from jobs.upkeep.take_name import free_name

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
    from console.celery import app

    app.Beat(loglevel="INFO").run()
    return 0
