"""How the commands speak: one sentence a line, problems to stderr, the exit code says what kind of end it was."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NoReturn

from django.core.management.base import BaseCommand

from console.env import COMMAND
from jobs.errors import BadParameters, ConsoleError, ProjectError, UnknownPipeline

FAILED: Final = 1
WRONG_USE: Final = 2
CANCELLED: Final = 3
LEFT_ALONE: Final = 130
"""What a shell expects after Ctrl-C."""

_UNPRINTABLE: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """`text` on one line without anything that steers a terminal: it may come from a project's code."""
    return _UNPRINTABLE.sub(" ", text)


def end(command: BaseCommand, code: int, sentences: Iterable[str]) -> NoReturn:
    """Say these sentences as errors and leave with this exit code."""
    for sentence in sentences:
        command.stderr.write(printable(sentence))
    raise SystemExit(code)


def refuse(command: BaseCommand, error: ConsoleError) -> NoReturn:
    """Leave because of this error: wrong use, or a project that cannot run."""
    if isinstance(error, BadParameters):
        end(command, WRONG_USE, [f"{name}: {sentence}" for name, sentence in error.fields.items()])
    if isinstance(error, UnknownPipeline) and not error.nearest:
        end(command, WRONG_USE, [error.fact, f"`{COMMAND} project list` names them."])
    end(command, FAILED if isinstance(error, ProjectError) else WRONG_USE, [str(error)])
