"""What each column of a table is for: name, time, place, measure or category."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype, is_string_dtype

TIME_NAME = re.compile(r"(^|_)(date|time|datetime|month|year|day)(_|$)")
YEARS = (1000, 2999)
MOST_GROUPS = 60


@dataclass(frozen=True)
class Roles:
    """Column names by role; `times` is the time column as timestamps, missing where it could not be read."""

    name: str | None
    time: str | None
    times: pd.Series | None
    place: tuple[str, str] | None  # longitude, latitude
    measures: list[str]
    categories: list[str]  # text columns fit to group by, the finest first


def roles_of(data: pd.DataFrame) -> Roles:
    """Look at names and values of the columns and give each its role."""
    name = next((column for column in data if column.lower() == "name"), None)
    time, times = time_of(data)
    place = place_of(data)
    used = {name, time, *(place or ())}
    measures = [column for column in data if column not in used and is_measure(data[column])]
    categories = [column for column in data if column not in used and is_category(data[column])]
    categories.sort(key=lambda column: -int(data[column].nunique()))
    return Roles(name, time, times, place, measures, categories)


def time_of(data: pd.DataFrame) -> tuple[str | None, pd.Series | None]:
    for column in data:
        if TIME_NAME.search(column.lower()):
            times = timestamps(data[column])
            if times.notna().sum() >= max(1, 0.95 * data[column].notna().sum()):
                return column, times
    return None, None


def timestamps(values: pd.Series) -> pd.Series:
    """Text dates, or whole numbers that are years, as timestamps; what is neither is missing."""
    if is_string_dtype(values):
        return pd.to_datetime(values, errors="coerce", format=None if values.nunique() < 2 else date_format(values))
    if is_numeric_dtype(values) and not is_bool_dtype(values) and values.dropna().between(*YEARS).all():
        return pd.to_datetime(values.astype("Int64").astype("string"), format="%Y", errors="coerce")
    return pd.Series(pd.NaT, index=values.index)


def date_format(values: pd.Series) -> str | None:
    """`mixed` where the first value's format does not fit the last one."""
    ends = values.dropna().iloc[[0, -1]]
    return None if pd.to_datetime(ends, errors="coerce").notna().all() else "mixed"


def place_of(data: pd.DataFrame) -> tuple[str, str] | None:
    by_name = {column.lower(): column for column in data if is_numeric_dtype(data[column])}
    for longitude, latitude in (("longitude", "latitude"), ("lon", "lat"), ("lng", "lat")):
        if longitude in by_name and latitude in by_name:
            return by_name[longitude], by_name[latitude]
    return None


def is_measure(values: pd.Series) -> bool:
    return bool(is_numeric_dtype(values) and not is_bool_dtype(values) and values.nunique() > 2)


def is_category(values: pd.Series) -> bool:
    """Text or yes/no that repeats itself, in few enough groups to be read."""
    kinds = values.nunique()
    fits = is_string_dtype(values) or is_bool_dtype(values)
    return bool(fits and 2 <= kinds <= MOST_GROUPS and kinds <= len(values) / 2)
