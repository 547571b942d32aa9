"""Items that a person pasted: JSON lines, a JSON list, or CSV with its names in the first line."""

from __future__ import annotations

import csv
import io
import json
from typing import Any, Final

from jobs.errors import RequestError

Rows = list[tuple[str, Any]]
MOST: Final = 50_000


def items(text: str, key: str) -> Rows:
    """The items by the column `key` (else `key`, else the first); RequestError that names the line."""
    if not text.strip():
        raise RequestError("Nothing was pasted.")
    found = _json(text) if text.lstrip()[0] in '[{"' else _csv(text)
    if len(found) > MOST:
        raise RequestError(f"{len(found):,} items are too many for a form, which takes {MOST:,}: use the API.")
    return [(_key(row, key, place), _body(row)) for place, row in found]


def _json(text: str) -> list[tuple[int, Any]]:
    if text.lstrip().startswith("["):
        return list(enumerate(_load(text, 1), 1))
    return [(number, _load(line, number)) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _load(text: str, number: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        said = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deeply"
        raise RequestError(f"Line {number} is not JSON: {said}.") from error


def _csv(text: str) -> list[tuple[int, Any]]:
    first = text.lstrip().splitlines()[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(io.StringIO(text.strip()), delimiter=delimiter, strict=True)
    try:
        found = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise RequestError(f"Line {reader.line_num} is not CSV: {error}.") from error
    for number, row in found:
        if None in row or None in row.values():
            raise RequestError(f"Line {number} has another number of columns than the first line.")
    if not found:
        raise RequestError("There is only one line: the first one names the columns.")
    return found


def _key(row: Any, key: str, place: int) -> str:
    if not isinstance(row, dict):
        return str(row)
    name = key or ("key" if "key" in row else next(iter(row), ""))
    if row.get(name) in (None, ""):
        raise RequestError(f"Line {place} has no key: there is nothing in “{name[:80]}”.")
    return str(row[name])


def _body(row: Any) -> Any:
    """An item as the API takes it has its body; any other row is the body."""
    return row["body"] if isinstance(row, dict) and row.keys() == {"key", "body"} else row
