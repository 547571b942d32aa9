"""Numbers and names as people read them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import pandas as pd

ABBREVIATIONS = {"us", "usa", "uk", "eu", "id", "iata", "gdp"}


def title_of(name: str) -> str:
    """`Miles_per_Gallon` → `Miles per gallon`, `sepalLength` → `Sepal length`, `us-employment` → `US employment`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    words = " ".join(as_written(word) for word in re.split(r"[\W_]+", spaced) if word)
    return words[:1].upper() + words[1:] if words else name


def as_written(word: str) -> str:
    """Small letters, but for abbreviations."""
    return word.upper() if word.lower() in ABBREVIATIONS or (len(word) > 1 and word.isupper()) else word.lower()


def number(value: float) -> str:
    """At most four telling digits: 3,376 · 23.5 · 0.024 · 1.2 million."""
    return numbers([value])[0]


def numbers(values: Iterable[float]) -> list[str]:
    """Numbers of one column with as many decimals as its largest one needs; – where there is none."""
    given = list(values)
    finite = [abs(value) for value in given if math.isfinite(value)]
    largest = max(finite, default=0.0)
    if largest >= 1_000_000:
        return [written(value / 1_000_000, ",.1f", " million") for value in given]
    if largest >= 1000 or all(value == int(value) for value in finite):
        return [written(value, ",.0f") for value in given]
    return [written(value, ".1f" if largest >= 10 else ".2f" if largest >= 0.1 else ".3g") for value in given]


def written(value: float, form: str, unit: str = "") -> str:
    return f"{value:{form}}{unit}".replace("-", "−") if math.isfinite(value) else "–"


def percent(share: float) -> str:
    """0.0619 → `6.2 %`; a share that is neither nothing nor all is never rounded to it."""
    rounded = round(share * 100, 1)
    if rounded in {0.0, 100.0} and 0 < share < 1:
        return "< 0.1 %" if rounded == 0.0 else "> 99.9 %"
    return f"{rounded:.1f} %" if rounded not in {0.0, 100.0} else f"{rounded:.0f} %"


def counted(count: int, noun: str) -> str:
    """`1 row`, `3,376 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def day(at: pd.Timestamp) -> str:
    """`21 November 2026`."""
    return f"{at.day} {at:%B %Y}"


def latitude(degrees: float) -> str:
    """`71.3° north`."""
    return f"{abs(degrees):.1f}° {'north' if degrees >= 0 else 'south'}"


def shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
