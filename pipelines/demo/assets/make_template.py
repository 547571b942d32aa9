"""Makes assets/report_template.pptx: `python assets/make_template.py`. Needs python-pptx alone.

Starts from python-pptx's own empty deck, makes it 16:9 and replaces its theme, master and layouts. The four layouts and
the numbers of their placeholders are what `demo.pipelines.reporting.deck` fills; a template of your own needs the same.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from pptx import Presentation
from pptx.opc.constants import RELATIONSHIP_TYPE as RT
from pptx.oxml import parse_xml
from pptx.util import Inches

TARGET = Path(__file__).with_name("report_template.pptx")
FONT = "Arial"
COLOURS = {
    "dk1": "1C2733", "lt1": "FFFFFF", "dk2": "12324A", "lt2": "F2F5F7",
    "accent1": "0F7B8A", "accent2": "E0902F", "accent3": "5B6F82", "accent4": "7FB069", "accent5": "C4553B",
    "accent6": "8E7CC3", "hlink": "0F7B8A", "folHlink": "5B6F82",
}  # fmt: skip
NAMESPACES = (
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'
)
Box = tuple[float, float, float, float]
"""Left, top, width, height in inches."""

TITLE_BOX: Box = (0.6, 0.5, 12.13, 0.7)
LEAD_BOX: Box = (0.6, 1.16, 12.13, 0.5)
MAIN_BOX: Box = (0.6, 1.95, 8.6, 4.75)
CARDS = [(0.6 + column * 3.0983, 1.95, 2.835, 1.7) for column in range(4)]


def transform(box: Box) -> str:
    left, top, width, height = (int(Inches(inches)) for inches in box)
    return f'<a:xfrm><a:off x="{left}" y="{top}"/><a:ext cx="{width}" cy="{height}"/></a:xfrm>'


def shape(number: int, name: str, box: Box, fill: str, *, opacity: int = 100, text: str = "") -> str:
    """A plain rectangle in a theme colour; `text` is the XML of its paragraphs."""
    alpha = f'<a:alpha val="{opacity * 1000}"/>' if opacity < 100 else ""
    colour = f'<a:solidFill><a:schemeClr val="{fill}">{alpha}</a:schemeClr></a:solidFill>' if fill else "<a:noFill/>"
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="{number}" name="{name}"/><p:cNvSpPr/><p:nvPr userDrawn="1"/></p:nvSpPr>'
        f'<p:spPr>{transform(box)}<a:prstGeom prst="rect"><a:avLst/></a:prstGeom>{colour}<a:ln><a:noFill/></a:ln>'
        f'</p:spPr><p:txBody><a:bodyPr lIns="0" tIns="0" rIns="0" bIns="0" anchor="ctr"/><a:lstStyle/>'
        f"{text or '<a:p><a:endParaRPr/></a:p>'}</p:txBody></p:sp>"
    )


def placeholder(
    number: int,
    name: str,
    box: Box,
    *,
    kind: str = "body",
    index: int | None = None,
    size: int = 14,
    colour: str = "tx1",
    bold: bool = False,
    anchor: str = "t",
    bullet: bool = False,
    space: int = 0,
) -> str:
    """A placeholder with its own text style, so that a slide only brings words."""
    place = f'type="{kind}"' + (f' idx="{index}"' if index is not None else "")
    indent = 'marL="228600" indent="-228600"' if bullet else 'marL="0" indent="0"'
    mark = '<a:buClr><a:schemeClr val="accent1"/></a:buClr><a:buFont typeface="Arial"/><a:buChar char="&#8226;"/>'
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="{number}" name="{name}"/><p:cNvSpPr><a:spLocks noGrp="1"/></p:cNvSpPr>'
        f"<p:nvPr><p:ph {place}/></p:nvPr></p:nvSpPr><p:spPr>{transform(box)}</p:spPr><p:txBody>"
        f'<a:bodyPr lIns="0" tIns="0" rIns="0" bIns="0" anchor="{anchor}"><a:normAutofit/></a:bodyPr><a:lstStyle>'
        f'<a:lvl1pPr {indent} algn="l"><a:lnSpc><a:spcPct val="100000"/></a:lnSpc>'
        f'<a:spcBef><a:spcPts val="{space * 100}"/></a:spcBef>{mark if bullet else "<a:buNone/>"}'
        f'<a:defRPr sz="{size * 100}" b="{int(bold)}"><a:solidFill><a:schemeClr val="{colour}"/></a:solidFill>'
        f"</a:defRPr></a:lvl1pPr></a:lstStyle><a:p><a:r><a:rPr/><a:t>{escape(name)}</a:t></a:r></a:p></p:txBody></p:sp>"
    )


def run(words: str, size: int, colour: str, *, bold: bool = False, align: str = "l") -> str:
    return (
        f'<a:p><a:pPr algn="{align}"/><a:r><a:rPr sz="{size * 100}" b="{int(bold)}"><a:solidFill>'
        f'<a:schemeClr val="{colour}"/></a:solidFill></a:rPr><a:t>{escape(words)}</a:t></a:r></a:p>'
    )


def slide_number(number: int) -> str:
    field = (
        '<a:p><a:pPr algn="r"/><a:fld id="{5B7A1C0E-3A53-4B52-9A53-0C5D8E9C7F10}" type="slidenum"><a:rPr sz="1000">'
        '<a:solidFill><a:schemeClr val="accent3"/></a:solidFill></a:rPr><a:t>‹#›</a:t></a:fld></a:p>'
    )
    return shape(number, "Number", (11.73, 6.98, 1.0, 0.25), "", text=field)


def picture(shapes: list[str], background: str, name: str = "") -> str:
    """A whole p:cSld with a background in a theme colour."""
    named = f' name="{name}"' if name else ""
    return (
        f"<p:cSld {NAMESPACES}{named}><p:bg><p:bgPr><a:solidFill>"
        f'<a:schemeClr val="{background}"/></a:solidFill><a:effectLst/></p:bgPr></p:bg><p:spTree>'
        '<p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'
        f"{''.join(shapes)}</p:spTree></p:cSld>"
    )


def heading() -> list[str]:
    """What all slides but the first have in common."""
    return [
        shape(30, "Mark", (0.6, 0.32, 0.7, 0.07), "accent1"),
        placeholder(2, "Title", TITLE_BOX, kind="title", size=28, colour="tx2", bold=True, anchor="ctr"),
        placeholder(3, "What it says", LEAD_BOX, index=10, size=15, colour="accent3", anchor="ctr"),
        shape(31, "Foot line", (0.6, 6.88, 12.13, 0.012), "accent3", opacity=35),
        placeholder(4, "Source", (0.6, 6.98, 10.9, 0.25), index=20, size=10, colour="accent3", anchor="ctr"),
        slide_number(32),
    ]


def side_panel() -> list[str]:
    return [
        shape(40, "Panel", (9.55, 1.95, 3.18, 4.75), "bg2"),
        shape(41, "Panel mark", (9.55, 1.95, 0.07, 4.75), "accent1"),
        placeholder(7, "Figure", (9.9, 2.2, 2.6, 0.75), index=12, size=38, colour="accent1", bold=True, anchor="b"),
        placeholder(8, "Words", (9.9, 3.05, 2.6, 3.45), index=13, size=14, space=10),
    ]


def title_layout() -> str:
    heights = [1.1, 1.75, 1.45, 2.5, 3.3, 2.95, 4.4]
    bars = [
        shape(50 + at, f"Bar {at}", (8.55 + at * 0.68, 7.5 - high, 0.46, high), "accent1", opacity=25 + at * 11)
        for at, high in enumerate(heights)
    ]
    words = [
        placeholder(2, "Title", (0.9, 1.35, 7.4, 2.2), kind="ctrTitle", size=42, colour="bg1", bold=True, anchor="b"),
        shape(60, "Mark", (0.9, 3.82, 1.1, 0.09), "accent1"),
        placeholder(3, "Subtitle", (0.9, 4.15, 7.4, 0.9), kind="subTitle", index=1, size=19, colour="bg2"),
        placeholder(4, "Source", (0.9, 6.75, 7.4, 0.3), index=20, size=11, colour="bg2", anchor="ctr"),
    ]
    return picture([*bars, *words], "tx2", "Report title")


def figures_layout() -> str:
    cards = []
    for at, (left, top, width, height) in enumerate(CARDS):
        cards += [
            shape(40 + at, f"Card {at}", (left, top, width, height), "bg2"),
            shape(45 + at, f"Card mark {at}", (left, top, width, 0.07), "accent1"),
            placeholder(
                50 + at, "Figure", (left + 0.25, top + 0.25, width - 0.4, 0.75), index=11 + at, size=36,
                colour="accent1", bold=True, anchor="b",
            ),
            placeholder(60 + at, "Label", (left + 0.25, top + 1.05, width - 0.4, 0.45), index=31 + at, size=13),
        ]  # fmt: skip
    said = shape(39, "Heading", (0.6, 3.98, 12.13, 0.35), "", text=run("What the data says", 15, "tx2", bold=True))
    body = placeholder(6, "Findings", (0.6, 4.4, 12.13, 2.35), index=15, size=16, bullet=True, space=9)
    return picture([*heading(), *cards, said, body], "bg1", "Key figures")


def table_layout() -> str:
    table = placeholder(6, "Table", MAIN_BOX, kind="tbl", index=11)
    return picture([*heading(), table, *side_panel()], "bg1", "Table")


def chart_layout() -> str:
    chart = placeholder(6, "Chart", MAIN_BOX, kind="chart", index=11)
    return picture([*heading(), chart, *side_panel()], "bg1", "Chart")


def master() -> str:
    title = placeholder(2, "Title", TITLE_BOX, kind="title", size=28, colour="tx2", bold=True, anchor="ctr")
    body = placeholder(3, "Text", (0.6, 1.95, 12.13, 4.75), index=1, size=16)
    return picture([title, body], "bg1")


def replace_picture(part: Any, xml: str) -> None:
    """Put a new p:cSld where the old one was."""
    element = part._element
    element.replace(element.cSld, parse_xml(xml))


def themed(theme: str) -> bytes:
    """The theme with our colours, fonts and name."""
    for slot, colour in COLOURS.items():
        theme = re.sub(
            rf"<a:{slot}>.*?</a:{slot}>", f'<a:{slot}><a:srgbClr val="{colour}"/></a:{slot}>', theme, flags=re.DOTALL
        )
    theme = re.sub(r'(<a:(?:majorFont|minorFont)>\s*<a:latin typeface=")[^"]*', rf"\g<1>{FONT}", theme)
    return re.sub(r'(<a:(?:theme|clrScheme|fontScheme)\b[^>]*?\bname=")[^"]*', r"\g<1>Report", theme).encode()


def make() -> None:
    """Write the template beside this file."""
    deck = Presentation()
    deck.slide_width, deck.slide_height = Inches(13.333), Inches(7.5)
    layouts = list(deck.slide_layouts)
    pictures = [title_layout(), figures_layout(), table_layout(), chart_layout()]
    for layout in layouts[len(pictures) :]:
        deck.slide_layouts.remove(layout)
    for layout, xml in zip(layouts, pictures, strict=False):
        replace_picture(layout, xml)
        layout._element.attrib.pop("type", None)
        layout._element.set("preserve", "1")
    replace_picture(deck.slide_master, master())
    theme = deck.slide_master.part.part_related_by(RT.THEME)
    theme.blob = themed(theme.blob.decode())
    deck.core_properties.title = "Report template"
    deck.core_properties.author = ""
    deck.save(str(TARGET))


if __name__ == "__main__":
    make()
