"""Call one function of a project (or of ours) in a child, instead of running a pipeline."""

from __future__ import annotations

import importlib
from typing import Any

from kedro_console import wire


class CallError(Exception):
    """There is no such function; the sentence says what to write."""


def call(function: str, arguments: dict[str, Any]) -> wire.Json:
    """What `package.module:name` returns for these keyword arguments, as plain JSON."""
    returned: object = find(function)(**arguments)
    return wire.json_safe(returned, depth=12, items=100_000)


def find(function: str) -> Any:
    """The function of this name; CallError when it cannot be found."""
    module_name, _, name = function.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, ValueError, AttributeError) as error:
        raise CallError(f"There is no function {function} in the project: write package.module:name.") from error
    if not callable(found):
        raise CallError(f"{function} is no function: write package.module:name.")
    return found
