"""Files that were made to hurt who looks at them: each costs a bounded time, is told in a sentence, and opens nothing.

The measure is the time of the processor, which other work on the machine does not change.
"""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from django.test import Client

from console.files import bounded
from console.files.downloads import disposition
from jobs import clock
from jobs.library.share import USUAL, ShareOrder, share
from jobs.models import Artifact
from tests.console.files.test_differences import evil
from tests.console.files.workbook import a_workbook
from tests.factories import make_user
from tests.views.artifacts import an_artifact
from tests.views.scenes import ended, logged_in

pytestmark = pytest.mark.django_db

SECONDS = 5.0
"""Of the processor; each of these took minutes, or all memory, before it was bounded."""


def zipped(**files: bytes) -> bytes:
    with zipfile.ZipFile(made := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def slide(inside: str) -> bytes:
    return evil(f"<x>{inside}</x>".encode()).getvalue()


def nested(tag: str, depth: int, inside: str = "") -> str:
    return f"<{tag}>" * depth + inside + f"</{tag}>" * depth


def table_of_tables(depth: int) -> str:
    rows = "<tr><tc>" * depth + "<p><t>x</t></p>" + "</tc></tr>" * depth
    return f"<graphicFrame>{rows}</graphicFrame>"


def with_many_entries(count: int) -> bytes:
    with zipfile.ZipFile(made := io.BytesIO(), "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}", "")
    return made.getvalue()


HEAVY: dict[str, Callable[[], bytes]] = {
    "tables-in-tables.pptx": lambda: slide(table_of_tables(40)),
    "shapes-in-shapes.pptx": lambda: slide(nested("sp", 100_000)),
    "deep.pptx": lambda: slide(nested("a", 150_000)),
    "many-cells.xlsx": lambda: a_workbook(f'<row r="1">{"<c/>" * 600_000}</row>'),
    "many-strings.xlsx": lambda: a_workbook(
        '<row><c t="s"><v>9999999</v></c></row>', **{"xl/sharedStrings.xml": f"<sst>{'<si/>' * 2_100_000}</sst>"}
    ),
    "indented.json": lambda: b"[" * 900 + b"1," * 200_000 + b"1" + b"]" * 900,
    "deep.json": lambda: b"[" * 500_000,
    "digits.json": lambda: b"9" * 900_000,
    "commas.csv": lambda: b"," * 1_900_000,
    "quotes.csv": lambda: b'"' * 1_900_000,
    "rows.csv": lambda: b"a\n" * 900_000,
    "many.zip": lambda: with_many_entries(20_000),
}


@pytest.mark.parametrize("name", HEAVY)
def test_no_file_holds_up_its_page_or_its_card(name: str) -> None:
    artifact = an_artifact(ended(), name, HEAVY[name]())
    client = logged_in("analyst")
    began = time.process_time()
    for page in ("", "face/"):
        answer = client.get(f"/artifacts/{artifact.uuid}/{page}")
        assert answer.status_code == 200 and len(answer.content) < 6_000_000
    assert time.process_time() - began < SECONDS


def pair(name: str, before: bytes, after: bytes) -> tuple[Artifact, Artifact]:
    run = ended()
    return an_artifact(run, name, before), an_artifact(run, name, after)


def lines(word: str, count: int) -> bytes:
    return "".join(f"same {number}\n{word} {number}\n" for number in range(count)).encode()


PAIRS: dict[str, Callable[[], tuple[bytes, bytes]]] = {
    "every-other-line.txt": lambda: (lines("then", 25_000), lines("now", 25_000)),
    "few-lines-often.log": lambda: (b"1\n2\n3\n" * 80_000, b"3\n2\n1\n" * 80_000),
    "columns.csv": lambda: tuple(  # type: ignore[return-value]
        ",".join(f"{word}{number}" for number in range(120_000)).encode() for word in "ab"
    ),
    "narrow-and-wide.csv": lambda: (
        b"a," * 100_000 + b"\n" + b"1\n" * 100_000,
        b"a," * 100_000 + b"\n" + b"2\n" * 90_000,
    ),
    "tables.pptx": lambda: (slide(table_of_tables(40)), slide(table_of_tables(39))),
    "many.zip": lambda: (with_many_entries(10_000), with_many_entries(10_001)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_no_two_files_hold_up_their_comparison(name: str) -> None:
    before, after = pair(name, *PAIRS[name]())
    client = logged_in("analyst")
    began = time.process_time()
    answer = client.get(f"/artifacts/{after.uuid}/compare/?with={before.uuid}")
    assert answer.status_code == 200 and len(answer.content) < 6_000_000
    assert time.process_time() - began < SECONDS


def test_a_list_of_contents_that_is_too_long_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "DIRECTORY_BYTES", 1_000)
    before, after = pair("many.zip", with_many_entries(50), with_many_entries(51))
    page = logged_in("analyst").get(f"/artifacts/{after.uuid}/compare/?with={before.uuid}").content.decode()
    assert "too long to be compared here" in page


# ---- what a file refers to


OUTSIDE = "http://169.254.169.254/latest/meta-data"


def test_nothing_outside_of_a_deck_is_fetched_or_named_as_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("somebody opened a connection")

    monkeypatch.setattr("socket.socket.connect", refuse)
    picture = f'<Relationship Id="r1" Type="x/image" Target="{OUTSIDE}" TargetMode="External"/>'
    blip = '<pic xmlns:r="r"><spPr><xfrm><off x="0" y="0"/><ext cx="9" cy="9"/></xfrm></spPr><blip r:embed="r1"/></pic>'
    data = slide(blip)
    files = {
        name: zipfile.ZipFile(io.BytesIO(data)).read(name) for name in zipfile.ZipFile(io.BytesIO(data)).namelist()
    }
    place = "ppt/slides/_rels/slide1.xml.rels"
    files[place] = files[place].replace(b"</Relationships>", picture.encode() + b"</Relationships>")
    artifact = an_artifact(ended(), "outside.pptx", zipped(**files))
    face = logged_in("analyst").get(f"/artifacts/{artifact.uuid}/face/").content.decode()
    assert "<svg" in face and OUTSIDE not in face and "<image" not in face


def test_nothing_outside_of_a_workbook_is_a_sheet() -> None:
    sheet = f'<Relationship Id="r1" Type="x/worksheet" Target="{OUTSIDE}" TargetMode="External"/>'
    data = a_workbook("", **{"xl/_rels/workbook.xml.rels": f"<Relationships>{sheet}</Relationships>"})
    artifact = an_artifact(ended(), "outside.xlsx", data)
    page = logged_in("analyst").get(f"/artifacts/{artifact.uuid}/").content.decode()
    assert "no sheet with cells" in page and OUTSIDE not in page


ENTITIES = f'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd"><!ENTITY b "{"ha" * 50}">]><x>&a;&b;</x>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_no_entity_of_a_deck_or_workbook_is_resolved(encoding: str) -> None:
    marked = f'<?xml version="1.0" encoding="{encoding}"?>{ENTITIES}'.encode(encoding)
    deck = an_artifact(ended(), "entities.pptx", evil(marked).getvalue())
    files = {"xl/worksheets/sheet1.xml": marked.decode("latin-1")}
    book = an_artifact(deck.run, "entities.xlsx", a_workbook("", **files))
    client = logged_in("analyst")
    for artifact in (deck, book):
        for page in ("", "face/"):
            text = client.get(f"/artifacts/{artifact.uuid}/{page}").content.decode()
            assert "root:" not in text and "haha" not in text


def test_the_names_in_a_zip_are_shown_and_lead_nowhere(tmp_path: Any) -> None:
    names = ["../../evil.txt", "/etc/evil.txt", "C:\\evil.txt", "a/../../evil.txt", "..\\evil"]
    artifact = an_artifact(ended(), "evil.zip", zipped(**dict.fromkeys(names, b"x")))
    for folder, shown in (("", "C:\\evil.txt"), ("", "..\\evil"), ("../../", "evil.txt"), ("/etc/", "evil.txt")):
        page = logged_in("analyst").get(f"/artifacts/{artifact.uuid}/", {"folder": folder})
        assert shown in page.content.decode(), folder
    for name in names:
        an_artifact(artifact.run, name, b"y")
    answer: Any = logged_in("analyst").get(f"/runs/{artifact.run_id}/artifacts.zip")
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        archive.extractall(tmp_path / "a" / "b")
        assert all("/" not in each and "\\" not in each and ":" not in each for each in archive.namelist())
    assert not list(tmp_path.glob("evil*")) and not list((tmp_path / "a").glob("evil*"))


# ---- a file as a page of the console


SCRIPT = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(document.cookie)</script></svg>'
TYPES = [
    "image/svg+xml", "text/html", "application/xhtml+xml", "text/xml", "application/xml", "text/javascript",
    "image/svg+xml; charset=utf-8", "TEXT/HTML", "text/html\r\nX-Evil: 1", "multipart/x-mixed-replace", "",
]  # fmt: skip


@pytest.mark.parametrize("name", ["evil.svg", "evil.html", "evil"])
def test_no_file_is_a_page_on_the_origin_of_the_console(name: str) -> None:
    run, client = ended(), logged_in("analyst")
    for media_type in TYPES:
        is_harmless(client, an_artifact(run, name, SCRIPT, media_type=media_type))


def is_harmless(client: Client, artifact: Artifact) -> None:
    for address in (f"/artifacts/{artifact.uuid}/download/", f"/api/v1/artifacts/{artifact.uuid}/download"):
        answer = client.get(address)
        assert answer["Content-Disposition"].startswith("attachment;")
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
        assert "html" not in answer["Content-Type"] and "javascript" not in answer["Content-Type"]
        assert "X-Evil" not in answer
    page = client.get(f"/artifacts/{artifact.uuid}/").content.decode()
    assert "<svg xmlns" not in page and "alert(document" not in page.replace("alert(document.cookie)&lt;", "")


NAMES = [
    'a"; filename="evil.exe', "a\r\nSet-Cookie: x=1", "report\u202efdp.exe", "\u2066a\u2069.csv", "a\u2028b", "a\x00b",
    "a;b,c=d.csv", "%0d%0aX: 1", "名前.csv", "💥" * 80, "../../etc/passwd", "CON", ".", "", "a\\b.csv", "a\u200fb",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_a_file_breaks_out_of_its_header(name: str) -> None:
    written = disposition(name)
    before, plain, after = written.split('"')
    assert written.isascii() and written.isprintable() and before == "attachment; filename="
    assert after.startswith("; filename*=UTF-8''") and after.count(";") == 1
    for name in (plain, unquote(after.partition("''")[2])):
        assert name not in ("", ".", "..") and not set(name) & set("\r\n\0/\\\u202e\u2066\u2069\u200f\u2028")


def test_a_stranger_who_has_a_link_gets_a_hostile_file_as_harmless_as_anybody() -> None:
    artifact = an_artifact(ended(), "evil.svg", SCRIPT, media_type="image/svg+xml")
    _, token = share(ShareOrder(artifact, clock.now() + USUAL), at=clock.now(), by=make_user(), by_name="olga")
    answer = Client().get(f"/share/{token}/download/")
    assert answer.status_code == 200 and answer["Content-Disposition"].startswith("attachment;")
    assert answer["Content-Security-Policy"].startswith("sandbox;") and answer["X-Content-Type-Options"] == "nosniff"
