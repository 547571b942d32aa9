"""What the data says, in figures and sentences."""

from __future__ import annotations

import pandas as pd

from demo.pipelines.reporting import words
from demo.pipelines.reporting.groups import Groups
from demo.pipelines.reporting.roles import Roles

MOST_FINDINGS = 5
LONGEST_LIST = 95


def key_figures(data: pd.DataFrame, groups: Groups) -> list[tuple[str, str]]:
    """Four figures with their labels."""
    filled = float(data.notna().to_numpy().mean())
    return [
        (words.number(len(data)), "rows"),
        (words.number(len(data.columns)), "columns"),
        (words.number(len(groups.table)), f"different values of {groups.label.lower()}"),
        (words.percent(filled), "of all cells are filled"),
    ]


def findings(data: pd.DataFrame, roles: Roles, groups: Groups) -> list[str]:
    """Up to five sentences, the most telling first."""
    told = [
        concentration(groups),
        spread(groups),
        span(roles),
        extent(data, roles),
        names(data, roles),
        *averages(data, roles),
        gaps(data),
    ]
    return [sentence for sentence in told if sentence][:MOST_FINDINGS]


def columns_told(data: pd.DataFrame) -> str:
    """The columns by name, as many as fit a line."""
    named = [words.title_of(column).lower() for column in data]
    shown = named[: max(1, sum(len(", ".join(named[: at + 1])) < LONGEST_LIST for at in range(len(named))))]
    more = f" and {len(named) - len(shown)} more" if len(shown) < len(named) else ""
    return f"What is known of each row: {', '.join(shown)}{more}."


def size_of_groups(groups: Groups) -> list[str]:
    """How the rows spread over the groups: a typical group, the smallest, and how many make half."""
    sizes = groups.table["rows"]
    smallest = words.counted(int(sizes.min()), "row")
    if sizes.min() == sizes.max():
        return [f"Each of the {len(sizes)} groups has {smallest}."]
    if len(sizes) <= 3:
        return [f"The smallest group has {smallest}."]
    return [
        f"{groups.half()} of {len(sizes)} groups hold half of all rows.",
        f"A group in the middle has {words.counted(int(sizes.median()), 'row')}, the smallest {smallest}.",
    ]


def concentration(groups: Groups) -> str:
    top, label = groups.table.iloc[0], groups.label.lower()
    size = words.counted(int(top["rows"]), "row")
    if groups.table["rows"].min() == top["rows"]:
        return f"Each of the {len(groups.table)} groups by {label} has {size}."
    return (
        f"Largest group by {label}: {words.shortened(groups.top_name, 40)} with {size}, {words.percent(top['share'])}."
    )


def spread(groups: Groups) -> str:
    half, count = groups.half(), len(groups.table)
    if count <= 3 or groups.table["rows"].min() == groups.table["rows"].max():
        return ""
    return f"The {half} largest of {count} groups by {groups.label.lower()} hold half of all rows."


def span(roles: Roles) -> str:
    if roles.times is None:
        return ""
    return f"The rows cover {words.day(roles.times.min())} to {words.day(roles.times.max())}."


def extent(data: pd.DataFrame, roles: Roles) -> str:
    if not roles.place:
        return ""
    latitudes = data[roles.place[1]].astype("float64")
    return f"The rows lie between {words.latitude(latitudes.min())} and {words.latitude(latitudes.max())}."


def names(data: pd.DataFrame, roles: Roles) -> str:
    if not roles.name:
        return ""
    counts = data[roles.name].value_counts()
    if counts.empty:
        return ""
    most = f"; the most frequent is {words.shortened(str(counts.index[0]).title(), 40)}, {counts.iloc[0]} times"
    return f"There are {words.counted(len(counts), 'different name')}{most if counts.iloc[0] > 1 else ''}."


def averages(data: pd.DataFrame, roles: Roles) -> list[str]:
    told = []
    for column in roles.measures[:2]:
        values = data[column].astype("float64")
        mean, low, high = words.numbers([values.mean(), values.min(), values.max()])
        told.append(f"{words.title_of(column)} averages {mean}, from {low} to {high}.")
    return told


def gaps(data: pd.DataFrame) -> str:
    missing = data.isna().sum().sort_values(ascending=False)
    if not missing.iloc[0]:
        return "No cell is empty."
    return f"{words.title_of(str(missing.index[0]))} is missing most often: in {words.counted(missing.iloc[0], 'row')}."
