"""Input that was made to hurt: it is refused in a sentence, or understood, within a bounded time, at every door."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import reverse

from console.forms import yaml_values
from console.management.given import _of_file
from jobs.errors import BadParameters
from jobs.models import Act, Run
from jobs.proposals import FILE, propose
from jobs.telling.on_run_end import run_ended
from tests.factories import AT, make_pipeline, make_project, make_run
from tests.views.artifacts import an_artifact
from tests.views.scenes import ended, logged_in, with_log

pytestmark = pytest.mark.django_db


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Of the processor, which other work on the machine does not change."""
    began = time.process_time()
    yield
    assert time.process_time() - began < seconds


# ---- YAML


def laughs(levels: int = 12) -> str:
    """A few hundred bytes that stand for ten to the power of `levels` values."""
    rows = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        rows.append(f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 10)}]")
    return "\n".join(rows)


def merges(levels: int = 30) -> str:
    rows = ["l0: &l0 {a: 1}"]
    rows += [f"l{level}: &l{level} {{<<: [*l{level - 1}, *l{level - 1}]}}" for level in range(1, levels)]
    return "\n".join(rows)


BOMBS = [laughs(), merges(), "a: &a [*a]", "&a {b: *a}", "? &a [*a]\n: 1"]


@pytest.mark.parametrize("text", BOMBS)
def test_yaml_that_bursts_is_refused_where_people_write_it(text: str, tmp_path: Path) -> None:
    with within(2), pytest.raises(ValueError, match=r"aliases|contains itself"):
        yaml_values.read(text)
    file = tmp_path / "given.yml"
    file.write_text(text)
    with within(2), pytest.raises(BadParameters, match="neither YAML nor JSON"):
        _of_file(file)
    pipeline = make_pipeline()
    form = {"pipeline": pipeline.pk, "parameters": text, "due": "days", "first_day": "2026-01-01"}
    with within(4):
        answer = logged_in("operator").post(f"/backfills/new/preview/?pipeline={pipeline.pk}", form)
        assert answer.status_code in (200, 422)


@pytest.mark.parametrize("text", BOMBS)
def test_yaml_that_bursts_is_refused_where_a_project_proposes(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE.parent).mkdir(parents=True)
    inside = "".join(f"      {row}\n" for row in text.splitlines())
    (tmp_path / FILE).write_text(f"quotas:\n  q:\n    description:\n{inside}")
    with within(2):
        (sentence,) = propose(make_project(folder=tmp_path), at=AT)
    assert "cannot be read" in sentence


def test_an_alias_that_is_no_bomb_is_read() -> None:
    assert yaml_values.read("a: &a {x: 1}\nb: {<<: *a, y: *a}") == {"a": {"x": 1}, "b": {"x": 1, "y": {"x": 1}}}
    assert yaml_values.read("") is None


TAGS = [
    "!!python/object/apply:os.system [id]",
    "!!python/name:os.system ''",
    "!!python/module:os",
    "!include /etc/passwd",
]


@pytest.mark.parametrize("text", TAGS)
def test_a_tag_of_yaml_makes_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r"constructor|tag"):
        yaml_values.read(f"a: {text}")


# ---- JSON


def levels(count: int) -> str:
    return "[" * count + "]" * count


MONSTERS = {
    "depth": levels(10_000),
    "depth below what Python refuses": levels(900),
    "a huge integer": "9" * 4_000,
    "an integer of 65 bits": str(2**64),
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "a number without end": "1e400",
    "half of a surrogate pair": '"\\ud800"',
    "NUL": '"\\u0000"',
}


@pytest.mark.parametrize("monster", MONSTERS)
def test_no_door_of_the_api_takes_json_that_no_database_holds(monster: str) -> None:
    run, client = make_run(), logged_in("admin")
    value = MONSTERS[monster]
    bodies = {
        "/jobs": '{"pipeline_name": "report", "parameters": {"api_url": %s}}',
        f"/jobs/{run.uuid}/resume": '{"parameters": {"api_url": %s}}',
        "/queues/words/items": '{"items": [{"key": "a", "body": %s}]}',
        "/schedules": '{"name": "s", "pipeline": "report", "rule": %s}',
        "/schedules/preview": '{"rule": %s}',
        "/backfills/preview": '{"pipeline": "report", "parameters": %s}',
        "/rules": '{"name": "r", "sources": ["report"], "target": "report", "condition": %s}',
        "/channels": '{"name": %s, "kind": "mail", "address": "a@example.org"}',
        "/quotas": '{"name": "q", "windows": [%s]}',
    }
    for path, body in bodies.items():
        with within(2):
            answer = client.generic("POST", f"/api/v1{path}", (body % value).encode(), "application/json")
        assert answer.status_code in (400, 422), (path, answer.status_code)
        assert answer.json()["detail"] and "Traceback" not in answer.content.decode()
    assert Run.objects.count() == 1


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "[1e400]", '["\\ud800"]', '[{"key": "\\u0000"}]'])
def test_items_that_are_pasted_are_read_or_refused(text: str) -> None:
    client = logged_in("operator")
    client.post("/api/v1/queues/words/items", {"items": [{"key": "a"}]}, content_type="application/json")
    with within(2):
        answer = client.post("/batch-queues/words/put/", {"items": text, "text": text, "pasted": text}, follow=True)
    assert answer.status_code in (200, 400, 422)


# ---- what one may set


MASS = {
    "/jobs": ({"pipeline_name": "report"}, ["status", "cause", "owner", "requested_by", "uuid", "finished_at"]),
    "/schedules": ({"name": "s", "pipeline": "report", "rule": {"kind": "cron", "text": "0 6 * * *"}}, [
        "id", "decided_until", "counts_since", "periodic_task", "last_due_at", "created_at",
    ]),
    "/rules": ({"name": "r", "sources": ["report"], "target": "report"}, ["id", "edited_by", "created_at", "origin"]),
    "/quotas": ({"name": "q", "windows": ["1 request per minute"]}, ["settled_requests", "paused_by", "id"]),
    "/channels": ({"name": "c", "kind": "mail", "address": "a@example.org"}, [
        "owner", "secret", "failures", "failing_since", "id",
    ]),
    "/subscriptions": ({"kinds": ["failing"]}, ["owner", "user", "id", "created_at"]),
    "/backfills": ({"pipeline": "report", "first_day": "2026-01-01", "last_day": "2026-01-02"}, [
        "status", "made_by", "id", "owner",
    ]),
}  # fmt: skip


@pytest.mark.parametrize("path", MASS)
def test_no_field_that_the_console_keeps_itself_can_be_given(path: str) -> None:
    make_pipeline()
    body, fields = MASS[path]
    client = logged_in("admin")
    for field in fields:
        answer = client.post(f"/api/v1{path}", body | {field: "1"}, content_type="application/json")
        assert answer.status_code == 422 and field in answer.json()["errors"], (field, answer.content)
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "succeeded", "cause": "api", "requested_by": "1", "uuid": "x"},
        {"pipeline": "999", "pipeline_id": "999", "project": "other"},
        {"is_superuser": "on", "groups": "1"},
    ],
)
def test_no_form_takes_a_field_that_it_does_not_show(fields: dict[str, str]) -> None:
    pipeline, client = make_pipeline(), logged_in("operator")
    client.post(f"/pipelines/{pipeline.pk}/run/", {**fields, "runner": "sequential", "key": "k"})
    assert [(run.status, run.cause, run.pipeline_id, run.requested_by_name) for run in Run.objects.all()] in (
        [], [("queued", "manual", pipeline.pk, "operator")],
    )  # fmt: skip


# ---- patterns


PATTERNS = [
    "%" * 200, "_" * 200, "%_" * 100, "*" * 200, "(a+)+$" * 30, "a" * 500, "\\" * 200, "[" * 200, "'\"" * 100,
    "error:" + "%a" * 200, "node:" + "_%" * 200, " ".join(f"param.p{number}:x" for number in range(40)),
    " ".join(f"error:w{number}" for number in range(50)), " ".join("abcdefgh"), "status:" + "failed," * 60,
]  # fmt: skip


def test_no_search_is_a_pattern_of_its_own() -> None:
    run = with_log(ended(), ["plain line"] * 300)
    an_artifact(run, "plain.csv")
    client = logged_in("admin")
    places = [
        "/runs/?q={}", "/runs/complete/?q={}", "/library/?q={}", "/palette/?q={}", "/schedules/?q={}",
        f"/runs/{run.pk}/logs/?lines=1&text={{}}", f"/runs/{run.pk}/logs/?lines=1&node={{}}", "/activity/?object={}",
        "/activity/?actor={}", "/api/v1/jobs?pipeline={}", "/api/v1/artifacts?name={}", "/admin/jobs/run/?q={}",
    ]  # fmt: skip
    for number, pattern in enumerate(PATTERNS):
        for place in places[number % 3 :: 3]:
            with within(2):
                answer = client.get(place.format(quote(pattern)))
            assert answer.status_code in (200, 302, 404, 422), (place, pattern[:30])
    for wild in ("%", "_", "*", "pl%", "pla_n"):
        lines = client.get(f"/runs/{run.pk}/logs/?lines=1&text={quote(wild)}").content.decode()
        assert "plain line" not in lines, f"{wild} is a character, not a pattern"
        assert "plain.csv" not in client.get(f"/library/?q={quote(wild)}", HTTP_HX_REQUEST="true").content.decode()


@pytest.mark.parametrize("pattern", ["*" * 255, "*a" * 127, "?*" * 127, "[" * 255, "[!" * 127, "*" + "a*" * 127])
def test_the_name_of_a_file_to_be_told_of_costs_no_time(pattern: str) -> None:
    pipeline = make_pipeline()
    body = {"kinds": ["file"], "file_name": pattern, "pipeline": "report"}
    answer = logged_in("operator").post("/api/v1/subscriptions", body, content_type="application/json")
    assert answer.status_code in (201, 422)
    run = ended(pipeline=pipeline)
    an_artifact(run, "a" * 250)
    with within(2):
        run_ended(run, AT)


CONDITIONS = ["|".join(["[@,@]"] * 48), "results." + "*." * 400 + "x", "(" * 900 + "`1`" + ")" * 900, "a" * 2_001]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_an_expression_that_burns_time_is_no_rule(condition: str) -> None:
    make_run()
    body = {"name": "r", "sources": ["report"], "target": "report", "condition": condition}
    with within(3):
        answer = logged_in("admin").post("/api/v1/rules", body, content_type="application/json")
    assert answer.status_code in (201, 422) and "Traceback" not in answer.content.decode()


# ---- cells of a table that a spreadsheet opens


FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", '"=1"', "=1\n=2", "a,=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_the_exported_record_is_a_formula(text: str) -> None:
    given = dict.fromkeys(("actor", "token", "verb", "name", "why"), text[:40])
    Act.objects.create(at=AT, door="page", kind="quota", before={text: text}, **given)
    answer: Any = logged_in("admin").get(reverse("activity"), {"export": "csv"})
    assert answer["Content-Disposition"].startswith("attachment;")
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode(), newline="")))
    cells = [cell for each in rows for cell in each]
    assert any(text.strip() in cell or json.dumps(text)[1:-1] in cell for cell in cells)
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]


def test_a_stranger_learns_nothing_from_what_is_refused() -> None:
    for path in ("/api/v1/jobs", "/api/v1/nothing", "/nothing/", "/runs/1/"):
        answer = Client(raise_request_exception=False).get(path)
        text = answer.content.decode()
        assert "Traceback" not in text and "site-packages" not in text and "/work/" not in text
