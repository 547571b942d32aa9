"""Every address that changes something, in every way that it can, leaves a row with what was before and after."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from celery import current_app
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client, RequestFactory
from django.urls import reverse

from console.models import ApiToken
from jobs import clock
from jobs.batches.batches import put
from jobs.models import (
    Act,
    IgnoredHost,
    Item,
    Resend,
    Run,
    Share,
    Worker,
)  # fmt: skip
from jobs.models.act import VERBS
from jobs.quotas.quotas import pause
from tests.admin.rows import make_backfill, make_rule, one_of_each
from tests.factories import make_quota, make_run
from tests.records import a_request
from tests.test_attack_matrix import doors
from tests.views.artifacts import an_artifact
from tests.views.scenes import ended

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(600)]

METHODS = ("POST", "PUT", "PATCH", "DELETE")
CIPHER = re.compile("gAAAA[\\w=-]+")
"""The same text is another one whenever it is encrypted."""
OURS = ("jobs_", "console_", "auth_user", "auth_group", "django_celery_beat_")
QUIET = ("jobs_act", "jobs_transition", "jobs_event", "django_celery_beat_periodictasks")
"""What the console itself tells, a counter, and the record."""
LOOKED_AT_AGAIN = {"Project check_projects", "BatchQueue count_again", "CrontabSchedule change"}
"""The console looks once more at what is there."""
LOOKS = {
    "pages pipeline_run_preview",
    "pages rule_new_proof", "pages rule_proof", "pages rule_try", "pages backfill_preview",
    "pages library_pin", "pages login", "pages logout", "pages share", "api backfill_preview", "api rule_test",
}  # fmt: skip
"""They compute, ask, are one's own view, or are tested by themselves."""
BARE = {"tested", "downloaded"}
"""Acts that change nothing."""
WORDS = ("description", "name", "first_name", "note")
World = SimpleNamespace
Body = dict[str, Any]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: None)
    rows, at = one_of_each(), clock.now()
    Worker.objects.update(heartbeat_at=at)
    IgnoredHost.ignore("before.example.com", at=at, by="nobody")
    put("todo", [("a", 1), ("b", 2)], at=at)
    Item.objects.filter(queue__name="todo", key="a").update(status="parked", finished_at=at)
    stopped = make_backfill(rows[Run], status="paused", paused_at=at)
    shut = make_quota("shut")
    pause("shut", at=at, by="max", reason="dear")
    off = make_rule(rows[Run], "off", is_enabled=False)
    queued, old = make_run(rows[Run].pipeline), ended()
    Run.objects.filter(pk=old.pk).update(status="failed")
    file = an_artifact(old)
    failed = a_request(old, url="https://api.example.com/rows?page=9")
    Resend.objects.filter(record=failed).delete()
    share = Share.objects.create(artifact=file, digest="0" * 64, made_at=at, until=at + timedelta(days=1))
    return World(
        rows=rows, queued=queued, old=old, file=file, share=share, failed=failed, stopped=stopped, shut=shut, off=off
    )


def wanted(world: World) -> dict[str, tuple[list[Any], Body]]:
    """What each address is asked for: the arguments of its route, and a body that has it do something."""
    run, old, pipeline = world.queued.pk, world.old.pk, world.queued.pipeline
    rows = {model.__name__: row for model, row in world.rows.items()}
    request, quota, rule = rows["RequestRecord"].pk, rows["Quota"], rows["Rule"]
    until = (clock.now() + timedelta(days=9)).isoformat()
    one_rule = {"name": "new", "target": str(pipeline.pk), "sources": [pipeline.pk], "wants": "any",
                "outcome": "succeeded", "correlate": "root", "is_enabled": "on",
                "max_iterations": 3, "max_per_hour": 9, "condition": "run.iteration < `3`"}  # fmt: skip
    backfill, dates = rows["Backfill"].pk, {"first_day": "2026-01-01", "last_day": "2026-01-02"}
    return {
        "pages runs_cancel POST": ([], {"run": run}),
        "pages runs_retry POST": ([], {"run": old}),
        "pages run_cancel POST": ([run], {}),
        "pages run_retry POST": ([old], {}),
        "pages run_priority POST": ([run], {"priority": 0}),
        "pages run_resume POST": ([old], {"parameters": "{}"}),
        **{f"pages worker_{verb} POST": ([rows["Worker"].pk], {"slots": 3}) for verb in
           ("pause", "resume", "drain", "slots")},
        "pages pipeline_run POST": ([pipeline.pk], {"runner": "sequential"}),
        "pages quota_new POST": ([], {"name": "new", "windows_in_words": "1 request per 2 seconds"}),
        "pages quota_edit POST": ([quota.pk], {"name": "chat", "windows_in_words": "9 requests per minute"}),
        "pages quota_pause POST": ([quota.pk], {"reason": "dear"}),
        "pages quota_open POST": ([world.shut.pk], {}),
        "api quota_open POST": (["shut"], {}),
        "pages rule_enable POST": ([world.off.pk], {}),
        **{f"{area} backfill_resume POST": ([world.stopped.pk], {}) for area in ("pages", "api")},
        "pages requests_dismiss POST": ([], {"request": request, "why": "known"}),
        "pages requests_replay POST": ([], {"request": world.failed.pk}),
        "pages requests_ignore POST": ([], {"host": "api.example.com"}),
        "pages requests_heed POST": ([], {"host": "before.example.com"}),
        "pages replay_cancel POST": ([rows["Replay"].pk], {}),
        "pages rule_new POST": ([], one_rule),
        "pages rule_edit POST": ([rule.pk], {**one_rule, "name": "again 2"}),
        "pages rule_disable POST": ([rule.pk], {}),
        "pages rule_delete POST": ([rule.pk], {}),
        "pages batch_queue_put POST": (["todo"], {"text": '{"key": "c"}', "key": "key"}),
        "pages batch_queue_put_back POST": (["todo"], {"key": "a"}),
        "pages batch_queue_drop POST": (["todo"], {"key": "a"}),
        "pages backfill_new POST": ([], {**dates, "pipeline": pipeline.pk, "due": "day", "zone": "UTC",
                                         "again": "unsuccessful", "direction": "oldest", "at_once": 1}),
        **{f"pages backfill_{verb} POST": ([backfill], {"at_once": 2, "direction": "newest"}) for verb in
           ("pause", "stop", "change")},
        **{f"api backfill_{verb} POST": ([backfill], {}) for verb in ("pause", "stop")},
        "api backfill PATCH": ([backfill], {"at_once": 2}),
        "api backfills POST": ([], {"pipeline_name": "report", "from": "2026-01-01", "to": "2026-01-02"}),
        "pages share_revoke POST": ([world.share.uuid], {}),
        "api share DELETE": ([world.share.uuid], {}),
        "pages artifact_share POST": ([world.file.uuid], {"who": "people", "until": until[:10]}),
        "api jobs POST": ([], {"pipeline_name": "report"}),
        "api job PATCH": ([run], {"priority": 0}),
        "api job_cancel POST": ([run], {}),
        "api job_retry POST": ([old], {}),
        "api job_resume POST": ([old], {}),
        "api requests_replay POST": ([], {"requests": [world.failed.pk]}),
        "api requests_dismiss POST": ([], {"requests": [request], "why": "known"}),
        "api ignored_hosts POST": ([], {"host": "api.example.com"}),
        "api ignored_hosts DELETE": ([], {"host": "before.example.com"}),
        "api artifact_share POST": ([world.file.uuid], {"needs_login": True, "until": until}),
        "api quotas POST": ([], {"name": "new", "windows": ["1 request per 2 seconds"]}),
        "api quota PATCH": (["chat"], {"windows": ["9 requests per minute"]}),
        "api quota_pause POST": (["chat"], {}),
        "api worker PATCH": ([rows["Worker"].name], {"wanted_slots": 3}),
        "api rules POST": ([], {"name": "new", "sources": ["shop/report"], "target": "shop/report",
                                "condition": "run.iteration < `3`"}),
        "api rule PATCH": ([rule.pk], {"is_enabled": False}),
        "api rule DELETE": ([rule.pk], {}),
        "api queues POST": ([], {"name": "new"}),
        "api queue PATCH": (["todo"], {"keep_days": 9}),
        "api queue_items POST": (["todo"], {"items": [{"key": "c"}]}),
        "api queue_put_back POST": (["todo"], {"key": "a"}),
        "api queue_drop POST": (["todo"], {"key": "a"}),
    }  # fmt: skip


def kept() -> dict[str, list[Any]]:
    """All that the tables hold that people change."""
    names = [name for name in connection.introspection.table_names() if name.startswith(OURS)]
    found = {}
    with connection.cursor() as cursor:
        for name in (name for name in names if not name.startswith(QUIET)):
            cursor.execute(f"SELECT * FROM {name}")
            found[name] = [[CIPHER.sub("sealed", str(value)) for value in row] for row in cursor.fetchall()]
    return found


def told(act: Act) -> bool:
    """It says what there was or what there is, in words that everybody can ask for."""
    return act.verb in VERBS and bool(act.before or act.after or act.verb in BARE) and bool(act.kind and act.name)


class Seen:
    """What was tried, what of it changed something, and what of that is not in the record."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.changed: set[str] = set()
        self.statuses: dict[str, int] = {}
        self.faults: list[str] = []

    def call(self, what: str, method: str, address: str, body: Body, kind: str = "") -> None:
        sent = json.dumps(body) if kind else urlencode(body, doseq=True)
        with transaction.atomic():
            known = set(Act.objects.values_list("pk", flat=True))
            before = kept()
            answer = self._client.generic(method, address, sent, kind or "application/x-www-form-urlencoded")
            after = kept() if answer.status_code < 400 else before
            tables = [name for name in after if after[name] != before[name]]
            acts = list(Act.objects.exclude(pk__in=known))
            transaction.set_rollback(True)
        self.statuses[what] = answer.status_code
        if tables:
            self.changed.add(what)
        if tables and not acts and what not in LOOKED_AT_AGAIN:
            self.faults.append(f"{what}: changed {sorted(set(tables))}, and nothing is recorded")
        poor = [act for act in acts if tables and not told(act)]
        self.faults += [f"{what}: “{act}” does not say what was or what is" for act in poor]

    def form(self, what: str, address: str) -> None:
        """Send a form back with each text in it changed a little."""
        page = self._client.get(address)
        form = page.context["adminform"].form if page.status_code == 200 and "adminform" in page.context else None
        if form is None or not form.fields:
            return
        sent = {name: form[name].value() for name in form.fields if form[name].value() not in (None, False)}
        words = [name for name, field in form.fields.items() if isinstance(sent.get(name), str) and name in WORDS]
        extra = {"_save": "1"} | {f"{each.formset.prefix}-{key}": 0 for each in page.context["inline_admin_formsets"]
                                  for key in ("TOTAL_FORMS", "INITIAL_FORMS")}  # fmt: skip
        self.call(f"{what} change", "POST", address, sent | extra | {name: f"{sent[name]} x" for name in words})

    def request(self) -> Any:
        made = RequestFactory().get("/admin/")
        made.user = User.objects.get(username="boss")
        return made


@pytest.fixture
def seen(world: World) -> Seen:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("boss"))
    return Seen(client)


def test_pages_and_calls(world: World, seen: Seen) -> None:
    asked = wanted(world)
    for door in doors():
        for method in METHODS if door.area != "admin" else ():
            if f"{door.area} {door.name}" in LOOKS:
                continue
            what, kind = f"{door.area} {door.name} {method}", "application/json" if door.area == "api" else ""
            place, body = asked.get(what, ([], {}))
            name = f"api:{door.name}" if door.area == "api" else door.name
            address = reverse(name, args=place) if place else door.address(world.old)
            query = "?status=parked" if what == "api queue_items DELETE" else ""
            seen.call(what, method, address + query, body, kind)
    assert not seen.faults, "\n".join(seen.faults)
    assert {what: seen.statuses[what] for what in set(asked) - seen.changed} == {}


def test_the_forms_and_actions_of_the_admin(world: World, seen: Seen) -> None:
    """Each form is sent back as it is shown with another word in it, each row deleted, each action taken."""
    for model, row in world.rows.items():
        place = admin.site._registry[model]
        named = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        if model is not ApiToken:
            seen.call(f"{model.__name__} delete", "POST", reverse(f"{named}_delete", args=[row.pk]), {"post": "yes"})
            seen.form(model.__name__, reverse(f"{named}_change", args=[row.pk]))
        request = seen.request()
        for action in place.get_actions(request):
            body = {"action": action, "_selected_action": [row.pk], "post": "yes"}
            seen.call(f"{model.__name__} {action}", "POST", reverse(f"{named}_changelist"), body)
    assert not seen.faults, "\n".join(seen.faults)
    assert len(seen.changed) > 20, seen.changed
