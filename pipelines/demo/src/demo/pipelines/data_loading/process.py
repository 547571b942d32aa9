"""Process the rows in pandas."""

from __future__ import annotations

import logging

import pandas as pd

logger = logging.getLogger(__name__)


def process_rows(raw_data: pd.DataFrame) -> pd.DataFrame:
    """The same rows in the same order with the column `name` (however it is written) in upper case."""
    processed = raw_data.copy()
    names = [column for column in processed.columns if str(column).lower() == "name"]
    if not names:
        logger.warning("There is no column called name, nothing to put in upper case: %s.", ", ".join(raw_data.columns))
    for column in names:
        processed[column] = processed[column].str.upper()
        logger.info("Put %d names of column %s in upper case.", processed[column].notna().sum(), column)
    return processed


def count_rows(raw_data: pd.DataFrame, processed_data: pd.DataFrame) -> dict[str, int]:
    """How much came in and went on: `raw_rows`, `processed_rows`, `columns`."""
    return {"raw_rows": len(raw_data), "processed_rows": len(processed_data), "columns": len(processed_data.columns)}
