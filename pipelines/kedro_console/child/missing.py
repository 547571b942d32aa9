"""Only what is missing: the rules by which Kedro 1.x leaves nodes out whose outputs are there, for every version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kedro_console.project import compat


def only_missing(runner: Any, whole: Any, report: Callable[[list[str]], None]) -> Any:
    """This runner, which leaves out what need not run and reports it.

    `whole` is the pipeline with all chosen nodes of the run: a step has a part of them, and whether a node has to run
    follows from its outputs and from the nodes below it, none of which can have run before it.
    """
    runner_class: Any = type(runner)

    class OnlyMissing(runner_class):
        def run(self, pipeline: Any, catalog: Any, *given: Any, **named: Any) -> Any:
            named.pop("only_missing_outputs", None)  # Kedro looks at the nodes of this step alone
            wanted = nodes_to_run(whole, catalog)
            left = [node for node in pipeline.nodes if node.name in wanted]
            skipped = [node.name for node in pipeline.nodes if node.name not in wanted]
            _say(self._logger, skipped, len(left))
            report(skipped)
            return super().run(compat.pipeline_of(left), catalog, *given, **named) if left else {}

    OnlyMissing.__name__ = OnlyMissing.__qualname__ = runner_class.__name__
    OnlyMissing.__module__ = runner_class.__module__
    runner.__class__ = OnlyMissing
    return runner


def _say(logger: Any, skipped: list[str], left: int) -> None:
    """What Kedro 1.x writes, in its words."""
    count = len(skipped) + left
    if not left:
        logger.info(f"Skipping all {count} nodes (all persistent outputs exist)")
        return
    if skipped:
        logger.info(f"Skipping {len(skipped)} nodes with existing outputs: {', '.join(sorted(skipped))}")
    logger.info(f"Running {left} out of {count} nodes")


def nodes_to_run(pipeline: Any, catalog: Any) -> set[str]:
    """The names of the nodes that have no outputs, miss one that is kept, or make what such a node below them needs."""
    readers = _readers(pipeline.nodes)
    found: set[str] = set()
    for node in reversed(pipeline.nodes):
        needed = (name for name in node.outputs if readers.get(name, set()) & found)
        is_incomplete = not node.outputs or any(_is_lost(catalog, name) for name in node.outputs)
        if is_incomplete or any(_is_nowhere(catalog, name) for name in needed):
            found.add(node.name)
    return found


def _readers(nodes: list[Any]) -> dict[str, set[str]]:
    """Dataset → the names of the nodes that read it; a transcoded one counts, as in Kedro, in its own format alone."""
    readers: dict[str, set[str]] = {}
    for node in nodes:
        for name in node.inputs:
            readers.setdefault(name, set()).add(node.name)
    return readers


def _is_lost(catalog: Any, name: str) -> bool:
    """It is kept somewhere, and not there."""
    return _is_kept(catalog, name) and not catalog.exists(name)


def _is_nowhere(catalog: Any, name: str) -> bool:
    return not (_is_kept(catalog, name) and catalog.exists(name))


def _is_kept(catalog: Any, name: str) -> bool:
    return compat.is_registered(catalog, name) and not compat.is_passing(compat.dataset_of(catalog, name))
