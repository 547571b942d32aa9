from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from console.files.downloads import disposition
from jobs.models import Artifact, Event
from jobs.states import Status
from tests.console.files.workbook import a_workbook
from tests.factories import make_run
from tests.views.artifacts import an_artifact
from tests.views.scenes import ended, logged_in, running

pytestmark = pytest.mark.django_db

DATA = bytes(range(256)) * 4_000  # longer than a chunk


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Path) -> None:
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {
        **settings.STORAGES,
        "artifacts": {"BACKEND": backend, "OPTIONS": {"location": tmp_path / "store"}},
    }


def download(artifact: Artifact, role: str = "analyst", **headers: str) -> Any:
    return logged_in(role).get(reverse("artifact_download", args=[artifact.uuid]), headers=headers)


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


def addresses() -> dict[str, str]:
    """Every address about artifacts, by name."""
    artifact = an_artifact(ended(), "page.html", b"<p>hi</p>", media_type="text/html")
    return {
        "library": reverse("library"),
        "artifact": reverse("artifact", args=[artifact.uuid]),
        "artifact_download": reverse("artifact_download", args=[artifact.uuid]),
        "artifact_html": reverse("artifact_html", args=[artifact.uuid]),
        "artifact_latest": reverse("artifact_latest", args=[artifact.run.pipeline_id, artifact.name]),
        "run_artifacts_zip": reverse("run_artifacts_zip", args=[artifact.run_id]),
    }


def test_everybody_sees_and_analysts_open() -> None:
    seen = {"library", "artifact"}
    for name, address in addresses().items():
        assert Client().get(address).status_code == 302
        assert logged_in("viewer").get(address).status_code == (200 if name in seen else 403)
        for role in ("analyst", "operator", "admin"):
            assert logged_in(role).get(address).status_code in (200, 302)


def test_a_viewer_is_told_why_there_is_no_preview() -> None:
    artifact = an_artifact(ended(), data=b"secret,x\n1,2\n")
    page = logged_in("viewer").get(reverse("artifact", args=[artifact.uuid])).content.decode()
    assert "Your role may not open files." in page
    assert "secret" not in page


def test_a_download_is_the_file_with_its_name_type_and_checksum() -> None:
    artifact = an_artifact(ended(), data=DATA)
    response = download(artifact)
    assert body(response) == DATA
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Length"] == str(len(DATA))
    assert response["Content-Disposition"].startswith('attachment; filename="cars.csv"')
    assert response["ETag"] == f'"{artifact.sha256}"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"].startswith("sandbox;")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=1000-", 1000, len(DATA) - 1),
        ("bytes=-5", len(DATA) - 5, len(DATA) - 1),
        ("bytes=-99999999", 0, len(DATA) - 1),
        ("bytes=5-99999999", 5, len(DATA) - 1),
    ],
)
def test_a_range_is_that_part(asked: str, first: int, last: int) -> None:
    response = download(an_artifact(ended(), data=DATA), Range=asked)
    assert response.status_code == 206
    assert response["Content-Range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert body(response) == DATA[first : last + 1]


@pytest.mark.parametrize("asked", ["bytes=1024000-", "bytes=5-4", "bytes=-0"])
def test_a_range_outside_is_refused_with_the_size(asked: str) -> None:
    response = download(an_artifact(ended(), data=DATA), Range=asked)
    assert response.status_code == 416
    assert response["Content-Range"] == f"bytes */{len(DATA)}"


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=a-b", "nonsense", "bytes=٣-٤"])
def test_what_is_no_single_range_gets_the_whole_file(asked: str) -> None:
    response = download(an_artifact(ended(), data=DATA), Range=asked)
    assert (response.status_code, body(response)) == (200, DATA)


def test_a_resume_of_another_version_gets_the_whole_file() -> None:
    artifact = an_artifact(ended(), data=DATA)
    assert download(artifact, Range="bytes=1-", **{"If-Range": '"other"'}).status_code == 200
    assert download(artifact, Range="bytes=1-", **{"If-Range": f'"{artifact.sha256}"'}).status_code == 206


def test_who_has_it_already_is_sent_nothing() -> None:
    artifact = an_artifact(ended(), data=DATA)
    response = download(artifact, **{"If-None-Match": f'W/"x", "{artifact.sha256}"'})
    assert (response.status_code, body(response)) == (304, b"")


def test_an_empty_file_is_an_empty_answer() -> None:
    artifact = an_artifact(ended(), data=b"")
    assert body(download(artifact)) == b""
    assert download(artifact, Range="bytes=0-").status_code == 416


def test_html_never_comes_as_html_for_the_browser_to_run() -> None:
    artifact = an_artifact(ended(), "evil.html", b"<script>alert(1)</script>", media_type="text/html")
    assert download(artifact)["Content-Type"] == "application/octet-stream"


def test_the_framed_html_is_sandboxed_without_origin_and_scripts() -> None:
    artifact = an_artifact(ended(), "evil.html", b"<script>alert(1)</script>", media_type="text/html")
    response = logged_in("analyst").get(reverse("artifact_html", args=[artifact.uuid]))
    policy = response["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "allow-" not in policy and "script" not in policy
    assert response["X-Frame-Options"] == "SAMEORIGIN"
    page = logged_in("analyst").get(reverse("artifact", args=[artifact.uuid])).content.decode()
    assert '<iframe class="kc-frame" sandbox src=' in page


def test_only_html_files_are_framed() -> None:
    artifact = an_artifact(ended(), "cars.csv", b"<script>")
    assert logged_in("analyst").get(reverse("artifact_html", args=[artifact.uuid])).status_code == 404


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ('a"b.csv', "a_b.csv"),
        ("a\r\nSet-Cookie: x.csv", "aSet-Cookie_ x.csv"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("report\u202egpj.exe", "reportgpj.exe"),
        ("", "file"),
        ("...", "file"),
    ],
)
def test_a_hostile_file_name_is_made_harmless(name: str, plain: str) -> None:
    assert f'filename="{plain}"' in disposition(name)
    assert "\n" not in disposition(name) and "\r" not in disposition(name)


def test_a_name_in_another_script_travels_in_full() -> None:
    assert disposition("Отчёт.pptx").endswith("filename*=UTF-8''%D0%9E%D1%82%D1%87%D1%91%D1%82.pptx")


def test_hostile_names_and_contents_are_escaped_on_every_page() -> None:
    evil = "<script>alert(1)</script>.csv"
    artifact = an_artifact(ended(), evil, b"<script>alert(2)</script>,b\n<img src=x onerror=alert(3)>,2\n")
    for address in (reverse("library"), reverse("artifact", args=[artifact.uuid])):
        page = logged_in("analyst").get(address).content.decode()
        assert "<script>alert" not in page and "<img src=x" not in page


def test_a_file_that_the_store_lost_is_told_as_a_sentence() -> None:
    artifact = an_artifact(ended())
    Artifact.objects.filter(pk=artifact.pk).update(sha256="0" * 64)
    response = download(artifact)
    assert response.status_code == 503
    assert "could not be read from the artifact store" in response.content.decode()
    page = logged_in("analyst").get(reverse("artifact", args=[artifact.uuid]))
    assert "could not be read from the artifact store" in page.content.decode()


def test_the_library_shows_the_newest_good_file_of_each_name_once() -> None:
    old, new = an_artifact(ended(), data=b"1"), an_artifact(ended(), data=b"2")
    bad = an_artifact(ended(Status.FAILED), data=b"3")
    page = logged_in("viewer").get(reverse("library")).content.decode()
    assert str(new.uuid) in page
    assert str(old.uuid) not in page and str(bad.uuid) not in page


def test_the_library_speaks_plainly() -> None:
    an_artifact(ended(), rows=3)
    page = logged_in("analyst").get(reverse("library")).content.decode()
    content = page[page.index('id="content"') : page.index("</main>")]
    assert "Table (CSV), 3 rows" in content
    for word in ("node", "dataset", "run #", "DAG", "Step"):
        assert word not in content


def test_the_library_is_searched_by_name() -> None:
    an_artifact(ended(), "cars.csv")
    an_artifact(ended(), "deck.pptx")
    page = logged_in("viewer").get(reverse("library"), {"q": "DECK"}).content.decode()
    assert "deck.pptx" in page and "cars.csv" not in page


def test_the_library_asks_the_same_few_questions_for_any_number_of_files(
    django_assert_max_num_queries: Any,
) -> None:
    for number in range(12):
        an_artifact(ended(), f"file-{number}.csv")
    client = logged_in("viewer")
    with django_assert_max_num_queries(12):
        client.get(reverse("library"))


def test_the_permanent_address_leads_to_the_newest_good_file() -> None:
    good = an_artifact(ended(), data=b"1")
    an_artifact(ended(Status.FAILED), data=b"2")
    address = reverse("artifact_latest", args=[good.run.pipeline_id, good.name])
    response = logged_in("analyst").get(address)
    assert response["Location"] == reverse("artifact_download", args=[good.uuid])
    missing = reverse("artifact_latest", args=[good.run.pipeline_id, "nothing.csv"])
    assert logged_in("analyst").get(missing).status_code == 404


def test_an_older_file_says_that_there_is_a_newer_one() -> None:
    old = an_artifact(ended(), data=b"1")
    an_artifact(ended(), data=b"2")
    assert "There is a newer one" in logged_in("viewer").get(reverse("artifact", args=[old.uuid])).content.decode()


def test_all_files_of_a_run_come_as_one_zip() -> None:
    run = ended()
    an_artifact(run, "cars.csv", b"1")
    an_artifact(run, "deck.pptx", DATA)
    response = logged_in("analyst").get(reverse("run_artifacts_zip", args=[run.pk]))
    archive = zipfile.ZipFile(io.BytesIO(body(response)))
    assert {name: archive.read(name) for name in archive.namelist()} == {"cars.csv": b"1", "deck.pptx": DATA}
    assert f'filename="report-{run.pk}.zip"' in response["Content-Disposition"]


def test_a_run_without_files_has_no_zip() -> None:
    assert logged_in("analyst").get(reverse("run_artifacts_zip", args=[make_run().pk])).status_code == 404


def test_the_web_process_never_loads_pandas() -> None:
    code = "import django; django.setup(); import console.views.artifacts, sys; assert 'pandas' not in sys.modules"
    folders = os.pathsep.join([".", "pipelines"])
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "console.settings", "PYTHONPATH": folders}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_a_parquet_file_shows_its_first_rows_as_they_were_saved() -> None:
    run = ended()
    row = an_artifact(run, "cars.parquet", b"PAR1", dataset="cars", rows=500, columns=3, media_type="x/y")
    page = logged_in("analyst").get(f"/artifacts/{row.uuid}/").content.decode()
    assert "Reading its rows" in page and f"/artifacts/{row.uuid}/rows/" in page
    sample = [{"name": "Ä <b>", "n": 1}, {"name": None, "n": 2}]
    saved = {"dataset": "cars", "sample": sample, "names": ["name", "n"], "kept": {"sha256": row.sha256}}
    Event.objects.create(
        run=run, step=run.steps.get(), seq=1, at=row.created_at, kind="dataset_saved", node="n", data=saved
    )
    page = logged_in("analyst").get(f"/artifacts/{row.uuid}/").content.decode()
    assert "<td>Ä &lt;b&gt;</td> <td>1</td>" in page and "<td></td> <td>2</td>" in page
    assert "The first 2 of 500 rows. 1 further columns are not shown. As they were saved" in page
    Event.objects.update(data=saved | {"kept": {"sha256": "of another"}})
    assert "Ä &lt;b&gt;" not in logged_in("analyst").get(f"/artifacts/{row.uuid}/").content.decode()


def test_a_workbook_has_sheets_and_no_rows() -> None:
    row = an_artifact(
        ended(), "cars.xlsx", a_workbook("<row><c><v>7</v></c></row>", "<row><c><v>8</v></c></row>"), parts=2
    )
    client = logged_in("analyst")
    page = client.get(f"/artifacts/{row.uuid}/").content.decode()
    assert '<dt> Sheets </dt> <dd class="kc-number">2</dd>' in page and "<dt>Rows</dt>" not in page
    assert 'href="?sheet=1"' in page and "<span>7</span>" in page
    assert "<span>8</span>" in client.get(f"/artifacts/{row.uuid}/?sheet=1").content.decode()
    assert client.get(f"/artifacts/{row.uuid}/?sheet=-1x").status_code == 200
    assert "2 sheets" in client.get("/library/").content.decode()
    assert "2 sheets" in client.get(f"/runs/{row.run_id}/?tab=artifacts").content.decode()


def test_json_with_half_a_character_is_a_page() -> None:
    row = an_artifact(ended(), "a.json", b'{"a": "\\ud800"}')
    assert "\\ud800" in logged_in("analyst").get(f"/artifacts/{row.uuid}/").content.decode()


def test_others_of_the_name_say_how_their_runs_are() -> None:
    pipeline = ended().pipeline
    newest = an_artifact(ended(pipeline=pipeline), "cars.csv", b"1")
    stopped, failed = (ended(status, pipeline=pipeline) for status in (Status.CANCELLED, Status.FAILED))
    for number, run in enumerate((running(pipeline=pipeline), stopped, failed)):
        an_artifact(run, "cars.csv", b"%d" % number)
    page = logged_in("analyst").get(f"/artifacts/{newest.uuid}/").content.decode()
    assert [page.count(words) for words in (", still at work", ", was cancelled", ", did not end well")] == [1, 1, 1]
