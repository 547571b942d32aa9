"""The page of attacks names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "attacks.md").read_text()))


def names_in(file: Path) -> set[str]:
    found = ast.walk(ast.parse(file.read_text()))
    return {each.name for each in found if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")}


def test_each_attack_of_the_page_is_tried() -> None:
    assert len(NAMED) > 60
    assert [f"{file}::{name}" for file, name in sorted(NAMED) if name not in names_in(ROOT / file)] == []
