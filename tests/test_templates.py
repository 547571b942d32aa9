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


def text_of(*patterns: str) -> str:
    paths = [path for pattern in patterns for path in HERE.glob(pattern) if "vendor" not in path.parts]
    assert paths
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(paths))


@pytest.fixture(scope="module")
def defined() -> set[str]:
    """The classes of ours that the style sheets speak of."""
    sheets = re.sub(r"/\*.*?\*/", "", text_of("console/static/console/*.css"), flags=re.DOTALL)
    return {name for selector in re.findall(r"([^{}]+)\{", sheets) for name in re.findall(r"\.(kc-[\w-]+)", selector)}


@pytest.fixture(scope="module")
def written() -> set[str]:
    """The classes that templates, scripts and views write; one that ends with a hyphen goes on with a value."""
    sources = text_of("templates/**/*.html", "console/**/*.py", "console/static/console/*.js")
    return set(re.findall(r"(?<![\w-])kc-[a-z0-9-]+", sources))


def test_every_class_that_is_written_has_a_style(defined: set[str], written: set[str]) -> None:
    begun = tuple(name for name in written if name.endswith("-"))
    assert not {name for name in written if name not in defined and name not in begun}
    assert not {name for name in begun if not any(one.startswith(name) for one in defined)}


def test_every_style_has_something_that_wears_it(defined: set[str], written: set[str]) -> None:
    words = set(re.findall(r"[a-z0-9]+", text_of("templates/**/*.html", "console/**/*.py", "jobs/**/*.py").lower()))
    ends = [(name, name[len(start) :]) for name in defined for start in written if name.startswith(start)]
    values = {name for name, end in ends if set(end.split("-")) <= words}
    assert not sorted(defined - written - values)
