"""Read a JSON body that may have been made to hurt: every monster is refused before anything looks at it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import IO, Any, Final

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

from console.api.errors import TooLarge

LONGEST_NUMBER: Final = 2**63
DEEPEST: Final = 100
ODD_TEXT: Final = re.compile("[\x00\ud800-\udfff]")


class PlainJSON(JSONRenderer):
    """JSON in ASCII, so that any text that a project ever wrote can be sent."""

    ensure_ascii = True


class StrictJSON(BaseParser):
    """JSON in UTF-8 with finite numbers of 64 bits, text that is text, and at most 100 levels."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        data = b"" if _announced(parser_context) > limit else stream.read(limit + 1)
        if len(data) > limit or _announced(parser_context) > limit:
            raise TooLarge
        try:
            value = json.loads(
                data.decode("utf-8-sig"), parse_constant=_number, parse_float=_number, parse_int=_whole_number
            )
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
            raise ParseError(f"The body is not JSON that can be used: {reason}.") from error
        _refuse_monsters(value)
        return value


def _announced(context: Mapping[str, Any] | None) -> int:
    length = context["request"].META.get("CONTENT_LENGTH") if context else None
    return int(length) if length and str(length).isdigit() else 0


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:30]} is not a finite number")
    return value


def _whole_number(text: str) -> int:
    if len(text) > 20 or not -LONGEST_NUMBER <= int(text) < LONGEST_NUMBER:
        raise ValueError(f"{text[:30]}… does not fit 64 bits; send it as text")
    return int(text)


def _refuse_monsters(value: Any) -> None:
    """Level by level, without recursion: its depth is the sender's choice."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise ParseError(f"The body is nested deeper than {DEEPEST} levels.")
        following: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _refuse_odd_text(item)
            elif isinstance(item, dict):
                following += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                following += item
        level = following


def _refuse_odd_text(text: str) -> None:
    if ODD_TEXT.search(text):
        raise ParseError("The body contains a character that is not valid text (NUL or half of a surrogate pair).")
