"""Which hooks of a project and of its plugins count on one process for a whole run, found by reading their code.

Nothing is called. What is looked for: hooks that act on a whole pipeline, that put something into the catalog, or that
keep something in an object or a module while nodes run; all of it is another in a run whose steps have own processes.
"""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import logging
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from kedro_console import wire

MARK = "kedro_impl"
PIPELINE_HOOKS = ("before_pipeline_run", "after_pipeline_run", "on_pipeline_error")
NODE_HOOKS = (
    "before_node_run", "after_node_run", "on_node_error",
    "before_dataset_loaded", "after_dataset_loaded", "before_dataset_saved", "after_dataset_saved",
)  # fmt: skip
CATALOG_HOOK = "after_catalog_created"
HARMLESS = frozenset({"kedro-telemetry", "kedro-viz", "kedro-datasets", "kedro-docker", "kedro-airflow"})
"""Plugins that change nothing of what a run makes."""
CHANGERS = frozenset({
    "append", "extend", "add", "update", "insert", "setdefault", "pop", "popitem", "clear", "remove", "discard",
    "appendleft", "popleft", "subtract", "put", "put_nowait", "__setitem__", "__setattr__",
})  # fmt: skip
CATALOG_CHANGERS = frozenset({"save", "add", "add_all", "add_feed_dict", "confirm", "release", "__setitem__"})
HARMLESS_CALLS = frozenset({
    "debug", "info", "warning", "warn", "error", "exception", "critical", "log", "print", "getLogger",
    "len", "str", "repr", "int", "float", "bool", "list", "dict", "set", "tuple", "sorted", "isinstance", "getattr",
    "hasattr", "type", "format", "round", "min", "max", "sum", "enumerate", "zip", "range", "any", "all",
    "get", "items", "keys", "values", "join", "split", "strip", "lower", "upper", "startswith", "endswith",
    "time", "perf_counter", "monotonic", "now", "strftime", "isoformat",
})  # fmt: skip
"""What only looks, or speaks."""
DEEPEST = 5


def read() -> list[wire.SnapshotHook]:
    """The registered hooks, in the order in which Kedro registers them; the project is imported."""
    from kedro.framework.project import settings

    own = [(hooks, "") for hooks in settings.HOOKS]
    off = {_plain(name) for name in settings.DISABLE_HOOKS_FOR_PLUGINS}
    plugins = [(hooks, name) for hooks, name in _plugins() if _plain(name) not in off]
    return [_seen(hooks, plugin) for hooks, plugin in (*own, *plugins)]


def _plugins() -> Iterator[tuple[Any, str]]:
    known: set[str] = set()
    for distribution in importlib.metadata.distributions():
        for point in distribution.entry_points:
            if point.group == "kedro.hooks" and point.name not in known:
                known.add(point.name)
                try:
                    yield point.load(), str(distribution.metadata["Name"])
                except Exception:  # noqa: BLE001  (code of a plugin may raise anything; a run would say so)
                    logging.getLogger(__name__).debug("The hooks %s cannot be loaded.", point.name)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _seen(hooks: Any, plugin: str) -> wire.SnapshotHook:
    title = hooks.__name__ if inspect.ismodule(hooks) or inspect.isclass(hooks) else type(hooks).__qualname__
    known = implemented(hooks)
    reasons = [] if _plain(plugin) in HARMLESS else list(reasons_of(title, hooks, known))
    return wire.SnapshotHook(title, plugin, sorted(known), reasons)


def implemented(hooks: Any) -> dict[str, Any]:
    """Name of a hook → the function that implements it."""
    found = {}
    for name in dir(hooks if inspect.ismodule(hooks) or inspect.isclass(hooks) else type(hooks)):
        function = inspect.getattr_static(hooks, name, None)
        function = getattr(function, "__func__", function)
        options = getattr(function, MARK, None)
        if options is not None and callable(function):
            found[(options.get("specname") if isinstance(options, dict) else "") or name] = function
    return found


def reasons_of(title: str, hooks: Any, known: dict[str, Any]) -> Iterator[str]:
    """Why these hooks count on one process, as parts of a sentence."""
    for name, function in known.items():
        if _is_ours(function):
            continue
        look = _Look(hooks)
        look.at(function)
        if name in PIPELINE_HOOKS and look.does_anything:
            yield f"{title}.{name} acts on a whole pipeline"
        elif name == CATALOG_HOOK and (look.keeps or look.fills):
            yield f"{title}.{name} {'puts data into' if look.fills else 'keeps'} the catalog"
        elif name in NODE_HOOKS and look.fills:
            yield f"{title}.{name} puts data into the catalog"
        elif name in NODE_HOOKS and look.keeps:
            yield f"{title}.{name} keeps something from node to node"


class _Look(ast.NodeVisitor):
    """What a function does beside working on its own variables; functions of the same object are followed."""

    def __init__(self, hooks: Any) -> None:
        self._hooks = hooks
        self._followed: set[Any] = set()
        self._depth = 0
        self._locals: set[str] = set()
        self._own = "self"
        self.keeps = self.fills = self.does_anything = False

    def at(self, function: Any) -> None:
        function = inspect.unwrap(function)
        code = getattr(function, "__code__", None)
        if code in self._followed or self._depth > DEEPEST:
            return
        self._followed.add(code)
        tree = _tree(function)
        if tree is None:  # without its text it is not known
            self.keeps = self.does_anything = True
            return
        before = self._locals, self._own
        names = [each.arg for each in (*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs)]
        self._own = names[0] if names and not inspect.ismodule(self._hooks) else ""
        self._locals = {*names, *_assigned(tree)} - {self._own}
        self._depth += 1
        for statement in tree.body:
            self.visit(statement)
        self._depth -= 1
        self._locals, self._own = before

    # ---- what is written

    def _written(self, target: ast.expr) -> None:
        if isinstance(target, (ast.Tuple, ast.List)):
            for each in target.elts:
                self._written(each)
        elif isinstance(target, ast.Starred):
            self._written(target.value)
        elif isinstance(target, (ast.Attribute, ast.Subscript)):
            self.does_anything = True
            self._changed(target.value)
        elif isinstance(target, ast.Name) and target.id not in self._locals:
            self.keeps = self.does_anything = True  # it is declared global

    def _changed(self, place: ast.expr) -> None:
        """Something inside of this is written: of the object, of a module, or of the catalog."""
        name = _root(place)
        if _is_catalog(place):
            self.fills = True
        elif name == self._own or (name and name not in self._locals):
            self.keeps = True

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._written(target)
        self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._written(node.target)
        self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._written(node.target)
            self.visit(node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._written(target)

    # ---- what is called

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute):
            self._called(node.func)
        elif isinstance(node.func, ast.Name):
            self._called_by_name(node)
        else:
            self.does_anything = True

    def _called(self, called: ast.Attribute) -> None:
        method, path = called.attr, _path(called.value)
        if method in HARMLESS_CALLS:
            return
        self.does_anything = True
        if _is_catalog(called.value) and method in CATALOG_CHANGERS:
            self.fills = True
        elif method in CHANGERS:
            self._changed(called.value)
        elif path == [self._own]:
            self._follow(getattr(type(self._hooks), method, None))
        elif len(path) > 1 and path[0] == self._own:
            self._follow_kept(path, method)

    def _follow_kept(self, path: list[str], method: str) -> None:
        """A method of an object that the hooks hold: of the project's own classes, whether it keeps something."""
        held = self._hooks
        for name in path[1:]:
            held = getattr(held, name, None) if not isinstance(getattr(type(held), name, None), property) else None
        function = getattr(type(held), method, None)
        if held is not None and inspect.isfunction(function) and _is_own(function, type(self._hooks)):
            inner = _Look(held)
            inner._followed, inner._depth = self._followed, self._depth + 1
            inner.at(function)
            self.keeps, self.fills = self.keeps or inner.keeps, self.fills or inner.fills

    def _called_by_name(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in HARMLESS_CALLS:
            return
        self.does_anything = True
        if name in ("setattr", "delattr") and node.args:
            self._changed(node.args[0])

    def _follow(self, function: Any) -> None:
        if inspect.isfunction(function):
            self.at(function)

    # ---- what is neither

    def visit_With(self, node: ast.With) -> None:
        self.does_anything = True
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self.does_anything = True
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.generic_visit(node)  # what is defined inside may be called there


def _is_ours(function: Any) -> bool:
    """Of this package: such hooks act under plain `kedro run` alone."""
    return str(function.__module__).partition(".")[0] == __name__.partition(".")[0]


def _is_own(function: Any, other: Any) -> bool:
    """Of the same package as that class."""
    return str(function.__module__).partition(".")[0] == str(other.__module__).partition(".")[0]


def _tree(function: Any) -> ast.FunctionDef | None:
    try:
        parsed = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    found = parsed.body[0] if parsed.body else None
    return found if isinstance(found, ast.FunctionDef) else None


def _assigned(tree: ast.FunctionDef) -> set[str]:
    """The function's own variables."""
    shared = {name for each in ast.walk(tree) if isinstance(each, (ast.Global, ast.Nonlocal)) for name in each.names}
    own = {each.id for each in ast.walk(tree) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    caught = {each.name for each in ast.walk(tree) if isinstance(each, ast.ExceptHandler) and each.name}
    return (own | caught) - shared


def _path(place: ast.expr) -> list[str]:
    """`self.stats["x"].rows` → ["self", "stats", "rows"]; of a call or a number nothing before it is known."""
    names: list[str] = []
    while isinstance(place, (ast.Attribute, ast.Subscript)):
        if isinstance(place, ast.Attribute):
            names.append(place.attr)
        place = place.value
    if isinstance(place, ast.Name):
        names.append(place.id)
    return names[::-1]


def _is_catalog(place: ast.expr) -> bool:
    return any(name.lstrip("_") == "catalog" for name in _path(place))


def _root(place: ast.expr) -> str:
    while isinstance(place, (ast.Attribute, ast.Subscript)):
        place = place.value
    return place.id if isinstance(place, ast.Name) else ""
