"""Every page of the admin, walked by everybody."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from console.models import ApiToken
from console.roles import Role
from jobs.models import BatchQueue, Pipeline
from tests.admin.rows import SEEN_BY_ADMINS, SEEN_BY_OPERATORS, SEEN_BY_VIEWERS, one_of_each
from tests.factories import make_user

SEEN: dict[str, set[type[Model]]] = {}
SEEN["viewer"] = {*SEEN_BY_VIEWERS, BatchQueue, Pipeline}
SEEN["analyst"] = SEEN["viewer"]
SEEN["operator"] = SEEN["viewer"] | set(SEEN_BY_OPERATORS)
SEEN["admin"] = SEEN["operator"] | set(SEEN_BY_ADMINS)


def url(model: type[Model], page: str, row: Model | None = None) -> str:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return reverse(name, args=[row.pk] if row else [])


def with_pages(rows: dict[type[Model], Model]) -> dict[type[Model], Model]:
    """A token has no page of its own: its address would tell the hash."""
    return {model: row for model, row in rows.items() if model is not ApiToken}


def test_every_registered_model_has_a_row_in_this_walk(db: None) -> None:
    assert set(one_of_each()) == set(admin.site._registry)


def test_a_superuser_sees_every_list_row_and_history(admin_page: Client) -> None:
    rows = one_of_each()
    assert admin_page.get(url(ApiToken, "changelist")).status_code == 200
    for model, row in with_pages(rows).items():
        for address in (url(model, "changelist"), url(model, "change", row), url(model, "history", row)):
            assert admin_page.get(address).status_code == 200, address
        assert admin_page.get(url(model, "changelist") + "?q=1").status_code == 200, model


def test_a_superuser_may_add_only_what_people_make(admin_page: Client) -> None:
    one_of_each()
    addable = {model.__name__ for model in admin.site._registry if admin_page.get(url(model, "add")).status_code == 200}
    assert addable == {
        *(
            "Project",
            "Rule",
            "BatchQueue",
            "Quota",
            "PeriodicTask",
            "CrontabSchedule",
            "IntervalSchedule",
            "ClockedSchedule",
            "SolarSchedule",
        ),
        *("User", "Group", "ApiToken"),
    }


def test_nobody_edits_or_deletes_a_fact(admin_page: Client) -> None:
    rows = one_of_each()
    for model in SEEN_BY_VIEWERS:
        if model.__name__ not in ("Project", "Quota", "Rule"):
            assert admin_page.post(url(model, "change", rows[model]), {}).status_code == 403, model
            assert admin_page.post(url(model, "delete", rows[model]), {"post": "yes"}).status_code == 403, model
            assert model._default_manager.filter(pk=rows[model].pk).exists()


@pytest.mark.parametrize("role", list(Role))
def test_staff_of_a_role_see_what_the_role_gives_and_nothing_else(role: str, as_role: Callable[[str], Client]) -> None:
    rows = one_of_each()
    browser = as_role(role)
    seen = {model for model in admin.site._registry if browser.get(url(model, "changelist")).status_code == 200}
    assert seen == SEEN[role]
    pages = with_pages(rows)
    opened = {model for model, row in pages.items() if browser.get(url(model, "change", row)).status_code == 200}
    assert opened == SEEN[role] - {ApiToken}


@pytest.mark.parametrize("role", ["viewer", "analyst", "operator"])
def test_only_admins_add_or_change_anything(role: str, as_role: Callable[[str], Client]) -> None:
    rows = one_of_each()
    browser = as_role(role)
    assert browser.get(url(ApiToken, "add")).status_code == 403
    for model, row in with_pages(rows).items():
        assert browser.get(url(model, "add")).status_code == 403, model
        assert browser.post(url(model, "change", row), {"name": "x"}).status_code == 403, model
        assert browser.post(url(model, "delete", row), {"post": "yes"}).status_code == 403, model


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_without_the_staff_flag_there_is_no_way_in(role: str, client: Client, db: None) -> None:
    client.force_login(make_user("olga", role))
    answer = client.get(reverse("admin:index"))
    assert answer.status_code == 302
    assert "login" in answer["Location"]


def test_a_page_shows_log_lines_as_text_and_never_as_markup(admin_page: Client) -> None:
    rows = one_of_each()
    chunk = next(row for model, row in rows.items() if model.__name__ == "LogChunk")
    page = admin_page.get(url(type(chunk), "change", chunk)).content.decode()
    assert "&lt;b&gt;hello&lt;/b&gt;" in page
    assert "<b>hello</b>" not in page
