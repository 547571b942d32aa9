from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError


@dataclass(frozen=True)
class Said:
    """What a command printed, and the code that it left with."""

    out: str
    err: str
    code: int


@pytest.fixture
def manage(db) -> Callable[..., Said]:
    """Call a command as a shell would."""

    def call(*words: str) -> Said:
        out, err, code = io.StringIO(), io.StringIO(), 0
        try:
            call_command(*words, stdout=out, stderr=err)
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        except CommandError as wrong:  # what the command line prints before it leaves
            err.write(str(wrong))
            code = 2
        return Said(out.getvalue(), err.getvalue(), code)

    return call
