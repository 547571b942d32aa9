"""Failed requests over the API."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client

from jobs.models import Replay, RequestCount, RequestRecord
from jobs.states import RequestStatus
from tests.api.conftest import get, post
from tests.factories import make_run
from tests.records import a_request


@pytest.fixture(autouse=True)
def no_broker() -> Any:
    with patch("celery.app.base.Celery.send_task") as sent:
        yield sent


def test_the_requests_of_a_job_are_counts_and_failed_ones(viewer: Client) -> None:
    run = make_run()
    RequestCount.objects.create(
        run=run, step=run.steps.get(), node="fetch", host="api.example.com", status_code=200, count=3, seconds=1.5
    )
    a_request(run)
    a_request(run, status=RequestStatus.RECOVERED)
    body = get(viewer, f"/jobs/{run.uuid}/requests").json()
    assert (body["total"], body["failed"], len(body["records"])) == (3, 1, 2)
    expected = {"node": "fetch", "host": "api.example.com", "status_code": 200, "count": 3, "seconds": 1.5}
    assert body["counts"] == [expected]


def test_open_requests_are_listed_by_key_and_shown_whole(viewer: Client) -> None:
    first, second = a_request(), a_request(reason="404")
    a_request(status=RequestStatus.DISMISSED)
    assert [row["id"] for row in get(viewer, "/requests").json()] == [second.pk, first.pk]
    assert [row["id"] for row in get(viewer, f"/requests?before={second.pk}").json()] == [first.pk]
    assert [row["id"] for row in get(viewer, "/requests?reason=404").json()] == [second.pk]
    assert len(get(viewer, "/requests?status=dismissed").json()) == 1
    whole = get(viewer, f"/requests/{first.pk}").json()
    assert whole["headers"]["Authorization"] == "Bearer ***0123456789abcdef***"
    assert whole["attempts"][0]["status"] == 503 and whole["task_id"] == str(first.step.task_id)
    missing = get(viewer, "/requests/99999")
    assert missing.status_code == 404 and "lists the open ones" in missing.json()["detail"]


def test_a_replay_is_started_and_followed(operator: Client, viewer: Client) -> None:
    record = a_request()
    answer = post(operator, "/requests/replay", {"host": record.host, "reason": record.reason})
    assert answer.status_code == 201 and answer.json()["total"] == 1
    shown = get(viewer, f"/replays/{answer.json()['id']}").json()
    assert shown["requests"][0] | {"request": record.pk, "status": "waiting"} == shown["requests"][0]
    assert Replay.objects.get().requested_by_name.startswith("operator")


def test_what_cannot_be_replayed_is_refused_in_a_sentence(operator: Client) -> None:
    record = a_request(is_signed=True)
    answer = post(operator, "/requests/replay", {"requests": [record.pk]})
    assert answer.status_code == 409 and "can be sent again" in answer.json()["detail"]
    assert post(operator, "/requests/replay", {}).status_code == 422


def test_dismissing_needs_a_reason(operator: Client) -> None:
    record = a_request()
    assert post(operator, "/requests/dismiss", {"requests": [record.pk]}).status_code == 422
    answer = post(operator, "/requests/dismiss", {"requests": [record.pk], "why": "known"})
    assert answer.json() == {"dismissed": 1}
    assert RequestRecord.objects.get().settled_why == "known"


def test_a_host_is_ignored_listed_and_heeded_again(viewer: Client, operator: Client) -> None:
    record = a_request()
    assert post(viewer, "/requests/ignored-hosts", {"host": record.host}).status_code == 403
    answer = post(operator, "/requests/ignored-hosts", {"host": record.host})
    assert (answer.status_code, answer.json()) == (201, {"host": record.host, "requests": 1})
    assert post(operator, "/requests/ignored-hosts", {"host": record.host}).status_code == 400
    (row,) = get(viewer, "/requests/ignored-hosts").json()
    assert row["host"] == record.host and row["ignored_by"].startswith("operator")
    assert get(viewer, "/requests").json() == []
    body = json.dumps({"host": record.host})
    gone = operator.delete("/api/v1/requests/ignored-hosts", body, content_type="application/json")
    assert gone.json() == {"host": record.host, "requests": 1}
    assert post(operator, "/requests/ignored-hosts", {"host": record.host}).status_code == 201
    assert operator.delete(f"/api/v1/requests/ignored-hosts?host={record.host}").json() == gone.json()
    assert operator.delete("/api/v1/requests/ignored-hosts").status_code == 422
