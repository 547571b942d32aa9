"""Terminal colours as HTML: a short list of codes becomes classes, every other control sequence is dropped."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

MOST_CHARACTERS: Final = 4_000

_SEQUENCE = re.compile(
    r"\x1b\[(?P<codes>[0-9;:]*)m"  # colours and weights
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # any other control sequence: cursor, erase, mode
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # window titles, links, device strings
    r"|\x1b[ -/]*[0-~]?"  # two-character escapes
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_COLOURS: Final = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_WEIGHTS: Final = {1: "bold", 2: "dim", 3: "italic", 4: "underline"}
_ENDS: Final = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",)}


def to_html(text: str, word: str = "") -> SafeString:
    """The line escaped, its colours as spans, the word marked; without what was overwritten, and what is very long."""
    shown = text.rsplit("\r", 1)[-1]
    cut = shown[:MOST_CHARACTERS]
    pieces = list(_pieces(cut))
    parts = _marked(pieces, word) if word else [_span(piece, style) for piece, style in pieces]
    if len(shown) > len(cut):
        parts.append(f'<i class="kc-cut"> … {len(shown) - len(cut):,} more characters in the download</i>')
    return mark_safe("".join(parts))  # noqa: S308 - every piece of text went through escape()


def _pieces(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """What one sees of it, each piece with its style."""
    style: dict[str, str] = {}
    position = 0
    for match in _SEQUENCE.finditer(text):
        yield _CONTROLS.sub("", text[position : match.start()]), style
        if match["codes"] is not None:
            style = _apply(match["codes"], style)
        position = match.end()
    yield _CONTROLS.sub("", text[position:]), style


def _marked(pieces: list[tuple[str, dict[str, str]]], word: str) -> list[str]:
    """The pieces as HTML; the word is marked wherever it stands, also where a colour begins in its midst."""
    whole = "".join(piece for piece, _ in pieces)
    bounds = [bound for match in re.finditer(re.escape(word), whole, re.IGNORECASE) for bound in match.span()]
    parts: list[str] = []
    start = 0
    for piece, style in pieces:
        inner = [bound - start for bound in bounds if start < bound < start + len(piece)]
        before = bisect_right(bounds, start)
        for number, (first, last) in enumerate(pairwise([0, *inner, len(piece)])):
            html = _span(piece[first:last], style)
            parts.append(f"<mark>{html}</mark>" if html and (before + number) % 2 else html)
        start += len(piece)
    return parts


def plain(text: str) -> str:
    """The line without any control sequence."""
    return _CONTROLS.sub("", _SEQUENCE.sub("", text.rsplit("\r", 1)[-1]))


def _span(text: str, style: dict[str, str]) -> str:
    visible = escape(text)
    if not visible or not style:
        return visible
    return f'<span class="{" ".join(f"kc-ansi-{name}" for name in style.values())}">{visible}</span>'


def _apply(codes: str, style: dict[str, str]) -> dict[str, str]:
    """The style after one sequence; 256-colour and true-colour codes are skipped with their arguments."""
    after = dict(style)
    numbers = [int(code or 0) for code in re.split("[;:]", codes) if len(code) < 4]
    while numbers:
        code = numbers.pop(0)
        if code in (38, 48):
            del numbers[: {5: 2, 2: 4}.get(numbers[0] if numbers else 0, 0)]
        elif code == 0:
            after.clear()
        else:
            _one(code, after)
    return after


def _one(code: int, style: dict[str, str]) -> None:
    if code in _WEIGHTS:
        style[_WEIGHTS[code]] = _WEIGHTS[code]
    elif 30 <= code <= 37 or 90 <= code <= 97:
        style["front"] = _COLOURS[code % 10]
    elif 40 <= code <= 47 or 100 <= code <= 107:
        style["back"] = f"on-{_COLOURS[code % 10]}"
    elif code in (39, 49):
        style.pop("front" if code == 39 else "back", None)
    for name in _ENDS.get(code, ()):
        style.pop(name, None)
