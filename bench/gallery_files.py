"""Files as pipelines leave them, for pictures of what their pages show: tables, a deck, a document."""

from __future__ import annotations

import io
from datetime import date, timedelta
from random import Random
from typing import Any, Final

ROWS: Final = 25_000
AIRPORTS: Final = {
    "AMS": "Amsterdam", "BGO": "Bergen", "CDG": "Paris", "FRA": "Frankfurt", "LIS": "Lisbon", "MAD": "Madrid",
    "OSL": "Oslo", "RIX": "Riga", "VIE": "Vienna", "ZRH": "Zurich",
}  # fmt: skip
AIRLINES: Final = ("Aurora", "Blue Fjord", "Continental Sun", "Delta Nord", "Eiger Air")
INK, PAPER, ACCENT, PALE = (31, 41, 55), (255, 255, 255), (79, 70, 229), (224, 231, 255)


def files(*, is_older: bool) -> dict[str, bytes]:
    """Tables, a deck and a document; the older ones lack some rows, and say some things otherwise."""
    found = {**tables(is_older=is_older), "airports.pptx": deck(is_older=is_older)}
    return {**found, "airports.pdf": document()}


def tables(*, is_older: bool) -> dict[str, bytes]:
    """One as Parquet, one as CSV, one as a workbook of three sheets."""
    import pandas as pd

    flights, workbook = pd.DataFrame(_flights(ROWS)), io.BytesIO()
    if is_older:
        flights = flights[:-180]
        flights.loc[flights.index % 97 == 0, "passengers"] += 4
    by_airport = flights.groupby("airport").agg(
        flights=("flight", "count"), passengers=("passengers", "sum"), delay_minutes=("delay_minutes", "mean")
    )
    by_airline = flights.groupby("airline").agg(flights=("flight", "count"), revenue_eur=("revenue_eur", "sum"))
    with pd.ExcelWriter(workbook, engine="xlsxwriter") as writer:
        by_airport.round(1).reset_index().to_excel(writer, sheet_name="By airport", index=False)
        by_airline.round(2).reset_index().to_excel(writer, sheet_name="By airline", index=False)
        flights.head(4_000).to_excel(writer, sheet_name="Flights", index=False)
    return {
        "flights.parquet": flights.to_parquet(),
        "flights.csv": flights.head(8_000).to_csv(index=False).encode(),
        "airports.xlsx": workbook.getvalue(),
    }


def _flights(count: int) -> dict[str, list[Any]]:
    random, first = Random("flights"), date(2026, 9, 1)
    codes = random.choices(list(AIRPORTS), k=count)
    seats = [random.randint(60, 320) for _ in codes]
    return {
        "flight": [f"K{1000 + number % 9000}" for number in range(count)],
        "day": [first + timedelta(days=number * 85 // count) for number in range(count)],
        "airport": codes,
        "city": [AIRPORTS[code] for code in codes],
        "airline": random.choices(AIRLINES, k=count),
        "passengers": seats,
        "load_factor": [round(random.betavariate(8, 2), 3) for _ in codes],
        "delay_minutes": [None if random.random() < 0.04 else round(random.expovariate(1 / 11)) for _ in codes],
        "revenue_eur": [round(seat * random.uniform(38, 190), 2) for seat in seats],
        "is_cancelled": [random.random() < 0.015 for _ in codes],
    }


def deck(*, is_older: bool) -> bytes:
    """Six slides: a title, points, a table and a chart."""
    from pptx import Presentation
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    made, packed = Presentation(), io.BytesIO()
    first = made.slides.add_slide(made.slide_layouts[0])
    first.shapes.title.text, first.placeholders[1].text = "Airports report", "Week 48 · made by the pipeline reporting"
    for title, points in _POINTS.items():
        slide = made.slides.add_slide(made.slide_layouts[1])
        shown = points[:2] if is_older and title == "What to look at" else points
        slide.shapes.title.text, slide.placeholders[1].text = title, "\n".join(shown)
    listed = made.slides.add_slide(made.slide_layouts[5])
    listed.shapes.title.text = "The five busiest"
    cells = listed.shapes.add_table(6, 3, Inches(0.8), Inches(1.7), Inches(8.4), Inches(3)).table
    for place, row in enumerate(_BUSIEST):
        for column, words in enumerate(row):
            cells.cell(place, column).text = words
    drawn = made.slides.add_slide(made.slide_layouts[5])
    drawn.shapes.title.text = "Passengers by month"
    data = CategoryChartData()
    data.categories = ["July", "August", "September", "October", "November"]
    data.add_series("Thousands", (412, 431, 388, 352, 297))
    box = (Inches(0.8), Inches(1.7), Inches(8.4), Inches(4.5))
    drawn.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *box, data)
    made.save(packed)
    return packed.getvalue()


_POINTS: Final = {
    "What stands out": ["Lisbon grew for the ninth week", "Delays are back to eleven minutes", "Riga lost two lines"],
    "What to look at": ["Weekend loads in Oslo", "Cancelled flights of Blue Fjord", "Revenue per seat in Vienna"],
    "How it was made": ["25,000 flights of 85 days", "Empty delays are left out", "Figures of this morning"],
}
_BUSIEST: Final = (
    ("Airport", "Flights", "Passengers"), ("Lisbon", "2,604", "497,120"), ("Paris", "2,571", "486,334"),
    ("Madrid", "2,533", "482,900"), ("Oslo", "2,498", "471,077"), ("Vienna", "2,466", "468,215"),
)  # fmt: skip


def document() -> bytes:
    """A PDF of two pages."""
    from PIL import Image, ImageDraw, ImageFont

    pages, packed = [], io.BytesIO()
    for number, (title, points) in enumerate(list(_POINTS.items())[:2], 1):
        page = Image.new("RGB", (1240, 1754), PAPER)
        pen, font = ImageDraw.Draw(page), ImageFont.load_default
        pen.rectangle((0, 0, 1240, 220), fill=ACCENT)
        pen.text((100, 80), f"Airports report: {title.lower()}", PAPER, font(48))
        for place, words in enumerate(points):
            top = 320 + 150 * place
            pen.rectangle((100, top, 1140, top + 110), fill=PALE)
            pen.text((140, top + 32), words, INK, font(36))
        pen.text((100, 1640), f"Page {number} of 2", INK, font(28))
        pages.append(page)
    pages[0].save(packed, "PDF", save_all=True, append_images=pages[1:], resolution=150)
    return packed.getvalue()
