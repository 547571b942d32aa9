"""Artifacts by name, pipeline and kind, a page after another; links are made and taken back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from console.api import artifacts
from jobs import clock
from jobs.models import Share
from tests.api.conftest import Caller, get, post
from tests.views.artifacts import an_artifact
from tests.views.scenes import ended

pytestmark = pytest.mark.django_db


@pytest.fixture
def analyst(caller: Caller) -> Client:
    return caller("analyst")


def test_the_files_of_a_job_come_by_page(analyst: Client) -> None:
    run = ended()
    rows = [an_artifact(run, f"part-{number}.csv") for number in range(5)]
    stranger = an_artifact(ended(), "other.csv")
    path, seen = f"/jobs/{run.uuid}/artifacts?limit=2", list[str]()
    while path:
        answer = get(analyst, path)
        seen += [each["id"] for each in answer.json()]
        path = answer.headers.get("Link", "").partition("/api/v1")[2].partition(">")[0]
    assert seen == [str(row.uuid) for row in rows]
    assert len(get(analyst, f"/jobs/{run.uuid}/artifacts").json()) == 5
    assert get(analyst, f"/jobs/{run.uuid}/artifacts?after={stranger.uuid}").status_code == 404
    assert get(analyst, f"/jobs/{run.uuid}/artifacts?limit=0").status_code == 422


def test_artifacts_are_listed_newest_first_and_by_page(analyst: Client) -> None:
    rows = [an_artifact(ended(), name) for name in ("a.csv", "deck.pptx", "a.csv")]
    assert [each["id"] for each in get(analyst, "/artifacts").json()] == [str(row.uuid) for row in reversed(rows)]
    assert [each["name"] for each in get(analyst, "/artifacts?kind=decks").json()] == ["deck.pptx"]
    assert len(get(analyst, "/artifacts?name=a.csv&pipeline=report").json()) == 2
    older = get(analyst, f"/artifacts?before={rows[1].uuid}").json()
    assert [each["id"] for each in older] == [str(rows[0].uuid)]
    assert get(analyst, "/artifacts?pipeline=reprot").status_code == 404
    assert get(analyst, "/artifacts?kind=cars").status_code == 422


def test_a_search_for_few_files_among_many_looks_at_so_many_and_says_where_to_go_on(
    analyst: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "LOOKED_AT", 3)
    run = ended()
    deck = an_artifact(run, "deck.pptx")
    for number in range(7):
        an_artifact(run, f"{number}.csv", str(number).encode())
    found, path, answers = [], "/artifacts?kind=decks", 0
    while path:
        answer = get(analyst, path)
        found += [each["id"] for each in answer.json()]
        link = answer.headers.get("Link", "")
        path, answers = link.partition("/api/v1")[2].partition(">")[0], answers + 1
    assert found == [str(deck.uuid)] and answers == 3
    pages = get(analyst, "/artifacts?limit=3")
    assert len(pages.json()) == 3 and 'rel="next"' in pages.headers["Link"]


def test_a_link_is_made_listed_and_taken_back(analyst: Client) -> None:
    row = an_artifact(ended())
    until = (clock.now() + timedelta(days=1)).isoformat()
    made = post(analyst, f"/artifacts/{row.uuid}/share", {"until": until, "newest": True})
    assert made.status_code == 201 and not made.json()["has_password"]
    path = "/" + made.json()["address"].split("/", 3)[3]
    assert Client().get(path).status_code == 200
    (listed,) = get(analyst, "/shares").json()
    assert (listed["address"], listed["artifact"]) == (None, str(row.uuid))
    assert analyst.delete(f"/api/v1/shares/{listed['id']}").status_code == 204
    assert Share.objects.get().revoked_at and Client().get(path).status_code == 410


def test_what_cannot_be_shared_is_said_by_field(analyst: Client) -> None:
    row = an_artifact(ended())
    past = post(analyst, f"/artifacts/{row.uuid}/share", {"until": "2020-01-01T00:00:00Z"})
    assert past.status_code == 422 and "over" in past.json()["errors"]["until"]
    assert post(analyst, f"/artifacts/{row.uuid}/share", {}).status_code == 422
