"""Each thing that somebody does, through whichever door, leaves one row that says who, what, from and to."""

from __future__ import annotations

import csv
import io
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from console.models import ApiToken
from jobs import clock
from jobs.batches.batches import put
from jobs.models import Act, BatchQueue, IgnoredHost, Quota
from jobs.models.act import VERBS, Actor, Door, acting, record, recorded
from jobs.runs.cancel import cancel
from jobs.states import Status
from tests.admin.rows import make_worker
from tests.factories import make_project, make_quota, make_run, make_user
from tests.records import a_request
from tests.views.scenes import logged_in

pytestmark = pytest.mark.django_db


def last() -> Act:
    found = Act.objects.order_by("-id").first()
    assert found is not None
    return found


def acts_but_login() -> list[Act]:
    return list(Act.objects.exclude(verb="logged in").order_by("id"))


def test_a_cancel_says_who_stopped_which_run_and_how_it_stood() -> None:
    run = make_run()
    run.begin(at=clock.now(), by="test")
    logged_in("operator").post(reverse("run_cancel", args=[run.pk]))
    (act,) = acts_but_login()
    assert (act.verb, act.kind, act.key, act.door) == ("cancelled", "run", str(run.pk), "page")
    assert act.actor == User.objects.get().username and act.address == "127.0.0.1"
    assert act.after["cancel_requested_by"] == act.actor and act.before["cancel_requested_by"] == ""


def test_what_is_refused_is_not_recorded_as_done() -> None:
    run = make_run()
    run.end(Status.CRASHED, at=clock.now(), by="test")
    logged_in("operator").post(reverse("run_cancel", args=[run.pk]))
    assert acts_but_login() == []


def test_what_the_console_does_by_itself_is_nobodys_act() -> None:
    run = make_run()
    run.begin(at=clock.now(), by="test")
    cancel(run, at=clock.now(), by="the overlap of its pipeline")
    assert not Act.objects.exists()


def in_the_admin() -> Client:
    make_user("admin", "admin")
    return logged_in("admin")


def token_client(role: str, name: str) -> Client:
    user = make_user(f"owner-of-{name}", role)
    _, secret = ApiToken.objects.create(user, timedelta(days=1), role=role, name=name)
    return Client(headers={"Authorization": f"Bearer {secret}"})


def test_a_token_is_named_beside_its_owner() -> None:
    make_quota("chat")
    client = token_client("operator", "nightly")
    client.post("/api/v1/quotas/chat/pause", {"reason": "too dear"}, "application/json")
    act = last()
    assert (act.actor, act.token, act.door, act.verb) == ("owner-of-nightly", "nightly", "api", "paused")
    assert (act.name, act.why) == ("chat", "too dear")
    client.post("/api/v1/quotas/chat/open", {}, "application/json")
    assert last().verb == "opened" and last().before["paused_reason"] == "too dear"


def test_a_program_without_a_token_is_anonymous(settings: Any) -> None:
    settings.CONSOLE_ANONYMOUS_API = "operator"
    make_quota("chat")
    Client().post("/api/v1/quotas/chat/pause", {}, "application/json")
    assert (last().actor, last().door) == ("anonymous", "api")


def test_a_quota_that_is_edited_shows_its_windows_before_and_after() -> None:
    make_quota("chat")
    client = token_client("admin", "infra")
    client.patch("/api/v1/quotas/chat", {"windows": ["5 requests per minute"]}, "application/json")
    assert last().verb == "changed" and last().before["windows"] == ["1 request per 2 seconds"]
    assert last().after["windows"] == ["5 requests per minute"]


def test_a_command_is_recorded_with_the_account_that_ran_it() -> None:
    make_user("olga", "operator")
    call_command(
        "token", "create", "olga", "--role", "viewer", "--name", "nightly", stdout=io.StringIO(), stderr=io.StringIO()
    )
    act = last()
    assert (act.verb, act.kind, act.door) == ("added", "API token", "command") and "@" in act.actor
    row = ApiToken.objects.get()
    assert act.key == row.token_key and row.digest not in str(Act.objects.values_list())
    call_command("token", "revoke", row.token_key, stdout=io.StringIO())
    assert last().verb == "revoked"


def test_secrets_are_masked_in_the_record() -> None:
    facts = {"parameters": {"api_key": "k-123456", "rows": 5}, "url": "https://me:k-123456@example.com/x"}
    with acting(lambda: Actor("olga", Door.PAGE)):
        record("started", make_run(), after=facts)
    assert "k-123456" not in str(last().after) and last().after["parameters"]["rows"] == 5


ODD = {
    "bytes": b"\x00\xff",
    "date": date(2026, 1, 2),
    "not a number": float("nan"),
    "decimal": Decimal("1.5"),
    "NUL": "a\x00b",
    "half a character": "\ud800",
    "keys": {1: "a", None: "b", date(2026, 1, 2): "c"},
    "set": {1},
    "large": 2**80,
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_recorded_may_be_of_any_kind(odd: str) -> None:
    with acting(lambda: Actor("ol\x00ga", Door.PAGE, token="\ud800")):
        record("started", make_run(), after={odd: ODD[odd]}, why="a\x00b")
    assert list(last().after) == [odd]


def test_behind_a_named_proxy_the_person_has_the_address(settings: Any) -> None:
    settings.CONSOLE_TRUSTED_PROXIES = ["127.0.0.1/32"]
    make_quota("chat")
    client = token_client("operator", "ops")
    body = {"content_type": "application/json", "headers": {"X-Forwarded-For": "203.0.113.7"}}
    client.post("/api/v1/quotas/chat/pause", {}, **body)
    assert last().address == "203.0.113.7"


def test_of_a_projects_environment_only_is_told_that_it_changed(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.kedro]\n")
    project = make_project("mine", tmp_path)
    client, address = in_the_admin(), reverse("admin:jobs_project_change", args=[project.pk])
    sent = {"name": "mine", "path": str(tmp_path), "interpreter": sys.executable, "variables": "OTHER=s3cret"}
    assert client.post(address, sent).status_code == 302
    assert last().after["variables"] == "***" and "s3cret" not in str(list(Act.objects.values()))


def test_a_thing_is_not_taken_for_another_of_its_name() -> None:
    first = make_user("first", "viewer")
    make_user(str(first.pk), "viewer")
    with acting(lambda: Actor("olga", Door.PAGE)):
        record("changed", User.objects.get(username=str(first.pk)))
    assert not Act.objects.narrowed(thing=f"user:{first.pk}").exists()


def test_batch_items_are_counted() -> None:
    client = token_client("operator", "feeder")
    client.post("/api/v1/queues/todo/items", {"items": [{"key": "a", "body": 1}]}, "application/json")
    assert (last().verb, last().name, last().after) == ("put in", "todo", {"items": 1, "known": 0})


def test_a_run_puts_items_in_without_an_act() -> None:
    put("todo", [("a", 1)], at=clock.now(), run=make_run())
    assert not Act.objects.exists()


def test_requests_that_are_dismissed_are_named_with_the_reason() -> None:
    row = a_request()
    logged_in("operator").post(reverse("requests_dismiss"), {"request": row.pk, "why": "known outage"})
    assert (last().verb, last().why) == ("dismissed", "known outage") and f"#{row.pk}" in last().name


def test_ignored_hosts_and_workers() -> None:
    IgnoredHost.ignore("before.example.com", at=clock.now(), by="nobody")
    client = token_client("operator", "ops")
    client.post("/api/v1/requests/ignored-hosts", {"host": "api.example.com"}, "application/json")
    assert (last().verb, last().kind, last().name) == ("ignored", "host", "api.example.com")
    worker = make_worker(started_at=clock.now(), heartbeat_at=clock.now())
    assert client.patch(f"/api/v1/workers/{worker.name}", {"wanted_slots": 3}, "application/json").status_code == 200
    assert (last().verb, last().after["wanted_slots"]) == ("resized", 3)


def test_the_admin_says_what_a_form_changed() -> None:
    client = in_the_admin()
    olga = make_user("olga-2", "viewer", first_name="Olga")
    address = reverse("admin:auth_user_change", args=[olga.pk])
    form = client.get(address).context["adminform"].form
    sent = {name: value for name, value in form.initial.items() if value is not None and name != "password"}
    sent |= {"first_name": "Olga II", "groups": [group.pk for group in olga.groups.all()]}
    client.post(address, sent)
    act = last()
    assert (act.verb, act.kind, act.door) == ("changed", "user", "admin")
    assert (act.before["first_name"], act.after["first_name"]) == ("Olga", "Olga II")


def test_a_queue_is_made_and_changed() -> None:
    client = token_client("admin", "infra")
    client.post("/api/v1/queues", {"name": "todo", "keep_days": 3}, "application/json")
    assert last().verb == "added"
    client.patch("/api/v1/queues/todo", {"keep_days": 9}, "application/json")
    assert (last().before, last().after) == ({"keep_days": 3}, {"keep_days": 9})
    assert BatchQueue.objects.get().keep_days == 9


def test_the_page_is_narrowed_and_paged_and_exported() -> None:
    client, quota = logged_in("operator"), make_quota("=chat")
    for _ in range(30):
        client.post(reverse("quota_pause", args=[quota.pk]), {"reason": "<b>x</b>"})
        client.post(reverse("quota_open", args=[quota.pk]))
    page = client.get(reverse("activity")).content.decode()
    assert "&lt;b&gt;x" in page and "Older" in page
    paused = client.get(reverse("activity"), {"verb": "paused"})
    assert {act.verb for act in paused.context["acts"]} == {"paused"} and not paused.context["older"]
    drawer = client.get(reverse("activity_of"), {"object": f"quota:{quota.pk}"}).content.decode()
    assert "All of it" in drawer and "<html" not in drawer
    answer = client.get(reverse("activity"), {"export": "csv", "object": "quota"})
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))  # type: ignore[attr-defined]
    assert len(rows) == 60 and rows[0]["name"] == "'=chat" and rows[0]["verb"] == "opened"


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("analyst", 403), ("operator", 200), ("admin", 200)])
def test_operators_and_admins_read_the_record(role: str, status: int) -> None:
    assert logged_in(role).get(reverse("activity")).status_code == status
    assert token_client(role, "x").get("/api/v1/activity").status_code == status


def test_the_api_pages_by_key() -> None:
    make_quota("chat")
    client = token_client("operator", "ops")
    for _ in range(3):
        client.post("/api/v1/quotas/chat/pause", {}, "application/json")
    first = client.get("/api/v1/activity", {"verb": "paused", "limit": 2, "object": "quota"}).json()
    rest = client.get("/api/v1/activity", {"verb": "paused", "before": first[-1]["id"]}).json()
    assert [len(first), len(rest)] == [2, 1] and first[0]["object"] == f"quota:{Quota.objects.get().pk}"
    assert client.get("/api/v1/activity", {"verb": "flown"}).status_code == 422


def test_every_verb_that_is_used_can_be_chosen() -> None:
    make_quota("chat")
    token_client("operator", "ops").post("/api/v1/quotas/chat/pause", {}, "application/json")
    assert set(Act.objects.values_list("verb", flat=True)) <= set(VERBS)


def test_that_a_sealed_fact_is_another_is_told_and_not_which() -> None:
    project = make_project("mine")
    with acting(lambda: Actor("olga", Door.PAGE)):
        with recorded("changed", project):
            project.environment = {"TOKEN": "s3cret"}
            project.save()
        with recorded("changed", project):
            project.environment = {"TOKEN": "0ther"}
            project.save()
    assert last().before == {"environment": "***"} and last().after == {"environment": "*** (another)"}
    assert "s3cret" not in str(list(Act.objects.values())) and "0ther" not in str(list(Act.objects.values()))
