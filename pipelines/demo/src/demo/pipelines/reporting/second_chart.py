"""Which second chart suits the data, and its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from demo.pipelines.reporting import words
from demo.pipelines.reporting.groups import Groups
from demo.pipelines.reporting.report import ChartKind
from demo.pipelines.reporting.roles import Roles

MOST_POINTS = 4_000
MOST_PERIODS = 150
MOST_SERIES = 6
MOST_COLUMNS = 12
FRAME = (0.004, 0.996)  # quantiles that a large map shows: a handful of far islands would squeeze all else
LARGE_MAP = 500


@dataclass(frozen=True)
class SecondChart:
    """`series` are lists of values along `categories`, or of (x, y) points when `kind` is scatter."""

    kind: ChartKind
    title: str
    lead: str
    figure: str
    says: str
    series: dict[str, list[Any]]
    categories: list[str] = field(default_factory=list)
    x_label: str = ""
    y_label: str = ""
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None


Draw = Callable[[pd.DataFrame, Roles, Groups], SecondChart]


def choose_chart(data: pd.DataFrame, roles: Roles, groups: Groups, asked: ChartKind) -> SecondChart:
    """The asked kind, or the one that fits best; ValueError says what the data would need for the asked one."""
    draw = fitting(roles) if asked is ChartKind.AUTO else asked_for(asked, roles)
    return draw(data, roles, groups)


def fitting(roles: Roles) -> Draw:
    if roles.place:
        return map_chart
    if roles.time and roles.measures:
        return line_chart
    return scatter_chart if len(roles.measures) >= 2 else column_chart


def asked_for(kind: ChartKind, roles: Roles) -> Draw:
    if kind is ChartKind.LINE and not roles.time:
        raise ValueError("params:report.chart is line, but the data has no column of dates: choose auto or column.")
    if kind is ChartKind.SCATTER and not roles.place and len(roles.measures) < 2:
        raise ValueError("params:report.chart is scatter, but the data has no two columns of numbers: choose auto.")
    scatter = map_chart if roles.place else scatter_chart
    return {ChartKind.LINE: line_chart, ChartKind.COLUMN: column_chart, ChartKind.SCATTER: scatter}[kind]


def map_chart(data: pd.DataFrame, roles: Roles, groups: Groups) -> SecondChart:
    """Longitude against latitude; the few points far outside the frame are counted, not drawn."""
    longitude, latitude = roles.place or ("", "")
    points = data[[longitude, latitude]].dropna().astype("float64")
    low, high = points.quantile(FRAME if len(points) > LARGE_MAP else (0, 1)).to_numpy()
    inside = points[((points >= low) & (points <= high)).all(axis=1)]
    drawn, outside = thinned(inside), len(points) - len(inside)
    north, south = (words.latitude(points[latitude].quantile(at)) for at in (0.75, 0.25))
    dots = "each dot is one" if len(drawn) == len(inside) else f"{len(drawn):,} of them are drawn"
    far = f"\n{words.counted(outside, 'row')} far from the others lie outside the frame." if outside else ""
    return SecondChart(
        ChartKind.SCATTER,
        "Where the rows lie",
        f"By longitude and latitude; half of them lie between {south} and {north}.",
        words.number(len(points)),
        f"rows have coordinates; {dots}.{far}",
        {"Rows": list(drawn.itertuples(index=False, name=None))},
        x_label=words.title_of(longitude),
        y_label=words.title_of(latitude),
        x_range=padded(drawn[longitude]),
        y_range=padded(drawn[latitude]),
    )


def thinned(points: pd.DataFrame) -> pd.DataFrame:
    """Evenly spaced rows, the same ones each time."""
    return points.iloc[:: -(-len(points) // MOST_POINTS) or 1]


def padded(values: pd.Series) -> tuple[float, float]:
    """Axis bounds on round numbers around the values."""
    low, high = float(values.min()), float(values.max())
    step = 10.0 if high - low > 20 else 1.0 if high - low > 2 else 0.1
    return round(step * math.floor(low / step), 6), round(step * math.ceil(high / step), 6)


def line_chart(data: pd.DataFrame, roles: Roles, groups: Groups) -> SecondChart:
    """The first measure's average (or the number of rows) a period; a line a group where most run through."""
    if roles.times is None:
        raise ValueError("A line chart needs a column of dates.")
    label, keys = periods(roles.times)
    measure = roles.measures[0] if roles.measures else None
    what = words.title_of(measure) if measure else "Rows"
    values = data[measure].astype("float64") if measure else pd.Series(1.0, index=data.index)
    total = values.groupby(keys).mean() if measure else values.groupby(keys).sum()
    lines = lines_by_group(values, keys, groups) if measure else None
    lines = total.to_frame(what) if lines is None else lines
    first, last, highest, lowest = words.numbers([total.iloc[0], total.iloc[-1], total.max(), total.min()])
    per = "average" if measure else "number of rows"
    return SecondChart(
        ChartKind.LINE,
        f"{what} over time",
        f"From {first} ({told(keys.min())}) to {last} ({told(keys.max())}), {per} per {label}.",
        change(total.iloc[0], total.iloc[-1]),
        f"from the first to the last {label}.\nHighest: {highest} in {told(total.idxmax())}.\n"
        f"Lowest: {lowest} in {told(total.idxmin())}.",
        {str(name): optional(line) for name, line in lines.items()},
        categories=[told(each) for each in lines.index],
        x_label=label.capitalize(),
        y_label=what,
    )


def lines_by_group(values: pd.Series, keys: pd.Series, groups: Groups) -> pd.DataFrame | None:
    """A line a group, when they are few and each has a value in most periods."""
    lines = values.groupby([keys, groups.keys]).mean().unstack()
    return lines if 2 <= lines.shape[1] <= MOST_SERIES and lines.notna().mean().min() > 0.5 else None


def periods(times: pd.Series) -> tuple[str, pd.Series]:
    """Days, months or years: the finest that the data has and that gives few enough points."""
    finest = 2 if (times.dropna().dt.day_of_year == 1).all() else 1 if (times.dropna().dt.day == 1).all() else 0
    for label, code in (("day", "D"), ("month", "M"), ("year", "Y"))[finest:]:
        keys = times.dt.to_period(code)
        if keys.nunique() <= MOST_PERIODS or code == "Y":
            return label, keys
    raise AssertionError("years are always few enough")


def told(period: pd.Period) -> str:
    """`2010`, `Mar 2010` or `1 Mar 2010`."""
    return str(period.strftime({"Y": "%Y", "M": "%b %Y"}.get(period.freqstr[0], "%d %b %Y"))).lstrip("0")


def change(first: float, last: float) -> str:
    """`+75 %`; the plain difference where the first value is nothing."""
    return f"{(last - first) / abs(first):+,.0%}".replace("%", " %").replace("-", "−") if first else words.number(last)


def optional(values: pd.Series) -> list[float | None]:
    return [None if pd.isna(value) else float(value) for value in values]


def scatter_chart(data: pd.DataFrame, roles: Roles, groups: Groups) -> SecondChart:
    """The two measures that move together most, coloured by group where there are few."""
    numbers = data[roles.measures].astype("float64")
    table = numbers.corr().fillna(0.0)
    pairs = [(x, y) for at, x in enumerate(roles.measures) for y in roles.measures[at + 1 :]]
    x, y = max(pairs, key=lambda pair: abs(table.loc[pair[0], pair[1]]))
    points = thinned(numbers[[x, y]].dropna())
    few = len(groups.table) <= MOST_SERIES
    keys = groups.keys.loc[points.index] if few else pd.Series("Rows", index=points.index)
    direction = "rises" if table.loc[x, y] > 0 else "falls"
    names = words.title_of(x), words.title_of(y)
    return SecondChart(
        ChartKind.SCATTER,
        f"{names[1]} against {names[0].lower()}",
        f"{names[1]} {direction} as {names[0].lower()} grows: of all pairs of numbers these two move together most.",
        f"{table.loc[x, y]:.2f}".replace("-", "−"),
        f"is their correlation (1 or −1 would be a straight line).\n{words.counted(len(points), 'row')} are drawn.",
        {str(key): list(part.itertuples(index=False, name=None)) for key, part in points.groupby(keys)},
        x_label=names[0], y_label=names[1],
    )  # fmt: skip


def column_chart(data: pd.DataFrame, roles: Roles, groups: Groups) -> SecondChart:
    """The first measure's average in each of the largest groups; without any measure their share of the rows."""
    measure = groups.measures[0] if groups.measures else None
    shown = groups.table.head(MOST_COLUMNS)
    values = shown[measure].dropna() if measure else shown["share"] * 100
    what = f"Average {words.title_of(measure).lower()}" if measure else "Share of the rows in %"
    top, unit = words.shortened(str(values.idxmax()), 28), "" if measure else " %"
    highest, lowest = (each + unit for each in words.numbers([values.max(), values.min()]))
    return SecondChart(
        ChartKind.COLUMN,
        f"{what} by {groups.label.lower()}",
        f"{top} is highest with {highest}.",
        highest,
        f"is the highest of the {len(values)} groups shown.\n"
        f"Lowest: {words.shortened(str(values.idxmin()), 28)} with {lowest}.",
        {what: optional(values)},
        categories=[words.shortened(str(each), 18) for each in values.index], x_label=groups.label, y_label=what,
    )  # fmt: skip
