"""Native tables and charts in the deck's colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pptx.chart.data import CategoryChartData, XyChartData
from pptx.dml.color import RGBColor
from pptx.enum.chart import (
    XL_CHART_TYPE,
    XL_LABEL_POSITION,
    XL_LEGEND_POSITION,
    XL_MARKER_STYLE,
    XL_TICK_LABEL_POSITION,
    XL_TICK_MARK,
)
from pptx.enum.dml import MSO_THEME_COLOR
from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
from pptx.oxml import parse_xml
from pptx.oxml.ns import nsdecls
from pptx.util import Emu, Inches, Pt

from demo.pipelines.reporting.report import ChartKind
from demo.pipelines.reporting.second_chart import SecondChart

SERIES = [getattr(MSO_THEME_COLOR, f"ACCENT_{number}") for number in (1, 2, 3, 4, 5, 6)]
QUIET = MSO_THEME_COLOR.ACCENT_3
GRID = RGBColor(0xDD, 0xE3, 0xE8)
PLAIN_TABLE = "{2D5ABB26-0587-4C30-8999-92F81FD0307C}"  # PowerPoint's own style without fill and grid
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
TALLEST_ROW = Inches(0.42)
HEADER_HEIGHT = Inches(0.46)


def draw_table(place: Any, header: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[float]) -> None:
    """Fill a table placeholder: text left, numbers (all but the first two columns) right, rows as tall as fits."""
    room, tallest = place.width, place.height
    frame = place.insert_table(len(rows) + 1, len(header))
    table = frame.table
    frame._element.graphic.graphicData.tbl.tblPr.find(f"{{{DRAWING}}}tableStyleId").text = PLAIN_TABLE
    for column, width in zip(table.columns, widths, strict=True):
        column.width = Emu(int(room * width / sum(widths)))
    row_height = min(TALLEST_ROW, (tallest - HEADER_HEIGHT) // len(rows))
    size = Pt(12) if row_height > Inches(0.33) else Pt(11)
    for line, (cells, row) in enumerate(zip([header, *rows], table.rows, strict=True)):
        row.height = HEADER_HEIGHT if line == 0 else row_height
        for at, text in enumerate(cells):
            write_cell(table.cell(line, at), text, size=size, is_header=line == 0, is_number=at > 1)
    frame.height = HEADER_HEIGHT + row_height * len(rows)


def write_cell(cell: Any, text: str, *, size: Pt, is_header: bool, is_number: bool) -> None:
    cell.margin_top = cell.margin_bottom = Inches(0.02)
    cell.margin_left = cell.margin_right = Inches(0.07)
    cell.vertical_anchor = MSO_ANCHOR.BOTTOM if is_header else MSO_ANCHOR.MIDDLE
    paragraph = cell.text_frame.paragraphs[0]
    paragraph.alignment = PP_ALIGN.RIGHT if is_number else PP_ALIGN.LEFT
    words = paragraph.add_run()
    words.text = text
    words.font.size = Pt(11) if is_header else size
    words.font.bold = is_header
    words.font.color.theme_color = QUIET if is_header else MSO_THEME_COLOR.TEXT_1
    underline(cell, "accent1" if is_header else "", Pt(1.5) if is_header else Pt(0.5))


def underline(cell: Any, theme_colour: str, width: Emu) -> None:
    """A line below a cell, in a theme colour or the grid's grey; python-pptx has no call for borders."""
    colour = f'<a:schemeClr val="{theme_colour}"/>' if theme_colour else f'<a:srgbClr val="{GRID}"/>'
    cell._tc.get_or_add_tcPr().append(
        parse_xml(f'<a:lnB {nsdecls("a")} w="{int(width)}"><a:solidFill>{colour}</a:solidFill></a:lnB>')
    )


def draw_bars(place: Any, label: str, names: Sequence[str], values: Sequence[float]) -> None:
    """Horizontal bars in the given order from the top, with the number at each bar's end."""
    shown = format_of(values)
    data = CategoryChartData(number_format=shown)
    data.categories = names
    data.add_series(label, values)
    chart = place.insert_chart(XL_CHART_TYPE.BAR_CLUSTERED, data).chart
    plain(chart)
    chart.category_axis.reverse_order = True
    chart.category_axis.format.line.fill.background()
    chart.value_axis.visible = False
    chart.value_axis.minimum_scale = 0
    chart.value_axis.has_major_gridlines = False
    paint(chart.plots[0].series[0].format.fill, SERIES[0])
    label_values(chart.plots[0], shown)


def draw_second(place: Any, second: SecondChart) -> None:
    """The second chart in its own kind."""
    {ChartKind.LINE: draw_lines, ChartKind.COLUMN: draw_columns, ChartKind.SCATTER: draw_points}[second.kind](
        place, second
    )


def draw_lines(place: Any, second: SecondChart) -> None:
    chart = place.insert_chart(XL_CHART_TYPE.LINE, category_data(second)).chart
    plain(chart)
    name_axes(chart, second)
    ticks = chart.value_axis.tick_labels
    ticks.number_format, ticks.number_format_is_linked = number_format(second).replace(".0", ".##"), False
    for series, colour in zip(chart.plots[0].series, SERIES, strict=False):
        series.smooth = False
        series.format.line.width = Pt(2.5)
        series.format.line.color.theme_color = colour
        series.marker.style = XL_MARKER_STYLE.NONE
    legend_if_needed(chart, len(second.series))


def draw_columns(place: Any, second: SecondChart) -> None:
    chart = place.insert_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, category_data(second)).chart
    plain(chart)
    chart.value_axis.visible = False
    chart.value_axis.has_major_gridlines = False
    paint(chart.plots[0].series[0].format.fill, SERIES[0])
    label_values(chart.plots[0], number_format(second))


def draw_points(place: Any, second: SecondChart) -> None:
    data = XyChartData(number_format="General")
    for name, points in second.series.items():
        series = data.add_series(name)
        for x, y in points:
            series.add_data_point(x, y)
    chart = place.insert_chart(XL_CHART_TYPE.XY_SCATTER, data).chart
    plain(chart)
    name_axes(chart, second)
    points_drawn = sum(len(points) for points in second.series.values())
    size = 2 if points_drawn > 2000 else 3 if points_drawn > 600 else 6
    for series, colour in zip(chart.plots[0].series, SERIES, strict=False):
        mark_points(series, colour, size=size)
    chart.category_axis.has_major_gridlines = False
    chart.category_axis.tick_label_position = chart.value_axis.tick_label_position = XL_TICK_LABEL_POSITION.LOW
    chart.value_axis.format.line.fill.background()  # it stands where x is 0, which may be the right edge
    limit(chart.category_axis, second.x_range)
    limit(chart.value_axis, second.y_range)
    legend_if_needed(chart, len(second.series))


def mark_points(series: Any, colour: MSO_THEME_COLOR, size: int) -> None:
    series.format.line.fill.background()
    series.marker.style = XL_MARKER_STYLE.CIRCLE
    series.marker.size = size
    paint(series.marker.format.fill, colour)
    make_transparent(series.marker.format.fill, 55 if size < 5 else 70)
    series.marker.format.line.fill.background()


def make_transparent(fill: Any, opacity_percent: int) -> None:
    """So that many points on one spot look darker; python-pptx has no call for it."""
    colour = fill._xPr.find(f".//{{{DRAWING}}}schemeClr")
    colour.append(parse_xml(f'<a:alpha {nsdecls("a")} val="{opacity_percent * 1000}"/>'))


def category_data(second: SecondChart) -> CategoryChartData:
    data = CategoryChartData(number_format=number_format(second))
    data.categories = second.categories
    for name, values in second.series.items():
        data.add_series(name, values)
    return data


def number_format(second: SecondChart) -> str:
    return format_of(value for line in second.series.values() for value in line if isinstance(value, float))


def format_of(values: Iterable[float]) -> str:
    """Decimals only where the numbers are small enough to need them and are not all whole."""
    given = list(values)
    largest = max((abs(value) for value in given), default=0.0)
    if largest >= 1000 or all(value == int(value) for value in given):
        return "#,##0"
    return "0.0" if largest >= 1 else "0.000"


def plain(chart: Any) -> None:
    """No title, no frame, quiet axes: the slide's own title says what it is."""
    chart.has_title = False
    chart.has_legend = False
    chart.font.size = Pt(11)
    chart.font.color.theme_color = QUIET
    for axis in (chart.category_axis, chart.value_axis):
        axis.format.line.color.rgb = GRID
        axis.major_tick_mark = axis.minor_tick_mark = XL_TICK_MARK.NONE
    chart.value_axis.major_gridlines.format.line.color.rgb = GRID


def name_axes(chart: Any, second: SecondChart) -> None:
    for axis, label in ((chart.category_axis, second.x_label), (chart.value_axis, second.y_label)):
        axis.has_title = True
        axis.axis_title.text_frame.text = label
        font = axis.axis_title.text_frame.paragraphs[0].runs[0].font
        font.size, font.bold = Pt(11), False
        font.color.theme_color = QUIET


def label_values(plot: Any, number_format: str) -> None:
    plot.gap_width = 45
    plot.has_data_labels = True
    labels = plot.data_labels
    labels.number_format, labels.number_format_is_linked = number_format, False
    labels.position = XL_LABEL_POSITION.OUTSIDE_END
    labels.show_value = True
    labels.font.size = Pt(11)
    labels.font.color.theme_color = MSO_THEME_COLOR.TEXT_1


def legend_if_needed(chart: Any, series: int) -> None:
    if series > 1:
        chart.has_legend = True
        chart.legend.position = XL_LEGEND_POSITION.TOP
        chart.legend.include_in_layout = False
        chart.legend.font.size = Pt(12)


def limit(axis: Any, bounds: tuple[float, float] | None) -> None:
    if bounds:
        axis.minimum_scale, axis.maximum_scale = bounds
        axis.major_unit = 10.0 if bounds[1] - bounds[0] >= 30 else None


def paint(fill: Any, colour: MSO_THEME_COLOR) -> None:
    fill.solid()
    fill.fore_color.theme_color = colour
