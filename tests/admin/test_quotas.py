"""Quotas in the admin: windows in words, pause and open, and what forbids to delete one."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from jobs import clock
from jobs.models import Grant, Pipeline, Quota
from tests.factories import AT, make_pipeline, make_quota

pytestmark = pytest.mark.django_db


def test_windows_are_written_in_words_and_the_counters_left_alone(admin_page: Client) -> None:
    form = {"name": "chat", "description": "", "windows_in_words": "10 requests per minute"}
    assert admin_page.post(reverse("admin:jobs_quota_add"), form).status_code == 302
    quota = Quota.objects.get()
    Quota.objects.update(open_requests=2)
    address = reverse("admin:jobs_quota_change", args=[quota.pk])
    admin_page.post(address, {**form, "windows_in_words": "5 rows per hour\n1 request per second"})
    assert [str(window) for window in quota.windows.all()] == ["5 rows per hour", "1 request per second"]
    assert Quota.objects.get().open_requests == 2
    wrong = admin_page.post(address, {**form, "windows_in_words": "five an hour"})
    assert "is not understood" in wrong.content.decode()


def test_quotas_are_paused_and_opened_as_actions(admin_page: Client) -> None:
    quota = make_quota()
    for action, is_paused in (("pause", True), ("open", False)):
        admin_page.post(reverse("admin:jobs_quota_changelist"), {"action": action, "_selected_action": [quota.pk]})
        assert Quota.objects.get().is_paused(clock.now()) == is_paused


def test_a_quota_that_a_pipeline_takes_is_not_deleted(admin_page: Client) -> None:
    quota = make_quota()
    Grant.objects.create(quota=quota, asked_at=AT)
    make_pipeline(takes={"chat": 1})
    address = reverse("admin:jobs_quota_delete", args=[quota.pk])
    admin_page.post(address, {"post": "yes"})
    assert Quota.objects.exists()
    Pipeline.objects.update(takes={})
    admin_page.post(address, {"post": "yes"})
    assert not Quota.objects.exists()


def test_what_a_pipeline_takes_is_checked_in_its_form(admin_page: Client) -> None:
    make_quota()
    pipeline = make_pipeline()
    address = reverse("admin:jobs_pipeline_change", args=[pipeline.pk])
    form = {
        name: value
        for name, value in admin_page.get(address).context["adminform"].form.initial.items()
        if value is not None
    }
    given = {**form, "default_parameters": "{}", "retry_exceptions": "[]", "retry_nodes": "[]"}
    for takes, sentence in (
        ('{"mail": 1}', "There is no quota “mail”"),
        ('{"chat": 2}', "can never be granted"),
        ("[1]", "Write an object"),
    ):
        assert sentence in admin_page.post(address, {**given, "takes": takes}).content.decode()
    assert admin_page.post(address, {**given, "takes": '{"chat": 1}'}).status_code == 302
    assert Pipeline.objects.get().takes == {"chat": 1}
