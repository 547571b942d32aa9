"""Who names a pipeline hears the truth: which projects have it, which is not there, what contradicts itself."""

from __future__ import annotations

import pytest

from jobs.models import Artifact, Run
from jobs.states import Status
from tests.api.conftest import get, post
from tests.factories import AT, make_pipeline, make_project, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def two(db):
    return [make_pipeline("report", make_project(name, f"/srv/{name}")) for name in ("a", "b")]


@pytest.mark.parametrize(
    ("wish", "status", "sentence"),
    [
        ({}, 409, "a and b have a pipeline “report”: say which `project` is meant, or write a/report."),
        ({"project": "nope"}, 404, "There is no project “nope”."),
        ({"pipeline_name": "nope/report"}, 404, "There is no project “nope”."),
        ({"pipeline_name": "b/report", "project": "a"}, 422, "names the project b, but the project given is a"),
        ({"pipeline_name": "repor", "project": "a"}, 404, "in the project a. Did you mean report?"),
    ],
)
def test_a_job_is_not_started_by_chance(operator, two, wish, status, sentence):
    answer = post(operator, "/jobs", {"pipeline_name": "report", **wish})
    assert (answer.status_code, sentence in answer.json()["detail"]) == (status, True)
    assert not Run.objects.exists()


def test_the_answer_names_the_projects(operator, two):
    assert post(operator, "/jobs", {"pipeline_name": "report"}).json()["projects"] == ["a", "b"]
    assert post(operator, "/jobs", {"pipeline_name": "b/report"}).json()["project"] == "b"


def test_a_rule_does_not_follow_one_of_several(caller, two):
    wish = {"name": "again", "sources": ["report"], "target": "a/report"}
    answer = post(caller("admin"), "/rules", wish)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["sources"])


def test_the_latest_file_is_not_another_projects(operator, two):
    facts = {"name": "deck.pptx", "size_bytes": 1, "sha256": "0" * 64, "media_type": "x", "created_at": AT}
    for pipeline in two:
        run = make_run(pipeline)
        Run.objects.filter(pk=run.pk).update(status=Status.SUCCEEDED, finished_at=AT)
        Artifact.objects.create(run=run, **facts)
    assert get(operator, "/artifacts/latest?name=deck.pptx&pipeline=report").status_code == 409
    assert get(operator, "/artifacts/latest?name=deck.pptx&pipeline=a/report").status_code == 200
    assert get(operator, "/artifacts/latest?name=deck.pptx&pipeline=repot").status_code == 404
