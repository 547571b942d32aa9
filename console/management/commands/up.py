"""`manage.py up`: everything in one process tree, on embedded defaults."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from console.env import BASE, DEFAULT_URL, ENV, IS_INSTALLED, START, tree_environment
from console.tree import children, configuration, lock, pages, parent, ports, prepare, processes, starting
from console.tree.private import be_alone, be_private
from console.tree.programs import Tree, programs
from jobs import clock
from jobs.errors import ConsoleError, ProjectError
from jobs.interpreters.snapshots import folder_of
from jobs.steps import broker

ORPHAN_SECONDS: Final = 15
READS: Final = "The projects are being read."
NO_WORKER: Final = "No worker is alive."
PROJECT: Final = "KEDRO_PROJECT_PATH"


class Command(BaseCommand):
    help = "Start Redis, web, worker, beat and the demo API; Ctrl-C stops them all."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", nargs="?", default="", help="folder of a Kedro project to register, such as .")
        parser.add_argument("--port", type=int, default=8000, help="port of the pages (default %(default)s)")
        parser.add_argument("--host", default=ENV.bind, help="address to listen on (default %(default)s)")
        parser.add_argument(
            "--workers", type=int, default=ENV.worker_slots, metavar="SLOTS", help="steps at once (default %(default)s)"
        )
        parser.add_argument("--no-demo", action="store_true", help="without the demo project and its API")

    def handle(self, *_: Any, project: str, port: int, host: str, workers: int, no_demo: bool, **__: Any) -> None:
        if not 0 < port < 65536 or workers < 1:
            raise CommandError("--port is a number from 1 to 65535, --workers a number from 1.")
        url = Tree(host, port, None).address if ENV.url == DEFAULT_URL else ENV.url
        folder = _folder(project) if project else ENV.kedro_project_path
        wanted = {"CONSOLE_BIND": host, "CONSOLE_WORKER_SLOTS": str(workers), "CONSOLE_URL": url, PROJECT: folder}
        known = {"CONSOLE_BIND": ENV.bind, "CONSOLE_WORKER_SLOTS": str(ENV.worker_slots), "CONSOLE_URL": ENV.url}
        known[PROJECT] = ENV.kedro_project_path
        if wanted != known or tree_environment().get(processes.MARK) != str(ENV.var):
            start_over(**wanted, **{processes.MARK: str(ENV.var)})
        try:
            self._up(host, port, has_demo=not no_demo)
        except ConsoleError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped before everything was started.", returncode=130) from None

    def _up(self, host: str, port: int, *, has_demo: bool) -> None:
        be_alone()
        prepare.check_project_path()
        prepare.prepare_folder(ENV.var)
        held = lock.take(ENV.var, Tree(host, port, None).address)
        self._end_orphans()
        if refusal := ports.refusal(host, port):
            raise CommandError(
                f"Port {port} cannot be used ({refusal}): stop what listens there, "
                f"or choose another with `{START} {'--port ' if IS_INSTALLED else 'PORT='}{port + 1}`."
            )
        if not ENV.is_embedded_redis:
            broker.insist()
        tree = Tree(host, port, ports.free_port(port + 10) if has_demo and not ENV.demo_api_url else None)
        self._prepare()
        file = configuration.write(ENV.var, programs(tree))
        parent.share()
        connections.close_all()
        begun = starting.begin(ENV.var, [READS, NO_WORKER])
        children.fork(lambda: self._announce(tree, held, begun, has_demo=has_demo))
        os.close(begun)
        os.chdir(BASE)
        parent.run(file)

    def _end_orphans(self) -> None:
        """An earlier tree whose parent was killed still has its programs: Redis goes last, the others talk to it."""
        orphans = processes.left_behind(ENV.var)
        if not orphans:
            return
        self.stdout.write(f"An earlier start left {len(orphans)} processes behind; they are stopped first.")
        servers = [process for process in orphans if process.name in ("valkey-server", "redis-server")]
        processes.end([p for p in orphans if p not in servers], patience_seconds=ORPHAN_SECONDS)
        processes.end(servers, patience_seconds=ORPHAN_SECONDS)

    def _prepare(self) -> None:
        if ENV.is_embedded_redis:
            prepare.prepare_folder(Path(ENV.redis_url.removeprefix("unix://")).parent)
        if prepare.is_database_new():
            self.stdout.write("Preparing the database …")
        prepare.prepare_database()
        if password := prepare.make_administrator():
            self.stdout.write(f"Log in as {ENV.admin_user} with the password {password} (shown only now).")
        for sentence in prepare.warnings():
            self.stderr.write(sentence)

    def _announce(self, tree: Tree, held: int, begun: int, *, has_demo: bool) -> None:
        """Say the address when runs can be started there, or what keeps them from it."""
        be_private()  # it starts a project's code, which must not look back into this process
        os.close(held)
        demo_api = ENV.demo_api_url or f"http://127.0.0.1:{tree.demo_port}"
        since = clock.now()
        sentences = prepare.register_projects(demo_api if has_demo else "", at=since)
        starting.tell(begun, [NO_WORKER])
        if not pages.wait_for_page(tree.local_host, tree.port):
            self.stderr.write(f"The pages do not answer: {ENV.var}/log/web.log says why. Ctrl-C stops everything.")
            return
        if not prepare.wait_for_worker(since):
            sentences.append(f"No worker answers, so runs wait: {ENV.var}/log/worker.log says why.")
        os.close(begun)
        self.stdout.write(f"Kedro Console serves on {tree.address}   logs: {ENV.var}/log   stop: Ctrl-C")
        for sentence in sentences:
            self.stdout.write(sentence)


def _folder(project: str) -> str:
    """The whole path of the project that is named, which is looked for from the folder of today."""
    try:
        return str(folder_of(project))
    except ProjectError as error:
        raise CommandError(str(error)) from error


def start_over(**changes: str) -> None:
    """The same command with these settings, which are read once and early."""
    sys.stdout.flush()
    command = [sys.executable, *sys.orig_argv[1:]]
    environment = tree_environment(**changes)
    for name in changes:
        environment.pop(f"{name}_FILE", None)  # it would be read instead
    os.execve(sys.executable, command, environment)  # noqa: S606 - our own Python
