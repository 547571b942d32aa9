"""Which datasets are in a database file that one process at a time may use."""

from __future__ import annotations

import re
from typing import Any

LOCKED = ("duckdb", "sqlite")
MEMORY = "memory"
SUFFIXES = {".duckdb": "duckdb", ".ddb": "duckdb", ".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite"}
_URL = re.compile(r"^(?P<kind>[a-z0-9]+)(?:\+\w+)?://(?P<host>[^/]*)(?:/(?P<path>[^?]*))?", re.IGNORECASE)


def database_of(entry: dict[str, Any], credentials: dict[str, Any] | None) -> str:
    """ "duckdb data/shop.duckdb", "sqlite memory"; "" for every other place. Nothing secret is in it."""
    connection = entry.get("connection")
    if isinstance(connection, dict):
        return _of_backend(connection)
    url = _url(entry, credentials or {}) or (connection if isinstance(connection, str) else "")
    return _of_url(url) or _of_path(str(entry.get("filepath") or entry.get("database") or ""))


def _of_backend(connection: dict[str, Any]) -> str:
    """As the table datasets of ibis name it; without a file it is in memory."""
    kind = str(connection.get("backend", "")).lower()
    return _named(kind, str(connection.get("database") or connection.get("path") or ""))


def _url(entry: dict[str, Any], credentials: dict[str, Any]) -> str:
    """As sqlalchemy takes it: `con`, in the entry or in the credentials that it names."""
    given = entry.get("credentials")
    found = credentials.get(given) if isinstance(given, str) else given
    found = found if isinstance(found, dict) else {"con": found}
    return str(found.get("con") or entry.get("con") or "")


def _of_url(url: str) -> str:
    found = _URL.match(url)
    return _named(found["kind"].lower(), found["path"] or "") if found else ""


def _of_path(path: str) -> str:
    kind = next((kind for suffix, kind in SUFFIXES.items() if path.lower().endswith(suffix)), "")
    return f"{kind} {path}" if kind else ""


def _named(kind: str, place: str) -> str:
    if kind not in LOCKED:
        return ""
    is_memory = not place or place.startswith((":memory:", "file::memory:"))
    return f"{kind} {MEMORY if is_memory else place}"
