"""A page that was left open saves nothing over what somebody else has changed meanwhile, whatever it edits."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from celery import current_app
from django.contrib.auth.models import User
from django.db import connection, models
from django.test import Client
from django.urls import reverse

from jobs import clock
from jobs.models import BatchQueue, Channel, Pipeline, Project, Quota, Rule, Schedule, Subscription
from jobs.models.version import edited, version_of
from jobs.schedules.switch import pause
from tests.admin.changing import filled
from tests.factories import make_pipeline, make_quota, make_schedule, make_user
from tests.views.browsers import Form
from tests.views.rule_fields import fields as rule_fields
from tests.views.scenes import logged_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


@dataclass(frozen=True)
class Page:
    """The editor of one row: what it sends, and which of its fields two people change."""

    row: models.Model
    address: str
    first: tuple[str, Any]
    """A field, and what the other person saves in it."""
    second: tuple[str, Any]
    form_id: str = ""

    def opened(self, client: Client) -> dict[str, Any]:
        """What the browser would send for the page as it is now."""
        answer = client.get(self.address)
        assert answer.status_code == 200
        shown = answer.content.decode()
        found = re.search(r'name="version" value="([\w-]+)"', shown)
        assert found, f"{self.address} carries no version"
        if self.form_id:
            return Form(shown, self.form_id).sent
        form = answer.context["adminform"].form if "adminform" in answer.context else answer.context["form"]
        return {**filled(form), "version": found[1]}


def schedule_page(_: User) -> Page:
    row = make_schedule(name="Mornings")
    return Page(
        row, reverse("schedule_edit", args=[row.pk]), ("note", "Ask Anna"), ("cron", "30 7 * * *"), form_id="run-form"
    )


def quota_page(_: User) -> Page:
    row = make_quota()
    return Page(
        row, reverse("quota_edit", args=[row.pk]), ("windows_in_words", "9 rows per hour"), ("description", "b")
    )


def rule_page(_: User) -> Page:
    row = rule()
    return Page(row, reverse("rule_edit", args=[row.pk]), ("max_per_hour", 7), ("condition", "`true`"))


def rule() -> Rule:
    at = clock.now()
    source = make_pipeline("a")
    row = Rule.objects.create(name="Next", target=make_pipeline("b", source.project), created_at=at, edited_at=at)
    row.sources.set([source])
    return row


def channel_page(by: User) -> Page:
    row = Channel.objects.create(name="Ops", kind="mail", address="a@example.org", owner=by, created_at=clock.now())
    return Page(row, reverse("channel", args=[row.pk]), ("address", "b@example.org"), ("name", "Ours"))


def subscription_page(by: User) -> Page:
    row = Subscription.objects.create(owner=by, kinds=["failing"], zone="UTC", created_at=clock.now())
    return Page(row, reverse("subscription", args=[row.pk]), ("kinds", ["failing", "recovered"]), ("subject", "Mine"))


def admin_page_of(row: models.Model, first: tuple[str, Any], second: tuple[str, Any]) -> Page:
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return Page(row, reverse(name, args=[row.pk]), first, second)


PAGES: dict[str, Callable[[User], Page]] = {
    "schedule": schedule_page,
    "quota": quota_page,
    "rule": rule_page,
    "channel": channel_page,
    "subscription": subscription_page,
    "quota in the admin": lambda _: admin_page_of(
        make_quota(), ("windows_in_words", "9 rows per hour"), ("description", "b")
    ),
    "rule in the admin": lambda _: admin_page_of(rule(), ("max_per_hour", 7), ("condition", "`true`")),
    "pipeline in the admin": lambda _: admin_page_of(make_pipeline(), ("retries", 3), ("priority", 2)),
    "batch queue in the admin": lambda _: admin_page_of(
        BatchQueue.objects.create(name="mails"), ("max_attempts", 9), ("description", "b")
    ),
    "person in the admin": lambda _: admin_page_of(make_user("eve"), ("email", "e@example.org"), ("first_name", "Eve")),
    "periodic task in the admin": lambda _: admin_page_of(
        make_schedule(name="Mornings").periodic_task, ("description", "Ask Anna"), ("cron", "0 7 * * *")
    ),
}


def people() -> tuple[Client, Client]:
    anna, me = Client(), Client()
    anna.force_login(User.objects.create_superuser("anna", password="correct horse battery"))
    me.force_login(User.objects.create_superuser("me", password="correct horse battery"))
    return anna, me


def opened(kind: str) -> tuple[Client, Client, Page, dict[str, Any]]:
    """Two people at one page, which the second has open: what that one's form sends."""
    anna, me = people()
    page = PAGES[kind](User.objects.get(username="me"))
    if kind in ("channel", "subscription"):
        anna = me  # in another window
    return anna, me, page, {**page.opened(me), page.second[0]: page.second[1]}


def facts(page: Page) -> dict[str, Any]:
    row = type(page.row)._base_manager.get(pk=page.row.pk)
    return {name: version_of(row)[place * 6 : place * 6 + 6] for place, name in enumerate(edited(row))}


@pytest.mark.parametrize("kind", PAGES)
def test_a_stale_page_is_refused_and_saves_over_it_when_that_is_meant(kind: str) -> None:
    anna, me, page, typed = opened(kind)
    assert anna.post(page.address, {**page.opened(anna), page.first[0]: page.first[1]}).status_code == 302
    by_anna = facts(page)
    refused = me.post(page.address, typed)
    assert refused.status_code == (200 if "admin" in kind else 409)
    shown = refused.content.decode()
    who = "me" if kind in ("channel", "subscription") else "anna"
    assert re.search(rf"{who} changed .* of .* on \d{{4}}-\d\d-\d\d at \d\d:\d\d:\d\d: nothing was saved\.", shown)
    assert "Save over it" in shown and str(page.second[1]) in shown
    assert facts(page) == by_anna
    version = re.search(r'name="version" value="([\w-]+)"', shown)
    assert version
    assert me.post(page.address, {**typed, "version": version[1]}).status_code == 302
    assert facts(page) != by_anna


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_that_is_still_right_is_saved(kind: str) -> None:
    _, me, page, typed = opened(kind)
    before = facts(page)
    assert me.post(page.address, typed).status_code == 302
    assert facts(page) != before


def test_the_refused_page_shows_what_is_saved_beside_what_is_typed() -> None:
    anna, me, page, typed = opened("schedule")
    anna.post(page.address, {**page.opened(anna), "cron": "15 5 * * *", "note": "Ask Anna"})
    shown = me.post(page.address, typed).content.decode()
    table = shown[shown.index('id="stale-title"') : shown.index("Save over it")]
    assert "anna changed note and rule of Mornings on" in table
    cells = [re.sub(r"\s+", " ", each).strip() for each in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", table, re.DOTALL)]
    assert cells[3:6] == ["Note", "Ask Anna", "nothing"]
    assert cells[7].endswith("at 05:15, Europe/Berlin") and cells[8].endswith("at 07:30, Europe/Berlin")


def test_a_pause_meanwhile_refuses_the_admins_form_that_would_switch_it_on_again() -> None:
    _, me, page, typed = opened("periodic task in the admin")
    pause(Schedule.objects.get(), at=clock.now(), by="olga")
    refused = me.post(page.address, typed).content.decode()
    assert "On of Mornings changed meanwhile: nothing was saved." in refused
    assert not Schedule.objects.get().periodic_task.enabled


def test_a_pause_meanwhile_leaves_the_editor_of_a_schedule_as_it_is() -> None:
    _, me, page, typed = opened("schedule")
    pause(Schedule.objects.get(), at=clock.now(), by="olga")
    assert me.post(page.address, typed).status_code == 302
    assert not Schedule.objects.get().periodic_task.enabled


def test_what_was_deleted_meanwhile_is_not_made_again() -> None:
    _, me, page, typed = opened("quota")
    Quota.objects.all().delete()
    assert me.post(page.address, typed).status_code == 404
    assert not Quota.objects.exists()


def test_an_encrypted_address_has_a_version_that_does_not_show_it() -> None:
    row = channel_page(make_user("owner")).row
    before = version_of(row)
    Channel.objects.update(address="c@example.org")
    now = version_of(Channel.objects.get())
    assert now != before and len(now) == len(before) == 6 * len(Channel.EDITED)


def test_what_our_own_processes_write_makes_no_page_stale() -> None:
    _, me, page, typed = opened("quota")
    Quota.objects.update(open_requests=3, closed_reason="429")
    assert me.post(page.address, typed).status_code == 302
    assert Quota.objects.get().open_requests == 3


def test_every_page_of_the_admin_that_changes_a_row_carries_its_version() -> None:
    from django.contrib import admin

    rows: list[models.Model] = [make_quota(), rule(), make_schedule(name="x").periodic_task, make_user("eve")]
    rows += [Pipeline.objects.all()[0], Project.objects.all()[0], BatchQueue.objects.create(name="mails")]
    boss = people()[0]
    for row in rows:
        address = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
        assert 'name="version"' in boss.get(address).content.decode(), address
        assert admin.site.is_registered(type(row))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["schedule", "quota in the admin"])
def test_of_two_that_save_at_once_one_is_refused(kind: str) -> None:
    people()
    page = PAGES[kind](User.objects.get(username="me"))
    ready, codes = threading.Barrier(4), list[int]()
    clients = [logged_in("admin") for _ in range(4)]
    forms = [{**page.opened(each), page.second[0]: page.second[1]} for each in clients]

    def save(number: int) -> None:
        field = "note" if kind == "schedule" else "description"
        try:
            ready.wait(20)
            codes.append(clients[number].post(page.address, {**forms[number], field: f"by {number}"}).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=save, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == ([302, 409, 409, 409] if kind == "schedule" else [200, 200, 200, 302])


def test_a_new_rule_needs_no_version() -> None:
    source = make_pipeline("a")
    sent = rule_fields([source], make_pipeline("b", source.project))
    assert logged_in("admin").post(reverse("rule_new"), sent).status_code == 302
