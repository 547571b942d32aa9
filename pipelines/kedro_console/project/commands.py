"""The project's own `kedro run`, read and not imported: it may start whatever it likes."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any


def own_run(package: str) -> str:
    """The file whose `run` stands for Kedro's; "" when there is none."""
    try:
        spec = importlib.util.find_spec(f"{package}.cli")
    except (ImportError, ValueError):
        spec = None
    if spec is not None and spec.origin:
        return spec.origin if _has_run(Path(spec.origin)) else ""
    return ""


def _has_run(source: Path) -> bool:
    try:
        tree = ast.parse(source.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    return any(isinstance(each, ast.FunctionDef) and _is_run(each) for each in ast.walk(tree))


def _is_run(function: ast.FunctionDef) -> bool:
    """Whether a decorator makes it the command `run`: by its own name, or by one given to the decorator."""
    for each in function.decorator_list:
        made_by = each.func if isinstance(each, ast.Call) else each
        if getattr(made_by, "attr", getattr(made_by, "id", "")) == "command" and _name(each, function.name) == "run":
            return True
    return False


def _name(decorator: ast.expr, default: str) -> Any:
    if not isinstance(decorator, ast.Call):
        return default
    named = [each.value for each in decorator.keywords if each.arg == "name"]
    given = [*decorator.args[:1], *named]
    return getattr(given[0], "value", default) if given else default
