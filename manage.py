#!/usr/bin/env python
"""Commands of Kedro Console: `python manage.py help` lists them; from a wheel the same are `kedro-console`."""

import os
import signal
import sys
from argparse import ArgumentParser
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROLES = ("web", "worker", "beat")


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    choose_state()
    if sys.argv[1:2] == ["up"]:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(143))  # the first process of a container has no default
        mark_tree()
    if sys.argv[1:2] == ["alive"]:
        look_for_pulse()
    sys.path[:0] = [str(HERE), str(HERE / "pipelines")]  # before whatever is installed under the same names
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        if sys.argv[1:] == ["--version"]:
            from kedro_console import __version__

            print(__version__)  # noqa: T201 - what was asked for
        elif sys.argv[1:2] and sys.argv[1] in ROLES:
            from console.tree import roles

            sys.exit(roles.main(sys.argv[1:]))
        else:
            execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))


def look_for_pulse() -> None:
    """`alive worker|beat`, for probes: the answer is there before Django could be loaded."""
    sys.path.insert(0, str(HERE))
    from jobs.steps import pulse

    sys.exit(pulse.main(sys.argv[2:], Path(os.environ["CONSOLE_VAR"])))


def choose_state() -> None:
    """`--var FOLDER`, in any command, and CONSOLE_VAR say where the state lies; `default_state` when neither does."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False, usage="… --var FOLDER …")
    parser.add_argument("--var", default=os.environ.get("CONSOLE_VAR"))
    known, sys.argv[1:] = parser.parse_known_args(sys.argv[1:])
    if not os.environ.get("CONSOLE_VAR_FILE") or known.var:
        os.environ["CONSOLE_VAR"] = str(Path(known.var or default_state()).expanduser().absolute())


def default_state() -> Path:
    """var/ of a clone; the user's own folder for state when this was installed, where nothing may be written."""
    if Path(__file__).name == "manage.py":
        return HERE / "var"
    named = Path(os.environ.get("XDG_STATE_HOME", ""))
    try:
        return (named if named.is_absolute() else Path.home() / ".local" / "state") / "kedro-console"
    except RuntimeError:
        sys.exit("This user has no home folder: say with --var FOLDER or CONSOLE_VAR where the state shall lie.")


def mark_tree() -> None:
    """Start over with the tree's folder in the environment, where the next `up` looks for what this one left behind."""
    tree = str(Path(os.environ["CONSOLE_VAR"]).resolve())
    if os.environ.get("CONSOLE_TREE") != tree:
        arenas = os.environ.get("MALLOC_ARENA_MAX", "2")  # else each thread keeps a heap of its own
        marked = {**os.environ, "CONSOLE_VAR": tree, "CONSOLE_TREE": tree, "MALLOC_ARENA_MAX": arenas}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], marked)  # noqa: S606 - our own Python


if __name__ == "__main__":
    main()
