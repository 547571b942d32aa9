"""Join what the collectors brought, clean it, and count it."""

from __future__ import annotations

import json
import logging
from typing import Any

from demo.addresses import dataset_name
from demo.pipelines.subcollectors.collect import Collected, Row
from demo.pipelines.subcollectors.request import Request

logger = logging.getLogger(__name__)


class TooManyMissing(RuntimeError):
    """More collectors are missing than the run accepts."""


def collector_gathering(missing_tolerated: int, *lists: list[Collected]) -> tuple[list[Row], list[str]]:
    """All rows, each with its `source`, and the sources that are missing; TooManyMissing beyond the tolerance."""
    collected = sorted((each for found in lists for each in found), key=lambda each: each.source)
    missing = [each for each in collected if each.missing]
    if len(missing) > missing_tolerated:
        raise TooManyMissing(refusal(missing, len(collected), missing_tolerated))
    rows = [{**row, "source": dataset_name(each.source)} for each in collected for row in each.rows]
    logger.info("Joined %d rows of %d collectors, %d missing.", len(rows), len(collected), len(missing))
    return rows, [each.source for each in missing]


def refusal(missing: list[Collected], count: int, tolerated: int) -> str:
    """One sentence that names the missing ones and why the first of them is missing."""
    names = ", ".join(each.source for each in missing)
    first = missing[0].missing
    accepted = "none may be" if tolerated == 0 else f"{tolerated} may be"
    return f"{len(missing)} of {count} collectors are missing and {accepted}: {names}. The first says: {first}"


def cleanup(rows: list[Row]) -> list[Row]:
    """The same rows in the same order without empty values, empty rows and rows that are there already."""
    known: set[str] = set()
    kept = []
    for row in rows:
        full = {name: value for name, value in row.items() if value not in (None, "")}
        mark = json.dumps(full, sort_keys=True, ensure_ascii=False)
        if len(full) > 1 and mark not in known:  # its source alone is nothing
            known.add(mark)
            kept.append(full)
    return kept


def process(request: Request, items: list[Row]) -> dict[str, Any]:
    """The answer to the request: its id and how many items were found."""
    return {"request_id": request["request_id"], "item_count": len(items)}
