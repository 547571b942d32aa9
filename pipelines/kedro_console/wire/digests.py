"""Files, as both sides name and compare them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final
from urllib.parse import quote

MAX_STORE_NAME: Final = 120


def bare(dataset: str) -> str:
    """A dataset's name without Kedro's transcoding suffix (`cars@pandas` and `cars@spark` are one dataset)."""
    return dataset.partition("@")[0]


def store_file(dataset: str) -> str:
    """The name of this dataset's file in a run's store: safe, readable and different for every dataset."""
    name = bare(dataset)
    quoted = quote(name, safe="")
    if len(quoted) > MAX_STORE_NAME:
        quoted = f"{quoted[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return f"{quoted}.data"


UNKNOWN: Final = "?"
"""Instead of a digest: nobody can say whether it is the same as before."""
WATCHED: Final = (".py", ".yml", ".yaml", ".json", ".toml", ".cfg", ".ini", ".sql", ".txt")
TEMPLATES: Final = (".j2", ".jinja", ".jinja2", ".tmpl", ".tpl", ".mako", ".mustache", ".html")
NEVER_SOURCES: Final = frozenset({"__pycache__", "node_modules", "site-packages"})
AT_THE_TOP_NO_SOURCES: Final = frozenset({"data", "logs", "venv", "build", "dist"}) | NEVER_SOURCES
"""Directly in a project's folder; below its sources a package may well be called so."""
BLOCK: Final = 1024 * 1024


def sha256_of(path: Path) -> str:
    """The digest of that file's content; "" when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()


def watched_files(project_path: Path, folders: list[str]) -> list[str]:
    """The files of sources and configuration below these folders of the project, relative to it; no credentials."""
    found: list[str] = []
    for folder in folders:
        top = str(project_path / folder)
        for place, below, names in os.walk(top):
            is_top = place == top == str(project_path)
            left_out = AT_THE_TOP_NO_SOURCES if is_top else NEVER_SOURCES
            below[:] = [name for name in below if not name.startswith(".") and name not in left_out]
            kept = (name for name in names if name.endswith(WATCHED) and "credentials" not in name)
            found += [(Path(place) / name).relative_to(project_path).as_posix() for name in kept]
    return sorted(set(found))
