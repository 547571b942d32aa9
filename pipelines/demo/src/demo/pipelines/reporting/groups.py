"""The rows counted by one column: what the table, the bar chart and half of the sentences are made of."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

import pandas as pd

from demo.pipelines.reporting import words
from demo.pipelines.reporting.roles import MOST_GROUPS, Roles

NOT_GIVEN = "(not given)"
MEASURES_SHOWN = 2


@dataclass(frozen=True)
class Groups:
    """`keys` names each row's group; `table` has a line a group, the largest first: rows, share, cumulative, means."""

    label: str
    keys: pd.Series
    table: pd.DataFrame
    measures: list[str]

    @property
    def top_name(self) -> str:
        return str(self.table.index[0])

    @property
    def bar_measure(self) -> str | None:
        """What the bars show instead of rows, when all groups have equally many and rows would say nothing."""
        sizes = self.table["rows"]
        return self.measures[0] if self.measures and len(sizes) > 1 and sizes.min() == sizes.max() else None

    def half(self) -> int:
        """How many of the largest groups hold half of the rows."""
        return int((self.table["cumulative"] < 0.5).sum()) + 1


def group_rows(data: pd.DataFrame, roles: Roles, asked: str) -> Groups:
    """Count the rows by the asked column, or by the one that tells most; ValueError names the columns there are."""
    label, keys = keys_of(data, roles, asked)
    keys = keys.astype("string").fillna(NOT_GIVEN)
    measures = [column for column in roles.measures if column != label][:MEASURES_SHOWN]
    counts = keys.value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable")
    table = pd.DataFrame({"rows": counts, "share": counts / len(data)})
    table["cumulative"] = counts.cumsum() / len(data)
    means = data[measures].groupby(keys).mean().reindex(table.index).astype("Float64")
    return Groups(words.title_of(label), keys, table.join(means), measures)


def keys_of(data: pd.DataFrame, roles: Roles, asked: str) -> tuple[str, pd.Series]:
    if asked:
        column = column_called(data, asked)
        return column, data[column]
    if roles.categories:
        return roles.categories[0], data[roles.categories[0]]
    return period_of(data, roles) or numbers_of(data, roles) or letters_of(data)


def column_called(data: pd.DataFrame, asked: str) -> str:
    by_name: dict[str, str] = {column.lower(): column for column in data}
    if asked.lower() in by_name:
        return by_name[asked.lower()]
    near = get_close_matches(asked.lower(), by_name, n=3) or list(by_name)[:12]
    there = ", ".join(by_name[each] for each in near)
    raise ValueError(f"params:report.group_by is {asked!r}, but there is no such column. Nearest: {there}.")


def period_of(data: pd.DataFrame, roles: Roles) -> tuple[str, pd.Series] | None:
    """The coarsest telling period of the time column: years, else months, else decades."""
    if roles.times is None:
        return None
    years = roles.times.dt.year.astype("Int64").astype("string")
    options = {"year": years, "month": roles.times.dt.strftime("%Y-%m"), "decade": years.str[:-1] + "0s"}
    for label, keys in options.items():
        if 3 <= keys.nunique() <= min(MOST_GROUPS, len(data) / 1.5):
            return label, keys
    return None


def numbers_of(data: pd.DataFrame, roles: Roles) -> tuple[str, pd.Series] | None:
    """A measure of few values as it is, else the first one cut into ranges."""
    for column in roles.measures:
        if data[column].nunique() <= min(MOST_GROUPS, len(data) / 4):
            return column, data[column]
    if not roles.measures:
        return None
    column = roles.measures[0]
    ranges = pd.cut(data[column].astype("float64"), 8)
    return column, ranges.map(lambda each: f"{words.number(each.left)} to {words.number(each.right)}").astype("string")


def letters_of(data: pd.DataFrame) -> tuple[str, pd.Series]:
    return "first letter", data.iloc[:, 0].astype("string").str[:1].str.upper()
