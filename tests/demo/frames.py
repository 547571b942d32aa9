"""Processed rows of the real data sets, without a server between."""

from __future__ import annotations

from functools import cache

import pandas as pd
from demo.pipelines.data_loading.process import process_rows
from demo_api import datasets


@cache
def _processed(name: str) -> pd.DataFrame:
    return process_rows(pd.DataFrame.from_records(datasets.rows(name)).convert_dtypes())


def processed(name: str) -> pd.DataFrame:
    return _processed(name).copy()
