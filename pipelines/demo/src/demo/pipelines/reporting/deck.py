"""Make the slide deck from a template."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from pptx import Presentation
from pptx.exc import PackageNotFoundError
from pptx.opc.constants import RELATIONSHIP_TYPE as RT

from demo.addresses import dataset_name, in_project
from demo.pipelines.reporting import words
from demo.pipelines.reporting.drawing import draw_bars, draw_second, draw_table
from demo.pipelines.reporting.files import report_file, whole_file
from demo.pipelines.reporting.findings import columns_told, findings, key_figures, size_of_groups
from demo.pipelines.reporting.groups import Groups, group_rows
from demo.pipelines.reporting.report import ReportSettings
from demo.pipelines.reporting.roles import roles_of
from demo.pipelines.reporting.second_chart import SecondChart, choose_chart

logger = logging.getLogger(__name__)

LAYOUTS = ("Report title", "Key figures", "Table", "Chart")
ROWS_A_SLIDE = 15
BARS = 12
WIDTHS = (0.5, 2.6, 1.0, 1.0, 1.3)  # of the table's first five columns, relative

# Numbers of the template's placeholders.
TITLE, SUBTITLE, LEAD, MAIN, FIGURE, SAYS, FINDINGS, SOURCE = 0, 1, 10, 11, 12, 13, 15, 20
CARD_FIGURES, CARD_LABELS = (11, 12, 13, 14), (31, 32, 33, 34)


def make_deck(
    processed_data: pd.DataFrame, api_url: str, output_path: str, ppt_template: str, report: ReportSettings
) -> str:
    """The path of `<output_path>/<data set>.pptx`: title, key figures, table and two native charts."""
    day = pd.Timestamp(report.date or datetime.now(UTC).date())
    roles = roles_of(processed_data)
    groups = group_rows(processed_data, roles, report.group_by)
    second = choose_chart(processed_data, roles, groups, report.chart)
    deck = Deck(ppt_template, accent=report.accent, source=f"Source: {api_url}, {words.day(day)}")
    title = report.title.replace("{dataset}", words.title_of(dataset_name(api_url)))
    deck.add_title(title, f"{len(processed_data):,} rows, {len(processed_data.columns)} columns\n{words.day(day)}")
    deck.add_figures(
        columns_told(processed_data), key_figures(processed_data, groups), findings(processed_data, roles, groups)
    )
    deck.add_tables(groups, report.top_groups)
    deck.add_bars(groups)
    deck.add_second(second)
    path = report_file(output_path, api_url, "pptx")
    deck.save(path, title, day.to_pydatetime())
    logger.info("Made the deck %s: %d slides, second chart %s.", path, len(deck.slides), second.kind)
    return path


class Deck:
    """A presentation that grows slide by slide; every slide names the source at its foot and in its notes."""

    def __init__(self, template: str, *, accent: str, source: str) -> None:
        self.presentation = open_template(template)
        self.layouts = {layout.name: layout for layout in self.presentation.slide_layouts}
        missing = [name for name in LAYOUTS if name not in self.layouts]
        if missing:
            raise ValueError(f"The template {template} has no layout called {' or '.join(missing)}: see the README.")
        self.source = source
        recolour(self.presentation, accent)

    @property
    def slides(self) -> Any:
        return self.presentation.slides

    def add(self, layout: str, texts: dict[int, str], note: str) -> Any:
        """A slide with its placeholders filled; what stays empty (but for tables and charts to come) is taken away."""
        slide = self.slides.add_slide(self.layouts[layout])
        for place in list(slide.placeholders):
            index = place.placeholder_format.idx
            text = self.source if index == SOURCE else texts.get(index)
            if text is not None:
                place.text_frame.text = text
            elif index != MAIN:
                place._element.getparent().remove(place._element)
        slide.notes_slide.notes_text_frame.text = f"{note}\n\n{self.source}"
        return slide

    def add_title(self, title: str, subtitle: str) -> None:
        self.add("Report title", {TITLE: title, SUBTITLE: subtitle}, subtitle.replace("\n", ", ") + ".")

    def add_figures(self, lead: str, figures: list[tuple[str, str]], sentences: list[str]) -> None:
        texts = {TITLE: "Key figures", FINDINGS: "\n".join(sentences), LEAD: lead}
        for at, (figure, label) in enumerate(figures):
            texts |= {CARD_FIGURES[at]: figure, CARD_LABELS[at]: label}
        self.add("Key figures", texts, " ".join(sentences))

    def add_tables(self, groups: Groups, top_groups: int) -> None:
        """One slide for up to 15 groups, two of equal length beyond."""
        shown = groups.table.head(top_groups)
        slides = -(-len(shown) // ROWS_A_SLIDE)
        a_slide = -(-len(shown) // slides)
        for start in range(0, len(shown), a_slide):
            self.add_table(groups, shown.iloc[start : start + a_slide], start + 1)

    def add_table(self, groups: Groups, part: pd.DataFrame, first: int) -> None:
        last, count = first + len(part) - 1, len(groups.table)
        label, is_whole = groups.label.lower(), len(part) == len(groups.table)
        held = f"{count}" if is_whole else words.percent(part["cumulative"].iloc[-1])
        says = f"groups by {label} hold all rows." if is_whole else f"of all rows are in the first {last} of {count}."
        texts = {
            TITLE: f"All by {label}"
            if is_whole
            else f"Top {last} by {label}"
            if first == 1
            else f"{first} to {last} by {label}",
            LEAD: f"Rows by {label}, the largest first, with their share of all rows.",
            FIGURE: held,
            SAYS: f"{says}\n{largest_and_smallest(part)}",
        }
        slide = self.add("Table", texts, f"{held} {texts[SAYS]}")
        means = [f"Average {words.title_of(each).lower()}" for each in groups.measures]
        header = ["#", groups.label, "Rows", "Share", "Cumulative", *means]
        draw_table(
            placeholder(slide, MAIN), header, table_rows(part, first, groups.measures), [*WIDTHS, *[1.5] * len(means)]
        )

    def add_bars(self, groups: Groups) -> None:
        shown = groups.table.head(BARS)
        count, label, measure = len(groups.table), groups.label.lower(), groups.bar_measure
        what = f"Average {words.title_of(measure).lower()}" if measure else "Rows"
        which = f"the {len(shown)} largest of {count}" if count > len(shown) else f"all {count}"
        figure, says = bars_told(groups)
        texts = {TITLE: f"{what} by {label}", LEAD: f"{what} in {which} groups by {label}.", FIGURE: figure, SAYS: says}
        slide = self.add("Chart", texts, f"{texts[LEAD]} {figure} {says}")
        values = shown[measure].fillna(0.0) if measure else shown["rows"]
        names = [words.shortened(str(name), 24) for name in values.index]
        draw_bars(placeholder(slide, MAIN), what, names, values.tolist())

    def add_second(self, second: SecondChart) -> None:
        texts = {TITLE: second.title, LEAD: second.lead, FIGURE: second.figure, SAYS: second.says}
        slide = self.add("Chart", texts, f"{second.lead} {second.figure} {second.says}")
        draw_second(placeholder(slide, MAIN), second)

    def save(self, path: str, title: str, day: datetime) -> None:
        properties = self.presentation.core_properties
        properties.title, properties.subject, properties.keywords = title, self.source, "report"
        properties.created = properties.modified = day
        with whole_file(path) as file:
            self.presentation.save(str(file))


def open_template(template: str) -> Any:
    path = in_project(template)
    try:
        return Presentation(str(path))
    except (PackageNotFoundError, ValueError, KeyError) as error:
        reason = "is not there" if not Path(path).exists() else "is not a PowerPoint file"
        raise ValueError(f"The template {template} {reason}: set params:ppt_template to a .pptx.") from error


def recolour(presentation: Any, accent: str) -> None:
    """Put the accent colour into the deck's theme: every shape and chart that names it follows."""
    theme = presentation.slide_master.part.part_related_by(RT.THEME)
    colour = f'<a:accent1><a:srgbClr val="{accent.lstrip("#").upper()}"/></a:accent1>'
    theme.blob = re.sub(rb"<a:accent1>.*?</a:accent1>", colour.encode(), theme.blob, flags=re.DOTALL)


def placeholder(slide: Any, index: int) -> Any:
    return next(place for place in slide.placeholders if place.placeholder_format.idx == index)


def table_rows(part: pd.DataFrame, first: int, measures: list[str]) -> list[list[str]]:
    """The table's cells as text, ranks counted from `first`."""
    columns = [
        [str(first + at) for at in range(len(part))],
        [words.shortened(str(name), 26) for name in part.index],
        [f"{rows:,}" for rows in part["rows"]],
        *([words.percent(share) for share in part[column]] for column in ("share", "cumulative")),
        *(words.numbers(part[measure].astype("float64")) for measure in measures),
    ]
    return [list(cells) for cells in zip(*columns, strict=True)]


def bars_told(groups: Groups) -> tuple[str, str]:
    """The figure beside the bars, and what it is."""
    top = groups.table.iloc[0]
    if groups.bar_measure:
        values = groups.table[groups.bar_measure].astype("float64")
        highest, lowest = words.numbers([values.max(), values.min()])
        says = f"is the highest, of {values.idxmax()}.\nLowest: {lowest}, of {values.idxmin()}."
        return highest, "\n".join([says, *size_of_groups(groups)])
    says = f"of all rows are in {words.shortened(groups.top_name, 40)}, the largest group."
    return words.percent(top["share"]), "\n".join([says, *size_of_groups(groups)])


def largest_and_smallest(part: pd.DataFrame) -> str:
    lines = [part.iloc[0], part.iloc[-1]]
    return "\n".join(
        f"{words.shortened(str(line.name), 30)}: {words.counted(int(line['rows']), 'row')}" for line in lines
    )
