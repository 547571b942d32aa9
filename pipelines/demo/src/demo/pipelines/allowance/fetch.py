"""Ask the internal API once, for as many rows as the allowance leaves to this run."""

from __future__ import annotations

import logging
from typing import Any

from pydantic import BaseModel, Field

from demo.database import of_cases
from kedro_console.http import Client

logger = logging.getLogger(__name__)

Row = dict[str, Any]


class AllowanceSettings(BaseModel):
    """What one run asks for."""

    rows: int = Field(100, ge=1, le=5_000, description="Rows of this run's one request.")
    share: int = Field(100, ge=1, le=5_000, description="Rows of a request when the whole day is left.")
    after: int | None = Field(None, ge=0, description="The last row that is there already; null = look into the table.")
    total: int = Field(2_500, ge=0, description="How many rows the API has.")
    quota: str = "internal"
    retries: int = Field(2, ge=0, le=20)
    timeout_seconds: float = Field(30.0, gt=0, le=600)


def fetch_rows(rows_api: str, allowance: AllowanceSettings) -> tuple[list[Row], dict[str, int]]:
    """The next rows, and what the handler after this run has to know."""
    after = last_row() if allowance.after is None else allowance.after
    asked = {"after": after, "rows": allowance.rows, "total": allowance.total}
    with Client(
        rows_api, quota=allowance.quota, retries=allowance.retries, timeout=allowance.timeout_seconds
    ) as api:  # fmt: skip
        answer = api.get_json("/internal/rows", params=asked, rows=allowance.rows)
    items: list[Row] = answer["items"]
    logger.info("Got %d rows after row %d, %d are left.", len(items), after, answer["left"])
    return items, {"asked": allowance.rows, "taken": len(items), "last": answer["last"], "left": answer["left"]}


def last_row() -> int:
    """The newest row of the table."""
    found = of_cases("SELECT max(number) AS number FROM daily_rows", needs="daily_rows")
    return int(found[0]["number"] or 0) if found else 0
