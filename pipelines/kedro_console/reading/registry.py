"""The project's pipelines as Kedro registers them, and their nodes with the functions' text."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kedro_console import wire
from kedro_console.reading import contents
from kedro_console.words.problems import Problems

MAX_SOURCE_BYTES = 20_000
ALL_PARAMETERS = "*"
_BROKEN = re.compile(r"An error occurred while importing the '([\w.]+)' module")
_IGNORED = re.compile(r"nothing defined therein will be returned|no pipelines defined therein", re.IGNORECASE)


def read(problems: Problems) -> dict[str, Any]:
    """The registered pipelines by name. What cannot be imported is a problem; what can is returned all the same."""
    from kedro.framework.project import pipelines

    found: dict[str, Any] = {}
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with problems.caught("import", "The pipelines cannot be imported"):
            found = {name: pipeline for name, pipeline in dict(pipelines).items() if pipeline is not None}
    for each in warned:
        _judge(str(each.message), problems)
    return found


def _judge(message: str, problems: Problems) -> None:
    """Kedro leaves a broken pipeline module out with a warning; importing it again shows the exception itself."""
    broken = _BROKEN.search(message)
    if broken:
        _import_again(broken.group(1), message, problems)
    elif _IGNORED.search(message):
        first = " ".join(message.split())
        problems.warning("import", f"{first} Give that module a create_pipeline() that returns a Pipeline.")


def _import_again(module: str, message: str, problems: Problems) -> None:
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001  (code of the project may raise anything)
        problems.raised("import", f"The pipeline module '{module}' cannot be imported", error)
    else:
        last = message.strip().splitlines()[-1]
        problems.error(
            "import", f"The pipeline module '{module}' could not be imported at first ({last}): check again."
        )


# ---- pictures of pipelines and nodes ---------------------------------------------------------------


def picture(name: str, pipeline: Any, project_path: Path, sources: contents.Sources) -> wire.SnapshotPipeline:
    """A pipeline with its nodes in topological order, the same at every reading."""
    return wire.SnapshotPipeline(
        name=name,
        nodes=[_node(node, project_path, sources) for node in pipeline.nodes],
        inputs=sorted(each for each in pipeline.inputs() if not is_parameter(each)),
        outputs=sorted(pipeline.outputs()),
        parameters=sorted({parameter_name(each) for each in pipeline.inputs() if is_parameter(each)}),
    )


def is_parameter(dataset: str) -> bool:
    return dataset == "parameters" or dataset.startswith("params:")


def parameter_name(dataset: str) -> str:
    """ "params:x" → "x"; "parameters" → "*"."""
    return ALL_PARAMETERS if dataset == "parameters" else dataset.split(":", 1)[1]


def datasets_of(pipelines: Iterable[Any]) -> list[str]:
    """The names of all datasets that these pipelines use, without parameters."""
    names = {name for pipeline in pipelines for node in pipeline.nodes for name in (*node.inputs, *node.outputs)}
    return sorted(name for name in names if not is_parameter(name))


def _node(node: Any, project_path: Path, sources: contents.Sources) -> wire.SnapshotNode:
    function = inner(node.func)
    files = sources.of(function)
    file, start, end, text = _source(function, project_path)
    return wire.SnapshotNode(
        name=node.name,
        function=_qualified_name(function),
        namespace=node.namespace or "",
        tags=sorted(node.tags),
        inputs=list(node.inputs),
        outputs=list(node.outputs),
        file=file,
        line_start=start,
        line_end=end,
        source=text,
        is_generator=inspect.isgeneratorfunction(node.func),
        files=files or [],
        bound=wire.UNKNOWN if files is None else contents.bound(node.func),
    )


def inner(function: Any) -> Any:
    """The function that a person wrote, below decorators and partials."""
    while True:
        below = function.func if isinstance(function, functools.partial) else inspect.unwrap(function)
        if below is function:
            return function
        function = below


def _qualified_name(function: Any) -> str:
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def _source(function: Any, project_path: Path) -> tuple[str, int, int, str]:
    """(file relative to the project, first line, last line, text); empty for what is not the project's own."""
    named = function if hasattr(function, "__code__") or hasattr(function, "__func__") else type(function)
    try:
        file = Path(inspect.getsourcefile(named) or "").resolve().relative_to(project_path.resolve())
        lines, start = inspect.getsourcelines(named)
    except (OSError, TypeError, ValueError):  # built-in, made at run time, or of a library
        return "", 0, 0, ""
    text = "".join(lines).encode("utf-8", "replace")[:MAX_SOURCE_BYTES].decode("utf-8", "ignore")
    return file.as_posix(), start, start + len(lines) - 1, text
