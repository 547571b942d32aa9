from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from demo.pipelines.reporting import words
from demo.pipelines.reporting.deck import make_deck
from demo.pipelines.reporting.report import ReportSettings
from demo_api import datasets
from pptx import Presentation
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches
from pydantic import TypeAdapter, ValidationError

from tests.demo.conftest import PROJECT
from tests.demo.frames import processed

FOOT_LINE = Inches(6.88)
TEMPLATE = "assets/report_template.pptx"


def made(name: str, folder: Path, **choices: Any) -> Any:
    url = f"http://127.0.0.1:8010/datasets/{name}"
    return Presentation(make_deck(processed(name), url, str(folder), TEMPLATE, ReportSettings(**choices)))


def charts(deck: Any) -> list[Any]:
    return [shape.chart for slide in deck.slides for shape in slide.shapes if shape.has_chart]


def tables(deck: Any) -> list[list[list[str]]]:
    found = [shape.table for slide in deck.slides for shape in slide.shapes if shape.has_table]
    return [[[cell.text for cell in row.cells] for row in table.rows] for table in found]


def texts(slide: Any) -> list[str]:
    return [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]


def test_the_deck_has_a_title_a_table_two_native_charts_and_the_source_in_its_notes(tmp_path: Path) -> None:
    deck = made("airports", tmp_path, date="2026-11-21")
    assert deck.slides[0].shapes.title.text_frame.text == "Report for Airports"
    assert "3,376 rows, 7 columns\n21 November 2026" in texts(deck.slides[0])
    assert [chart.chart_type for chart in charts(deck)] == [XL_CHART_TYPE.BAR_CLUSTERED, XL_CHART_TYPE.XY_SCATTER]
    assert len(tables(deck)) == 1
    for slide in deck.slides:
        assert "http://127.0.0.1:8010/datasets/airports" in slide.notes_slide.notes_text_frame.text


def test_the_table_and_the_bars_count_the_rows_rightly(tmp_path: Path) -> None:
    deck = made("airports", tmp_path)
    counts = pd.Series([row["state"] for row in datasets.rows("airports")]).value_counts()
    header, *rows = tables(deck)[0]
    assert header == ["#", "State", "Rows", "Share", "Cumulative"]
    assert len(rows) == 12
    assert rows[0] == ["1", "AK", "263", "7.8 %", "7.8 %"]
    assert {row[1]: int(row[2]) for row in rows}.items() <= counts.to_dict().items()
    bars = charts(deck)[0].plots[0]
    assert dict(zip(bars.categories, bars.series[0].values, strict=True)).items() <= counts.to_dict().items()


def test_every_point_of_the_map_is_a_row(tmp_path: Path) -> None:
    series = charts(made("airports", tmp_path))[1].plots[0].series[0]
    points = len(series._element.xpath("c:yVal//c:pt"))
    assert points + 46 == 3376


@pytest.mark.parametrize("name", sorted(datasets.sources()))
def test_any_data_set_gives_a_deck_in_which_nothing_leaves_its_slide(tmp_path: Path, name: str) -> None:
    deck = made(name, tmp_path, top_groups=30)
    assert len(charts(deck)) == 2
    assert 1 <= len(tables(deck)) <= 2
    for slide in deck.slides:
        for shape in slide.shapes:
            bottom = shape.top + (sum(row.height for row in shape.table.rows) if shape.has_table else shape.height)
            right = shape.left + (sum(each.width for each in shape.table.columns) if shape.has_table else shape.width)
            assert shape.left >= 0
            assert shape.top >= 0
            assert right <= deck.slide_width
            assert bottom <= (FOOT_LINE if shape.has_table or shape.has_chart else deck.slide_height)
            assert not (shape.is_placeholder and shape.has_text_frame and not shape.text_frame.text)


def test_thirty_groups_are_spread_over_two_tables_of_fifteen(tmp_path: Path) -> None:
    found = tables(made("airports", tmp_path, top_groups=30))
    assert [len(table) for table in found] == [16, 16]
    assert [row[0] for table in found for row in table[1:]] == [str(rank) for rank in range(1, 31)]


@pytest.mark.parametrize(
    ("name", "kind", "chart_type"),
    [
        ("cars", "auto", XL_CHART_TYPE.LINE),
        ("cars", "scatter", XL_CHART_TYPE.XY_SCATTER),
        ("cars", "column", XL_CHART_TYPE.COLUMN_CLUSTERED),
        ("iris", "auto", XL_CHART_TYPE.XY_SCATTER),
        ("airports", "column", XL_CHART_TYPE.COLUMN_CLUSTERED),
    ],
)
def test_the_second_chart_fits_the_data_or_is_the_asked_one(
    tmp_path: Path, name: str, kind: str, chart_type: XL_CHART_TYPE
) -> None:
    assert charts(made(name, tmp_path, chart=kind))[1].chart_type == chart_type


def test_a_line_a_group_is_drawn_where_the_groups_run_through(tmp_path: Path) -> None:
    lines = charts(made("stocks", tmp_path))[1].plots[0]
    assert {line.name for line in lines.series} == {"AAPL", "AMZN", "GOOG", "IBM", "MSFT"}
    assert list(lines.categories)[:2] == ["Jan 2000", "Feb 2000"]


def test_groups_of_one_size_are_shown_by_what_differs(tmp_path: Path) -> None:
    bars = charts(made("iris", tmp_path))[0].plots[0]
    assert bars.series[0].name == "Average sepal length"
    assert bars.series[0].values == pytest.approx((5.006, 5.936, 6.588))


def test_a_chart_that_the_data_cannot_give_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="chart is line, but the data has no column of dates"):
        made("airports", tmp_path, chart="line")
    with pytest.raises(ValueError, match=r"group_by is 'sate', but there is no such column. Nearest: state"):
        made("airports", tmp_path, group_by="sate")


def test_a_person_chooses_title_column_and_colour(tmp_path: Path) -> None:
    deck = made("airports", tmp_path, title="{dataset} & <friends>", group_by="COUNTRY", accent="#aa3355")
    assert deck.slides[0].shapes.title.text_frame.text == "Airports & <friends>"
    assert tables(deck)[0][1][1] == "USA"
    theme = next(part for part in deck.part.package.iter_parts() if "theme1" in part.partname)
    assert b'<a:accent1><a:srgbClr val="AA3355"/>' in theme.blob


def test_a_template_that_does_not_serve_is_told_in_a_sentence(tmp_path: Path) -> None:
    frame, url = processed("cars"), "http://x/cars"
    Presentation().save(str(tmp_path / "other.pptx"))
    (tmp_path / "text.pptx").write_text("no deck")
    for template, sentence in (
        ("missing.pptx", "is not there"),
        (str(tmp_path / "text.pptx"), "is not a PowerPoint file"),
        (str(tmp_path / "other.pptx"), "has no layout called Report title or Key figures or Table or Chart"),
    ):
        with pytest.raises(ValueError, match=sentence):
            make_deck(frame, url, str(tmp_path), template, ReportSettings())


def test_the_template_is_what_its_script_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "assets"))
    import make_template

    monkeypatch.setattr(make_template, "TARGET", tmp_path / "made.pptx")
    make_template.make()
    parts = [
        {
            part.partname: part.blob
            for part in Presentation(str(path)).part.package.iter_parts()
            if "core" not in part.partname
        }
        for path in (tmp_path / "made.pptx", PROJECT / TEMPLATE)
    ]
    assert parts[0] == parts[1]


def test_the_form_of_the_report_has_limits_choices_and_help() -> None:
    fields = TypeAdapter(ReportSettings).json_schema()["properties"]
    assert (fields["top_groups"]["minimum"], fields["top_groups"]["maximum"]) == (3, 30)
    assert all("description" in field for field in fields.values())


@pytest.mark.parametrize("wrong", [{"top_groups": 2}, {"chart": "pie"}, {"accent": "red"}, {"title": ""}, {"tpo": 1}])
def test_a_wrong_choice_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ReportSettings(**wrong)


def test_a_date_may_be_chosen(tmp_path: Path) -> None:
    assert made("iris", tmp_path, date="2001-02-03").core_properties.created == datetime.datetime(2001, 2, 3)
    assert ReportSettings(date="").date is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("share", "text"), [(0.0619, "6.2 %"), (1.0, "100 %"), (0.9999, "> 99.9 %"), (0.0001, "< 0.1 %"), (0.0, "0 %")]
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, text: str) -> None:
    assert words.percent(share) == text


def test_numbers_of_a_column_have_the_same_decimals() -> None:
    assert words.numbers([4.1, 6.28]) == ["4.10", "6.28"]
    assert words.numbers([3376.4, 1.0]) == ["3,376", "1"]
    assert words.numbers([-12.34, float("nan")]) == ["−12.3", "–"]
