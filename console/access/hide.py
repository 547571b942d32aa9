"""What strangers send stands in our own log without the passwords that may be in it."""

from __future__ import annotations

import logging
import re
from typing import Final

USER_INFO: Final = re.compile(r"(?<![\w.])[^\s/:@'\"<>]{1,200}:[^\s/@'\"<>]{1,500}@(?=[\w\[])")
"""`user:password@`, as it stands in a Host header or an address. Bounded: a stranger chooses the text."""


class Line(logging.Formatter):
    """A line of our log, with its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return USER_INFO.sub("***@", text) if "@" in text else text
