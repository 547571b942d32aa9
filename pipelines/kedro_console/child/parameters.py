"""Runtime parameters are data: they may not read secrets, and may not choose which class a dataset has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kedro_console.project import compat

ANOTHER_VALUE = "kedro_console.another_value"


class ParameterError(Exception):
    """A runtime parameter that is not accepted, as a sentence."""


def check(parameters: dict[str, Any], project_path: Path, env: str) -> None:
    """Raises ParameterError when these runtime parameters reach further than values may."""
    for name, value in _leaves(parameters):
        if "${" in name or (isinstance(value, str) and "${" in value):
            raise ParameterError(f'Parameter {name} holds "${{": write the value itself, interpolation is not allowed.')
    if parameters and _reads_parameters(project_path):
        _check_types(parameters, project_path, env)


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    parts: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if parts is None:
        yield name, value
        return
    for key, part in parts:
        yield from _leaves(part, f"{name}.{key}" if name else str(key))


def _reads_parameters(project_path: Path) -> bool:
    """Whether any catalog file takes runtime parameters at all; nearly none does."""
    from kedro.framework.project import settings

    is_omega = any(cls.__name__ == "OmegaConfigLoader" for cls in settings.CONFIG_LOADER_CLASS.__mro__)
    sign = "runtime_params" if is_omega else "${"
    conf = project_path / settings.CONF_SOURCE
    files = (path for path in conf.rglob("*") if "catalog" in str(path.relative_to(conf)) and path.is_file())
    return any(sign in path.read_text("utf-8", "replace") for path in files)


def _check_types(parameters: dict[str, Any], project_path: Path, env: str) -> None:
    """Reads the catalog with these parameters and with others: no `type` may differ between the two."""
    chosen = _types(compat.catalog_config(project_path, env, parameters))
    others = _types(compat.catalog_config(project_path, env, _others(parameters)))
    for where, name in chosen.items():
        if others.get(where) != name:
            raise ParameterError(
                f'Parameters may not choose the type of a dataset: {where} would become "{name}". '
                "Write the type into the catalog."
            )


def _types(config: Any, where: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    if isinstance(config, dict):
        for key, value in config.items():
            if key == "type":
                found[where] = str(value)
            found.update(_types(value, f"{where}.{key}" if where else str(key)))
    return found


def _others(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _others(part) for key, part in value.items()}
    return ANOTHER_VALUE if isinstance(value, str) else value
