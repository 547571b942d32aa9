"""The worst words stay out of docs, messages, docstrings and comments; each has a better one."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = [file for side in ("console", "jobs", "pipelines/kedro_console") for file in sorted((ROOT / side).rglob("*.py"))]
PROSE = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "templates").rglob("*.html")),
]
BETTER = {
    r"leave (it|them|that) away": "leave it out",
    r"how (many|much) it (were|was)": "how many there were",
    r"for ever": "forever",
    r"beside each other": "side by side, in parallel",
    r"nobody can tell": "it is not known",
    r"(lies|lie) (in|on|at|there|outside|elsewhere)": "is in, are in",
    r"is told to|are told to": "is asked to, must",
    r"heed(s|ed)? again": "stop ignoring",
    r"shall": "should, must, will",
    r"(hereby|thereby|whereof|whilst|amongst)": "a word of today",
    r"(he|she) (is|was|has|had|gets|asks|says|waits|ends|stops)": "it, they, or the noun",
    r"is no (file|number|version|zip|text|name)": "is not a …",
    r"informations|advices|softwares": "no plural",
    r"the both|since (\d+|some|many) (days|hours|years|minutes)": "both; for …",
    r"allows to|permits to|enables to": "lets you …, allows …ing",
    r"is going over|makes? sure, that|it gives (a|an|no)\b": "there is",
    r"so called|how it looks like": "so-called; what it looks like",
    r"not( \w+)? any ?more times|ever again and again": "no longer; again and again",
}
STRINGS = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
WORST = re.compile("|".join(rf"\b(?:{pattern})\b" for pattern in BETTER), re.IGNORECASE)


def prose(file: Path) -> Iterator[tuple[int, str]]:
    """Each line that people read, with its number: of Python its strings and comments, of others all but code."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".py":
        for number, line in enumerate(text.splitlines(), 1):
            yield number, re.sub(r"`[^`]*`", "", line)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in STRINGS:
            for number, line in enumerate(token.string.splitlines(), token.start[0]):
                yield number, re.sub(r"`[^`]*`", "", line)


def better(words: str) -> str:
    return next(said for pattern, said in BETTER.items() if re.fullmatch(pattern, words, re.IGNORECASE))


def worst(file: Path) -> list[str]:
    found = [(number, match[0]) for number, line in prose(file) for match in WORST.finditer(line)]
    return [f"{file.relative_to(ROOT)}:{number}: “{words}”, better: {better(words)}" for number, words in found]


@pytest.mark.parametrize("files", [CODE, PROSE], ids=["code", "prose"])
def test_the_worst_words_stay_out(files: list[Path]) -> None:
    assert not [said for file in files if "migrations" not in file.parts for said in worst(file)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("or leave it away", "leave it out"),
        ("How many it were", "how many there were"),
        ("he waits", "it, they, or the noun"),
    ],
)
def test_a_worst_word_is_noticed(words: str, said: str) -> None:
    found = WORST.search(words)
    assert found and better(found[0]) == said
