"""A field that nobody knows is a mistake at every door: nothing is done, and the nearest name is given."""

from __future__ import annotations

import pytest

from jobs.models import Rule, Run
from tests.api.conftest import post
from tests.factories import make_pipeline, make_quota, make_run

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("field", "nearest"),
    [
        ("node", "nodes"),
        ("namespace", "namespaces"),
        ("from-nodes", "from_nodes"),
        ("params", "parameters"),
        ("tag", "tags"),
    ],
)
def test_a_job_is_not_started(operator, field, nearest):
    make_pipeline()
    answer = post(operator, "/jobs", {"pipeline_name": "report", field: ["fetch"]})
    assert answer.status_code == 422
    assert f"Did you mean {nearest}" in answer.json()["errors"][field]
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/jobs/{run}/cancel", {"reason": "late"}, "reason"),
        ("/jobs/{run}/retry", {"parameters": {}}, "parameters"),
        ("/jobs/{run}/resume", {"params": {}}, "params"),
        ("/rules", {"name": "r", "sources": ["report"], "target": "report", "conditon": "`true`"}, "conditon"),
        ("/rules/{rule}/test", {"job": "1", "run": 1}, "run"),
        ("/quotas", {"name": "q", "window": ["1 request per 2 seconds"]}, "window"),
        ("/quotas/chat/pause", {"till": None}, "till"),
        ("/quotas/chat/open", {"now": True}, "now"),
        ("/queues", {"name": "words", "max_attempt": 3}, "max_attempt"),
        ("/queues/words/items", {"items": [{"key": "a", "boddy": 1}]}, "items.0.boddy"),
        ("/queues/words/put-back", {"keys": "a"}, "keys"),
        ("/requests/dismiss", {"requests": [1], "why": "x", "because": "y"}, "because"),
    ],
)
def test_no_other_body_takes_it_either(caller, path, body, field):
    run = make_run()
    rule = Rule.objects.create(name="again", target=run.pipeline, created_at=run.created_at, edited_at=run.created_at)
    make_quota()
    admin = caller("admin")
    post(admin, "/queues/words/items", {"items": [{"key": "a"}]})
    answer = post(admin, path.format(run=run.uuid, rule=rule.pk), body)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])
    assert "no such field" in answer.json()["detail"]
    run.refresh_from_db()
    assert run.cancel_requested_at is None


def test_the_job_api_of_a_plain_client_goes_on(operator):
    make_pipeline()
    answer = post(operator, "/jobs", {"pipeline_name": "report", "parameters": {}})
    assert answer.status_code == 201
    assert (answer.json()["selection"], answer.json()["env"]) == ({}, "")


def test_all_choices_are_taken_and_told_again(operator):
    make_pipeline()
    choices = {
        "nodes": ["process", "fetch"],
        "from_nodes": ["fetch"],
        "to_nodes": ["process"],
        "from_inputs": ["raw_data"],
        "to_outputs": ["processed_data"],
        "load_versions": {"raw_data": "2026-01-01T00.00.00.000Z"},
    }
    job = post(operator, "/jobs", {"pipeline_name": "report", **choices}, headers={"Idempotency-Key": "one"}).json()
    assert (job["nodes"], job["selection"]) == (["process"], choices)
    other = post(operator, "/jobs", {"pipeline_name": "report"}, headers={"Idempotency-Key": "one"})
    assert other.status_code == 409
    missing = post(operator, "/jobs", {"pipeline_name": "report", "only_missing_outputs": True}).json()
    assert (missing["nodes"], missing["selection"]) == ([], {"only_missing_outputs": True})


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"namespaces": ["a"]}, "There is no namespace “a”"),
        ({"load_versions": {"rawdata": "1"}}, "Did you mean raw_data?"),
        ({"load_versions": {"raw_data": "a/b"}}, "is not a version of raw_data"),
        ({"env": "../etc"}, "no Kedro environment"),
        ({"tags": "io"}, "list"),
    ],
)
def test_a_choice_that_cannot_be_is_told_by_its_field(operator, choice, sentence):
    make_pipeline()
    answer = post(operator, "/jobs", {"pipeline_name": "report", **choice})
    (field,) = choice
    assert answer.status_code == 422
    assert sentence in answer.json()["errors"][field]
    assert not Run.objects.exists()
