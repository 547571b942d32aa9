"""The parent of the tree: supervisor, whose children of ours are forks of it.

They start at once, because all that they load is loaded already, and they share that memory (a third of the whole).
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from django.urls import get_resolver
from supervisor import supervisord
from supervisor.options import ServerOptions

from console.env import adopt
from console.tree import processes, roles
from console.tree.private import be_named, be_private
from console.tree.programs import ROLE
from console.tree.say import say

SHARED: Final = (
    "console.beat",
    "console.server.serve",
    "console.wsgi",
    "django.core.servers.basehttp",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.concurrency.thread",
    "celery.contrib.django.task",
    "celery.worker.consumer",
    "jobs.tasks",
    "kombu.transport.redis",
)
"""What the roles need: loaded once here, and then theirs by fork."""


NEEDED: Final = frozenset(
    {"PATH", "LD_LIBRARY_PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", processes.MARK}
)
"""All that a program which is not ours gets of the environment: any process of this user may read it there."""


class Options(ServerOptions):
    def setsignals(self) -> None:
        """A closed terminal stops the tree; supervisor alone would start it again, seen by nobody."""
        super().setsignals()
        signal.signal(signal.SIGHUP, lambda *_: self.signal_receiver.receive(signal.SIGTERM, None))

    def get_signal(self) -> int | None:
        number: int | None = super().get_signal()
        if number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            say("Kedro Console is stopping; running work is handed back within seconds.")
        return number

    def execve(self, filename: str, argv: list[str], env: Mapping[str, str]) -> None:
        """Called in the new child: a role of ours needs no new Python, all that it loads is loaded already."""
        if tuple(argv[: len(ROLE)]) == ROLE and sys.platform == "linux":
            become(argv[len(ROLE) :], env)
        super().execve(filename, argv, {name: value for name, value in env.items() if name in NEEDED})


def become(words: list[str], environment: Mapping[str, str]) -> None:
    """Be this role, as if this process were a new one; never returns."""
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        adopt(environment)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        processes.note(Path(environment[processes.MARK]))
        be_named(f"console-{words[0]}")
        code = roles.main(words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - the end of this process: whatever it was belongs into its log
        traceback.print_exc()
    finally:
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)


def share() -> None:
    """Load what the roles need, and keep the collector's hands off it: a page that is not written to stays shared."""
    for module in SHARED:
        importlib.import_module(module)
    get_resolver().url_patterns  # noqa: B018 - loads all pages
    gc.collect()
    gc.freeze()


def run(configuration: Path) -> None:
    """Supervise until a signal ends it; everything that was started has ended then."""
    be_private()
    supervisord.ServerOptions = Options
    supervisord.main(["--nodaemon", "--configuration", str(configuration)])
    say("Kedro Console has stopped.")
