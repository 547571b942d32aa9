"""A parameter whose name or type says that it is a secret is shown to nobody, at no door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from jobs.models import Act, Event, Firing, Pipeline, Rule, Run, Snapshot
from jobs.schedules.schedules import START, asked, wish
from jobs.states import Decision
from jobs.steps.writer import data_of
from kedro_console import wire
from tests.factories import AT, content, make_pipeline, make_run
from tests.views.scenes import logged_in

pytestmark = pytest.mark.django_db

SECRETS = (
    "hunter2",
    "pw-in-url",
    "conf-secret",
    "in-a-list",
    "preset-secret",
    "other-secret",
    "in-a-rule",
    "by-its-type",
    "typed-by-one",
    "typed-by-other",
    "in-a-typed-rule",
    "4711-0815",
)
VALUES = {
    "db": {"password": "conf-secret", "hosts": [{"api_token": "in-a-list"}]},
    "url": "postgres://u:pw-in-url@h/d",
    "top": 5,
    "club": {"word": "by-its-type", "name": "chess"},
    "door": "4711-0815",
}
SCHEMAS = {
    "db": {"type": "object", "properties": {"password": {"type": "string", "default": "conf-secret"}}},
    "club": {
        "type": "object",
        "properties": {
            "word": {"type": "string", "writeOnly": True, "minLength": 3},
            "name": {"type": "string"},
        },
    },
    "door": {"anyOf": [{"type": "string", "format": "password", "writeOnly": True}, {"type": "null"}]},
}
CLUB = {"club": {"word": "typed-by-one"}}


@pytest.fixture
def scene() -> Iterator[dict[str, Any]]:
    raw = content(parameters=VALUES, schemas=SCHEMAS)
    raw["pipelines"][0]["parameters"] = ["*"]
    pipeline = make_pipeline(default_parameters={"smtp": {"password": "preset-secret"}})
    Snapshot.objects.create(project=pipeline.project, revision="2", content=raw, taken_at=AT)
    pipeline.default_parameters |= {"club": {"word": "by-its-type"}}
    pipeline.save()
    runs = [
        make_run(pipeline, parameters={"db.password": secret, "club.word": word})
        for secret, word in (("hunter2", "typed-by-one"), ("other-secret", "typed-by-other"))
    ]
    for run in runs:
        known = wire.marked({**VALUES, **run.parameters}, wire.secret_places(SCHEMAS))
        Run.objects.filter(pk=run.pk).update(resolved_parameters=known)
    known = wire.marked({**VALUES, **runs[0].parameters}, wire.secret_places(SCHEMAS))
    started = wire.RunStarted(1.0, ["fetch"], wire.packed(known), {"kedro": "1"})
    step = runs[0].steps.get()
    Event.objects.create(run=runs[0], step=step, seq=1, at=AT, kind="run_started", data=data_of(started))
    rule = Rule.objects.create(
        name="follow", target=pipeline, created_at=AT, edited_at=AT,
        mapping={"db.password": "'in-a-rule'", "club.word": "'in-a-typed-rule'", "top": "add(`1`, `2`)"},
    )  # fmt: skip
    rule.sources.add(pipeline)
    Firing.objects.create(
        rule=rule, rule_name="follow", key="k", at=AT, ended=runs[0], decision=Decision.UNMET, decided_at=AT,
        parameters=pipeline.marked({"db": {"password": "hunter2"}, **CLUB}),
    )  # fmt: skip
    schedule = PeriodicTask.objects.create(
        name="nightly", task=START, crontab=CrontabSchedule.objects.create(minute="0", hour="6"),
        kwargs=wish(pipeline, {"db": {"password": "hunter2"}, "top": 7, **CLUB}),
    )  # fmt: skip
    yield {"pipeline": pipeline, "runs": runs, "rule": rule, "schedule": schedule}


def addresses(scene: dict[str, Any]) -> list[str]:
    run, other = scene["runs"]
    pipeline, rule, schedule = scene["pipeline"].pk, scene["rule"].pk, scene["schedule"].pk
    return [
        "/", "/runs/", f"/runs/?q=%23{run.pk}", f"/runs/{run.pk}/", f"/runs/{run.pk}/?tab=parameters",
        f"/runs/{run.pk}/?tab=events", f"/runs/{run.pk}/compare/?with={other.pk}", f"/runs/{run.pk}/resume/",
        "/pipelines/", f"/pipelines/{pipeline}/", f"/pipelines/{pipeline}/run/",
        f"/pipelines/{pipeline}/run/?from={run.pk}",
        "/rules/", f"/rules/{rule}/",
        "/api/v1/jobs", f"/api/v1/jobs/{run.pk}", f"/api/v1/jobs/{run.pk}/events", "/api/v1/pipelines",
        "/api/v1/pipelines/shop/report", "/api/v1/rules", f"/api/v1/rules/{rule}", f"/api/v1/rules/{rule}/firings",
        f"/admin/jobs/run/{run.pk}/change/", f"/admin/jobs/pipeline/{pipeline}/change/", "/admin/jobs/event/",
        f"/admin/jobs/event/{Event.objects.get().pk}/change/", f"/admin/jobs/firing/{Firing.objects.get().pk}/change/",
        f"/admin/jobs/snapshot/{Snapshot.objects.latest('id').pk}/change/", "/admin/jobs/snapshot/",
        f"/admin/django_celery_beat/periodictask/{schedule}/change/", "/admin/django_celery_beat/periodictask/",
    ]  # fmt: skip


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_no_page_and_no_answer_shows_a_secret(scene: dict[str, Any], role: str) -> None:
    client, seen = logged_in(role), 0
    for address in addresses(scene):
        response = client.get(address)
        if response.status_code in (302, 403) or (response.status_code == 404 and role != "admin"):
            continue
        assert response.status_code == 200, address
        text, seen = response.content.decode(), seen + 1
        assert [secret for secret in SECRETS if secret in text] == [], address
    assert seen >= {"viewer": 15, "operator": 17, "admin": 28}[role]


def test_what_the_pages_leave_out_is_there_for_the_next_run(scene: dict[str, Any]) -> None:
    assert scene["runs"][0].parameters["db"]["password"] == "hunter2"
    schedule = PeriodicTask.objects.get()
    assert "hunter2" not in schedule.kwargs
    assert asked(schedule) == (scene["pipeline"].pk, {"db": {"password": "hunter2"}, "top": 7, **CLUB})
    assert Firing.objects.get().parameters == {"db": {"password": "hunter2"}, **CLUB}


def test_an_edit_beside_a_secret_keeps_it(scene: dict[str, Any]) -> None:
    client, schedule = logged_in("admin"), scene["schedule"]
    address = f"/admin/django_celery_beat/periodictask/{schedule.pk}/change/"
    shown = client.get(address).context["adminform"].form.initial["parameters"]
    assert shown == {"db": {"password": "***"}, "top": 7, "club": {"word": "***"}}
    sent = {
        "name": "nightly", "task": START, "pipeline": scene["pipeline"].pk, "enabled": "on", "timing": "crontab",
        "cron": "0 7 * * *", "zone": "UTC", "every": "1", "period": "hours",
        "parameters": json.dumps({**shown, "top": 8}),
    }  # fmt: skip
    response = client.post(address, sent)
    assert response.status_code == 302, response.context["adminform"].form.errors
    assert asked(PeriodicTask.objects.get())[1] == {"db": {"password": "hunter2"}, "top": 8, **CLUB}


def test_the_command_and_a_new_job_do_not_show_it(scene: dict[str, Any]) -> None:
    out = StringIO()
    call_command("run", "report", "--param", "db.password=typed-secret", "--json", stdout=out)
    assert "typed-secret" not in out.getvalue() and json.loads(out.getvalue())["parameters"]["db"]["password"] == "***"
    client: Client = logged_in("operator")
    body = {"pipeline_name": "report", "parameters": {"db": {"password": ["typed-secret"]}}}
    answer = client.post("/api/v1/jobs", json.dumps(body), content_type="application/json")
    assert answer.status_code == 422 and "typed-secret" not in answer.content.decode()
    data = {"p:db.password": "typed-secret", "p:top": "5", "runner": "sequential"}
    page = client.post(reverse("pipeline_run_preview", args=[scene["pipeline"].pk]), data).content.decode()
    assert "typed-secret" not in page and "***" in page
    assert Pipeline.objects.get().runs.latest("id").parameters["db"]["password"] == "typed-secret"


def test_rows_hold_no_secret_in_the_clear(scene: dict[str, Any]) -> None:
    """Whatever the name: what a type marks is encrypted like what a name gives away."""
    with connection.cursor() as cursor:
        for table in ("jobs_run", "jobs_pipeline", "jobs_snapshot", "jobs_firing", "django_celery_beat_periodictask",
                      "jobs_schedule", "jobs_event", "jobs_act"):  # fmt: skip
            cursor.execute(f"SELECT * FROM {table}")
            text = str(cursor.fetchall())
            typed = ("by-its-type", "typed-by-one", "typed-by-other")
            assert [word for word in typed if word in text] == [], table


def test_what_a_type_marks_still_gets_to_the_run_and_to_its_answers(scene: dict[str, Any]) -> None:
    run = scene["runs"][0]
    assert run.parameters["club"]["word"] == "typed-by-one"
    client: Client = logged_in("operator")
    body = {"pipeline_name": "report", "parameters": {"club": {"word": "x1"}, "door": "typed-by-other"}}
    answer = client.post("/api/v1/jobs", json.dumps(body), content_type="application/json")
    assert answer.status_code == 422 and "x1" not in answer.content.decode()
    body["parameters"] = {"club": {"word": "typed-by-other"}}
    answer = client.post("/api/v1/jobs", json.dumps(body), content_type="application/json")
    assert answer.status_code == 201 and "typed-by" not in answer.content.decode()
    assert Run.objects.latest("id").parameters["club"] == {"word": "typed-by-other"}
    assert Act.objects.filter(verb="started").exists() and "typed-by" not in str(list(Act.objects.values()))
    page = client.get(reverse("pipeline_run", args=[scene["pipeline"].pk])).content.decode()
    assert page.count('type="password"') >= 3
