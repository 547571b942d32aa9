"""A look inside: files of an archive, PDF, slides counted, and where a file is kept."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from jobs import clock
from jobs.models import Artifact, Upload
from tests.views.artifacts import an_artifact
from tests.views.scenes import ended, logged_in

pytestmark = pytest.mark.django_db

FILES = {"in/a.csv": b"x,y\n1,<b>\n", "page.html": b"<h1>Hi</h1>", "doc.pdf": b"%PDF-1.4 x", "in/deep/x.txt": b"deep"}


def a_zip(**options: Any) -> Artifact:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return an_artifact(ended(), "all.zip", buffer.getvalue(), **options)


def seen(row: Artifact, query: str = "", role: str = "analyst") -> str:
    return logged_in(role).get(f"/artifacts/{row.uuid}/{query}").content.decode()


def test_an_archive_is_gone_through_by_folder_and_file() -> None:
    row = a_zip()
    top = seen(row)
    assert 'href="?folder=in/"' in top.replace("%2F", "/") and 'href="?entry=1"' in top
    inside = seen(row, "?folder=in/")
    assert 'href="?folder=in/&amp;entry=0"' in inside.replace("%2F", "/") and "page.html" not in inside
    table = seen(row, "?entry=0")
    assert "<td>&lt;b&gt;</td>" in table and f"/artifacts/{row.uuid}/download/?entry=0" in table
    assert "data-rows=" not in table, "what is inside an archive is shown as far as it was read"
    assert "There is no such file in the archive." in seen(row, "?entry=99")


def test_a_file_of_an_archive_is_sent_alone_and_a_viewer_sees_none() -> None:
    row = a_zip()
    client = logged_in("analyst")
    answer = client.get(f"/artifacts/{row.uuid}/download/?entry=3")
    assert b"".join(answer.streaming_content) == b"deep" and answer["ETag"] == f'"{row.sha256}-3"'
    assert client.get(f"/artifacts/{row.uuid}/download/?entry=44").status_code == 404
    assert client.get(f"/artifacts/{row.uuid}/html/?entry=1").content == b"<h1>Hi</h1>"
    assert logged_in("viewer").get(f"/artifacts/{row.uuid}/download/?entry=3").status_code == 403
    assert "deep" not in seen(row, "?entry=3", role="viewer")


def test_a_locked_file_of_an_archive_says_so() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "x")
    data = bytearray(buffer.getvalue())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    row = an_artifact(ended(), "locked.zip", bytes(data))
    assert "locked by a password" in seen(row, "?entry=0")
    assert logged_in("analyst").get(f"/artifacts/{row.uuid}/download/?entry=0").status_code == 404


def test_a_pdf_is_framed_by_ourselves_alone_and_only_when_it_is_one() -> None:
    row = an_artifact(ended(), "a.pdf", b"%PDF-1.4 hello")
    assert f'src="/artifacts/{row.uuid}/pdf/"' in seen(row)
    answer = logged_in("analyst").get(f"/artifacts/{row.uuid}/pdf/")
    assert (answer["Content-Type"], answer["X-Frame-Options"]) == ("application/pdf", "SAMEORIGIN")
    assert answer["Content-Security-Policy"] == "frame-ancestors 'self'" and answer["Content-Disposition"] == "inline"
    assert answer["X-Content-Type-Options"] == "nosniff"
    other = an_artifact(ended(), "b.pdf", b"<script>")
    assert "This is no PDF document" in seen(other)
    assert logged_in("analyst").get(f"/artifacts/{other.uuid}/pdf/").status_code == 404
    assert logged_in("viewer").get(f"/artifacts/{row.uuid}/pdf/").status_code == 403


def test_the_facts_say_slides_node_and_where_it_is_kept(settings: Any) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in (1, 2, 3):
            archive.writestr(f"ppt/slides/slide{number}.xml", "<x/>")
    row = an_artifact(ended(), "deck.pptx", buffer.getvalue(), node="draw <it>")
    page = seen(row)
    assert '<dt>Slides</dt> <dd class="kc-number">3</dd>' in page and "draw &lt;it&gt;" in page
    assert "kept here only" in page
    given = {"sha256": row.sha256, "name": row.name, "path": "/x", "host": "h", "size_bytes": 1}
    Upload.objects.create(**given, due_at=clock.now(), created_at=clock.now(), error="Access denied.", attempts=2)
    page = seen(row)
    assert "failed so far" in page and "Access denied" in page


def test_a_file_in_a_store_elsewhere_was_verified_there(monkeypatch: pytest.MonkeyPatch) -> None:
    row = an_artifact(ended())
    monkeypatch.setattr("console.pages.look.is_remote", lambda: True)
    assert "sent and verified" in seen(row)
