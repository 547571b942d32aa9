#!/usr/bin/env python
"""Commands of Kedro Console: `python manage.py help` lists them."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    if sys.argv[1:2] == ["up"]:
        mark_tree()
    sys.path.insert(1, str(HERE / "pipelines"))
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))


def mark_tree() -> None:
    """Start over with the tree's folder in the environment, where the next `up` looks for what this one left behind."""
    tree = str(Path(os.environ.get("CONSOLE_VAR") or HERE / "var").resolve())
    if os.environ.get("CONSOLE_TREE") != tree:
        arenas = os.environ.get("MALLOC_ARENA_MAX", "2")  # else each thread keeps a heap of its own
        marked = {**os.environ, "CONSOLE_VAR": tree, "CONSOLE_TREE": tree, "MALLOC_ARENA_MAX": arenas}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], marked)  # noqa: S606 - our own Python


if __name__ == "__main__":
    main()
