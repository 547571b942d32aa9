"""Rows of artifacts that are tables, and files of those that are zips."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import pytest
from django.test import Client

from console.files.tables.readers import READERS
from jobs.models import Act
from tests.api.conftest import Caller, get
from tests.views.artifacts import an_artifact
from tests.views.scenes import ended, logged_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def analyst(caller: Caller) -> Iterator[Client]:
    yield caller("analyst")
    READERS.close()


def test_rows_are_a_window_sorted_and_chosen(analyst: Client) -> None:
    row = an_artifact(ended(), data=b"name,hp\nann,9\nbob,\ncid,10\ndan,3\n")
    path = f"/artifacts/{row.uuid}/rows?sort=-hp&where=hp:above:3&where=name:contains:N"
    told = get(analyst, path).json()
    assert (told["rows"], told["found"], told["total"]) == ([["ann", "9"]], 1, 4)
    assert get(analyst, f"/artifacts/{row.uuid}/rows?first=2&limit=1").json()["rows"] == [["cid", "10"]]
    (_, hp) = get(analyst, f"/artifacts/{row.uuid}/columns").json()["columns"]
    assert hp == {"name": "hp", "kind": "whole number", "empty_share": 0.25, "least": "3", "most": "10"}


def test_the_page_is_given_the_same_rows(analyst: Client) -> None:
    row = an_artifact(ended(), data=b"name,hp\nann,9\nbob,\n")
    by_page = logged_in("analyst").get(f"/artifacts/{row.uuid}/rows/?sort=hp&limit=5").json()
    assert by_page == get(analyst, f"/artifacts/{row.uuid}/rows?sort=hp&limit=5").json()
    assert "no column" in logged_in("analyst").get(f"/artifacts/{row.uuid}/rows/?sort=x").json()["detail"]
    assert "1 to 500 rows" in logged_in("analyst").get(f"/artifacts/{row.uuid}/rows/?first=-1").json()["detail"]


@pytest.mark.parametrize("asked", ["sort=nope", "where=hp", "limit=501", "first=-1", "sheet=x", "first=10000&sort=hp"])
def test_what_cannot_be_asked_is_refused_with_a_sentence(analyst: Client, asked: str) -> None:
    row = an_artifact(ended(), data=b"name,hp\nann,9\n")
    answer = get(analyst, f"/artifacts/{row.uuid}/rows?{asked}")
    assert answer.status_code == 422 and answer.json()["detail"]


def test_a_file_that_is_no_table_has_no_rows(analyst: Client) -> None:
    row = an_artifact(ended(), "deck.pptx", b"x")
    assert get(analyst, f"/artifacts/{row.uuid}/rows").status_code == 422


def test_who_may_not_download_reads_no_rows(caller: Caller) -> None:
    row = an_artifact(ended(), data=b"secret\n1\n")
    for path in ("rows", "columns", "entries"):
        assert get(caller("viewer"), f"/artifacts/{row.uuid}/{path}").status_code == 403
        assert get(Client(), f"/artifacts/{row.uuid}/{path}").status_code == 401
    assert logged_in("viewer").get(f"/artifacts/{row.uuid}/rows/").status_code == 403


def test_files_of_a_zip_are_listed_and_downloaded(analyst: Client) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in/", "")
        archive.writestr("in/a.csv", "x,y\n1,2\n")
    row = an_artifact(ended(), "all.zip", buffer.getvalue())
    listed = get(analyst, f"/artifacts/{row.uuid}/entries").json()
    assert [(each["number"], each["name"], each["is_folder"]) for each in listed] == [
        (0, "in/", True), (1, "in/a.csv", False)
    ]  # fmt: skip
    answer = get(analyst, f"/artifacts/{row.uuid}/download?entry=1")
    assert b"".join(answer.streaming_content) == b"x,y\n1,2\n" and 'filename="a.csv"' in answer["Content-Disposition"]
    part = get(analyst, f"/artifacts/{row.uuid}/download?entry=1", headers={"Range": "bytes=2-3"})
    assert (part.status_code, b"".join(part.streaming_content)) == (206, b"y\n")
    assert Act.objects.filter(verb="downloaded").first().after["entry"] == "in/a.csv"
    for number in (0, 2):
        assert get(analyst, f"/artifacts/{row.uuid}/download?entry={number}").status_code == 404
    assert get(analyst, f"/artifacts/{an_artifact(ended()).uuid}/entries").status_code == 422
