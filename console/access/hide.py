"""What strangers send stands in our own log as one line, without the passwords that may be in it."""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Mapping
from typing import Final

USER_INFO: Final = re.compile(r"(?<![\w.])[^\s/:@'\"<>]{1,200}:[^\s/@'\"<>]{1,500}@(?=[\w\[])")
"""`user:password@`, as it stands in a Host header or an address. Bounded: a stranger chooses the text."""
CONTROLS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What ends a line, steers a terminal or turns the reading direction."""


class Line(logging.Formatter):
    """A line of our log, with its traceback: what a message was given can be neither a second line nor a colour."""

    def format(self, record: logging.LogRecord) -> str:
        if record.args:
            record = copy.copy(record)
            record.args = _harmless_all(record.args)
        text = super().format(record)
        return USER_INFO.sub("***@", text) if "@" in text else text


def _harmless_all(given: tuple[object, ...] | Mapping[str, object] | None) -> tuple[object, ...] | dict[str, object]:
    if isinstance(given, Mapping):
        return {name: _harmless(each) for name, each in given.items()}
    return tuple(_harmless(each) for each in given or ())


def _harmless(given: object) -> object:
    """Numbers stay what they are, and so does what is written as `%r`."""
    if not isinstance(given, str | BaseException):
        return given
    text = str(given)
    return CONTROLS.sub(_escaped, text) if CONTROLS.search(text) else given


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
