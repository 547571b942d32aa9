"""Bodies that were made to hurt: each is refused with a status and a sentence, and starts nothing."""

from __future__ import annotations

import logging

import pytest
from django.db import OperationalError
from django.test import Client

from jobs.models import Run
from tests.factories import make_pipeline


@pytest.fixture(autouse=True)
def _report(db):
    make_pipeline()


def send(client: Client, body: bytes | str, content_type: str = "application/json"):
    data = body if isinstance(body, bytes) else body.encode()
    return client.generic("POST", "/api/v1/jobs", data, content_type)


def with_value(value: str, name: str = "api_url") -> str:
    return '{"pipeline_name": "report", "parameters": {"%s": %s}}' % (name, value)  # noqa: UP031


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b'{"pipeline_name": "report"} x',
        "[" * 10_000 + "]" * 10_000,
        '{"a":' * 10_000 + "1" + "}" * 10_000,
        '{"a":' * 500 + "1" + "}" * 500,
        with_value("NaN"),
        with_value("-Infinity"),
        with_value("1e999"),
        with_value("[1e999]"),
        with_value("9" * 5_000),
        with_value("9" * 30),
        with_value("[-" + "9" * 20 + "]"),
        with_value('"\\ud800"'),
        with_value('["\\udfff x"]'),
        with_value('"\\u0000"'),
        with_value("1", name="\\u0000"),
        '{"pipeline_name": "\\ud800"}',
    ],
)
def test_a_body_that_is_not_plain_json_is_refused(operator: Client, body: bytes | str) -> None:
    answer = send(operator, body)
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]
    assert Run.objects.count() == 0


@pytest.mark.parametrize("body", ["[]", "null", "1", '"report"', "true", "{}", '{"pipeline_name": null}'])
def test_json_that_is_no_job_is_refused(operator: Client, body: str) -> None:
    assert send(operator, body).status_code == 422


@pytest.mark.parametrize(
    "job",
    [
        '{"pipeline_name": ["report"]}',
        '{"pipeline_name": "report", "parameters": []}',
        '{"pipeline_name": "report", "parameters": "x"}',
        '{"pipeline_name": "report", "from_nodes": "fetch"}',
        '{"pipeline_name": "report", "from_nodes": [{}]}',
        '{"pipeline_name": "report", "runner": 1}',
        '{"pipeline_name": "report", "project": {"a": 1}}',
    ],
)
def test_a_field_of_the_wrong_kind_is_named(operator: Client, job: str) -> None:
    answer = send(operator, job)
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 1


@pytest.mark.parametrize("name", ["../report", "report; rm -rf /", "--help", "report\nx", "a/b/c", "x" * 301, "∞" * 50])
def test_a_pipeline_name_is_only_a_name(operator: Client, name: str) -> None:
    import json

    answer = send(operator, json.dumps({"pipeline_name": name}))
    assert answer.status_code in (404, 422)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ('"${oc.env:SECRET_KEY}"', "api_url"),
        ('"x ${globals:y}"', "api_url"),
        ('{"type": "builtins.eval"}', "api_url.type"),
        ("[" * 40 + "]" * 40, "parameters"),
        ('"%s"' % ("x" * 300_000), "parameters"),
    ],
)
def test_a_parameter_that_would_reach_further_is_refused_by_name(operator: Client, value: str, field: str) -> None:
    answer = send(operator, with_value(value))
    assert answer.status_code == 422
    assert field in answer.json()["errors"] or "api_url" in answer.json()["errors"]
    assert Run.objects.count() == 0


def test_dots_do_not_dig_deeper_than_groups_may_go(operator: Client) -> None:
    assert send(operator, with_value("1", name="api_url" + ".a" * 5_000)).status_code == 422


def test_a_body_over_the_limit_is_refused_before_it_is_read(operator: Client, settings) -> None:
    class Untouched:
        def read(self, *_: int) -> bytes:
            raise AssertionError("The body was read.")

        readline = read

    answer = operator.generic("POST", "/api/v1/jobs", b"", "application/json")
    assert answer.status_code == 422
    huge = {"CONTENT_LENGTH": str(100 * 1024 * 1024), "wsgi.input": Untouched()}
    assert operator.post("/api/v1/jobs", b"{}", content_type="application/json", **huge).status_code == 413
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    assert send(operator, with_value('"%s"' % ("x" * 100))).status_code == 413


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "application/yaml"]
)
def test_what_is_not_sent_as_json_is_refused_with_the_header_that_is_missing(
    operator: Client, content_type: str
) -> None:
    answer = send(operator, '{"pipeline_name": "report"}', content_type)
    assert answer.status_code == 415
    assert "Content-Type: application/json" in answer.json()["detail"]


def test_a_body_in_chunks_is_refused_because_it_would_be_taken_for_none(operator: Client) -> None:
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    answer = operator.post("/api/v1/jobs", {"pipeline_name": "report"}, content_type="application/json", **chunked)
    assert answer.status_code == 411
    assert "Content-Length" in answer.json()["detail"]


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-7", "application/json; charset=utf-16"])
def test_a_body_is_utf_8_whatever_its_header_says(operator: Client, content_type: str) -> None:
    assert send(operator, '{"pipeline_name": "report"}', content_type).status_code == 201


def test_an_unexpected_error_is_told_without_its_inside_and_logged_with_it(operator, monkeypatch, caplog) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the inside")

    monkeypatch.setattr("console.api.jobs.find_pipeline", fail)
    with caplog.at_level(logging.ERROR, logger="console.api.errors"):
        answer = send(operator, '{"pipeline_name": "report"}')
    assert answer.status_code == 500
    assert list(answer.json()) == ["detail"]
    assert b"inside" not in answer.content
    mark = answer.json()["detail"].split()[-1].rstrip(".")
    assert mark in caplog.text
    assert "RuntimeError: the inside" in caplog.text


def test_a_database_that_does_not_answer_is_an_answer(operator, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("could not connect to db.internal")

    monkeypatch.setattr("console.api.jobs.find_pipeline", fail)
    answer = send(operator, '{"pipeline_name": "report"}')
    assert answer.status_code == 503
    assert b"internal" not in answer.content
