"""What a project takes from the moment at which it is imported: the time, an id of its own, a number that is drawn.

A process that was loaded before would give each run the same one. Its sources are read, nothing is called.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from kedro_console.project import record

MOMENTS = frozenset({
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today",
    "time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.strftime", "time.ctime",
    "pandas.Timestamp.now", "pandas.Timestamp.today", "pandas.Timestamp.utcnow", "pendulum.now", "pendulum.today",
    "arrow.now", "arrow.utcnow", "uuid.uuid1", "uuid.uuid4", "os.urandom", "os.getpid",
    "secrets.token_hex", "secrets.token_bytes", "secrets.token_urlsafe", "secrets.choice", "secrets.randbelow",
})  # fmt: skip
DRAWS = frozenset({
    *(f"random.{name}" for name in ("random", "randint", "randrange", "choice", "sample", "uniform", "getrandbits")),
    *(f"numpy.random.{name}" for name in ("rand", "randn", "randint", "random", "choice", "normal", "uniform")),
})  # fmt: skip
HINT = re.compile(r"\b(datetime|time|pandas|pendulum|arrow|uuid|os|secrets|random)\b")
CALLED_BY_KEDRO = ("register_pipelines", "create_pipeline")


def found(project_path: Path) -> str:
    """Where and what, as the rest of a sentence: "takes uuid.uuid4 (src/demo/nodes.py, line 3)"; "" for nothing."""
    for path in sorted(path for path in set(record.loaded_files()) if record.is_own(path) and path.endswith(".py")):
        for line, name in _in_file(Path(path)):
            place = path[len(f"{project_path}/") :] if path.startswith(f"{project_path}/") else path
            return f"its import takes {name} ({place}, line {line})"
    return ""


def _in_file(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text("utf-8")
        tree = ast.parse(text) if HINT.search(text) else None
    except (OSError, ValueError, SyntaxError):
        return
    if tree is not None:
        yield from _Import(tree, wanted=MOMENTS if "seed(" in text else MOMENTS | DRAWS).calls()


class _Import(ast.NodeVisitor):
    """Goes through what runs when a module is imported, and when Kedro asks it for its pipelines."""

    def __init__(self, tree: ast.Module, *, wanted: frozenset[str]) -> None:
        self._tree, self._wanted = tree, wanted
        self._names: dict[str, str] = {}
        self._functions = {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}
        self._found: list[tuple[int, str]] = []

    def calls(self) -> list[tuple[int, str]]:
        for each in ast.walk(self._tree):
            if isinstance(each, ast.Import):
                self._names.update({(name.asname or name.name): name.name for name in each.names})
            elif isinstance(each, ast.ImportFrom) and not each.level:
                self._names.update({(name.asname or name.name): f"{each.module}.{name.name}" for name in each.names})
        self.visit(self._tree)
        for name in CALLED_BY_KEDRO:
            self._enter(name)
        return self._found

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for each in (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(each)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """What it does, it does later."""

    def visit_If(self, node: ast.If) -> None:
        if "__main__" not in ast.dump(node.test):
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = self._name(node.func)
        if name in self._wanted:
            self._found.append((node.lineno, name))
        self.generic_visit(node)
        if isinstance(node.func, ast.Name):
            self._enter(node.func.id)

    def _enter(self, name: str) -> None:
        function = self._functions.pop(name, None)
        for each in function.body if function else ():
            self.visit(each)

    def _name(self, node: ast.expr) -> str:
        if isinstance(node, ast.Attribute):
            return f"{self._name(node.value)}.{node.attr}"
        return self._names.get(node.id, "") if isinstance(node, ast.Name) else ""
