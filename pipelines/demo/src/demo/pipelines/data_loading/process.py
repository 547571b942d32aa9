"""Process the rows in pandas."""

from __future__ import annotations

import logging

import pandas as pd
from pandas.api.types import is_string_dtype

logger = logging.getLogger(__name__)


def process_rows(raw_data: pd.DataFrame) -> pd.DataFrame:
    """The same rows in the same order with the column `name` (however it is written) in upper case."""
    processed = raw_data.copy()
    names = [each for each in processed.columns if each.lower() == "name" and is_string_dtype(processed[each])]
    if not names:
        logger.warning("No column of text is called name, nothing to put in upper case: %s.", ", ".join(raw_data))
    for column in names:
        processed[column] = processed[column].str.upper()
        logger.info("Put %d names of column %s in upper case.", processed[column].notna().sum(), column)
    return processed


def count_rows(raw_data: pd.DataFrame, processed_data: pd.DataFrame) -> dict[str, int]:
    """How much came in and went on: `raw_rows`, `processed_rows`, `columns`."""
    return {"raw_rows": len(raw_data), "processed_rows": len(processed_data), "columns": len(processed_data.columns)}
