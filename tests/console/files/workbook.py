"""A workbook to look at."""

from __future__ import annotations

import io
import zipfile

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
STRINGS = "<si><t>Größe &lt;b&gt;</t></si><si><r><t>rich </t></r><r><t>text</t></r><rPh><t>ruby</t></rPh></si>"
FORMATS = """<numFmts><numFmt numFmtId="165" formatCode="YYYY\\-MM\\-DD"/><numFmt numFmtId="166" formatCode="[h]:mm"/>
<numFmt numFmtId="167" formatCode="[Magenta]0 &quot;days&quot;"/></numFmts>
<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>
<cellXfs><xf numFmtId="0"/><xf numFmtId="165"/><xf numFmtId="20"/><xf numFmtId="166"/><xf numFmtId="167"/></cellXfs>"""


def a_workbook(*sheets: str, prefix: str = "", **parts: str) -> bytes:
    """Its sheets by their rows; `parts` take the place of what would be written."""
    names = [f"Sheet {number}" for number in range(1, len(sheets) + 1)]
    rows = {f"xl/worksheets/sheet{number}.xml": text for number, text in enumerate(sheets, 1)}
    listed = "".join(f'<sheet name="{name}" sheetId="1" r:id="r{n}"/>' for n, name in enumerate(names, 1))
    related = "".join(
        f'<Relationship Id="r{n}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(sheets) + 1)
    )
    files = {
        "_rels/.rels": f'<Relationships><Relationship Id="a" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
        "</Relationships>",
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f"<Relationships>{related}</Relationships>",
        "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{STRINGS}</sst>',
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}">{FORMATS}</styleSheet>',
        **{part: f'<worksheet xmlns="{MAIN}"><sheetData>{text}</sheetData></worksheet>' for part, text in rows.items()},
        **parts,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text if text.startswith("<?xml") else HEAD + text)
    return buffer.getvalue()
