"""How templates are written: short lines, and white space only where a reader may see it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent.parent
LONGEST = 120
TEMPLATES = sorted((HERE / "templates").rglob("*.html"))
SHIPPED = [*TEMPLATES, *(path for room in ("console", "jobs", "pipelines") for path in (HERE / room).rglob("*.html"))]
LOOSE = re.compile(r"\s*(\{% (if|elif|else|endif|for|empty|endfor|with|endwith)\b[^%]*%\}\s*)*[,.;:!?)]")
"""A mark at the beginning of a line: a space would stand before it, which the formatter puts between two tags."""


def lines(path: Path) -> list[tuple[str, str]]:
    text = path.read_text(encoding="utf-8")
    return [(f"{path.relative_to(HERE)}:{number}", line) for number, line in enumerate(text.splitlines(), 1)]


def test_no_line_is_longer_than_a_screen_is_wide() -> None:
    long = [place for path in SHIPPED for place, line in lines(path) if len(line) > LONGEST]
    assert TEMPLATES and not long


def test_no_space_comes_before_a_comma() -> None:
    assert not [place for path in TEMPLATES for place, line in lines(path) if LOOSE.match(line)]


@pytest.mark.parametrize(("line", "is_loose"), [("  {% if a %}, b", True), (". ", True), ("a{% if b %},", False)])
def test_what_a_loose_mark_is(line: str, is_loose: bool) -> None:
    assert bool(LOOSE.match(line)) is is_loose
