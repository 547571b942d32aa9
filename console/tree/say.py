"""Sentences for the terminal, or for the log of a container."""

from __future__ import annotations

from contextlib import suppress


def say(sentence: str) -> None:
    with suppress(OSError):  # the terminal may be gone: nobody is left to be told
        print(sentence, flush=True)  # noqa: T201 - this is what the terminal is for
