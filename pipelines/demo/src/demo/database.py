"""Read the SQLite files of the project."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from demo.addresses import in_project

CASES = "data/03_primary/cases.db"


def asked(path: Path, query: str, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The rows of a query with its values bound; the file is only read."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=60)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query, values or {})]


def of_cases(query: str, *, needs: str) -> list[dict[str, Any]]:
    """The rows of a query of the cases' tables; none while the table that it needs is not made yet."""
    path = in_project(CASES)
    known = "SELECT name FROM sqlite_master WHERE type = 'table'"
    if not path.exists() or needs not in {row["name"] for row in asked(path, known)}:
        return []
    return asked(path, query)
