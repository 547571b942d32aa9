"""The command line that a project's code sees: that of the `kedro run` which would do the same."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kedro_console import wire

LISTS = ("nodes", "from_nodes", "to_nodes", "from_inputs", "to_outputs", "tags", "namespaces")


def pretend(env: str, request: wire.StepStarted | None = None) -> None:
    """Puts it into `sys.argv`; without a request as much of it as is known before there is a run."""
    kedro = str(Path(sys.executable).with_name("kedro"))
    sys.argv[:] = [kedro, "run", *_named("env", env), *(_of(request) if request else ())]


def _of(request: wire.StepStarted) -> Iterator[str]:
    yield from _named("pipeline", "" if request.pipeline == "__default__" else request.pipeline)
    for name in LISTS:
        yield from _named(name, ",".join(request.choices.get(name, ())))
    yield from _named("load_versions", ",".join(f"{name}:{version}" for name, version in request.load_versions.items()))
    yield from _named("params", ",".join(f"{name}={value}" for name, value in _leaves(request.parameters)))
    if request.only_missing_outputs:
        yield "--only-missing-outputs"


def _named(name: str, value: str) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}"] if value else []


def _leaves(values: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
