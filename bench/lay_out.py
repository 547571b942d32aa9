"""The files of a small Kedro project for a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

MODULES = {"__init__": "", "settings": ""}
CONFIGURATION = {"catalog": "{}\n"}


def lay_out(folder: Path, package: str, *, modules: Mapping[str, str], configuration: Mapping[str, str]) -> Path:
    """Python files and those of conf/base by their names without suffix; the project's path."""
    source = folder / "src" / package
    for place in (source, folder / "conf" / "base", folder / "conf" / "local"):
        place.mkdir(parents=True)
    named = f'package_name = "{package}"\nproject_name = "{package}"\nkedro_init_version = "1.7.0"\n'
    (folder / "pyproject.toml").write_text(f"[tool.kedro]\n{named}")
    for name, text in {**MODULES, **modules}.items():
        (source / f"{name}.py").write_text(text)
    for name, text in {**CONFIGURATION, **configuration}.items():
        (folder / "conf" / "base" / f"{name}.yml").write_text(text)
    return folder
