"""Rules in the admin: the same checks as on their page."""

from __future__ import annotations

import pytest
from celery import current_app
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from jobs.models import Firing, Rule
from tests.jobs.chains import ROWS, ended, make_rule, pipelines
from tests.views.rule_fields import fields

pytestmark = pytest.mark.django_db
LIST = "admin:jobs_rule_changelist"


@pytest.fixture(autouse=True)
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


def act(page: Client, action: str) -> list[str]:
    chosen = list(Rule.objects.values_list("pk", flat=True))
    answer = page.post(reverse(LIST), {"action": action, "_selected_action": chosen})
    return [str(message) for message in get_messages(answer.wsgi_request)]


def test_a_rule_is_made_and_a_bad_one_is_not(admin_page: Client) -> None:
    a, b, *_ = pipelines()
    address = reverse("admin:jobs_rule_add")
    page = admin_page.post(address, fields([a], b, condition="results..rows"))
    assert "Character 9" in page.content.decode() and not Rule.objects.exists()
    assert admin_page.post(address, fields([a], b, mapping="dry = `true`")).status_code == 302
    rule = Rule.objects.get()
    assert (rule.mapping, list(rule.sources.all())) == ({"dry": "`true`"}, [a])
    assert rule.created_by is not None


def test_many_are_turned_off_and_on_and_tested(admin_page: Client) -> None:
    a, b, c, _ = pipelines()
    make_rule([a], b)
    make_rule([c], b, name="other")
    assert act(admin_page, "disable") == ["to b is off.", "other is off."][::-1]
    assert not Rule.objects.filter(is_enabled=True).exists()
    act(admin_page, "enable")
    run = ended(a, results=ROWS)
    said = act(admin_page, "test_with_newest")[-2:]
    assert said[0] == "other: no past run ended like this."
    assert f"#{run.pk}" in said[1] and "It would start." in said[1]


def test_a_deleted_rule_leaves_its_firings(admin_page: Client) -> None:
    a, b, *_ = pipelines()
    rule = make_rule([a], b)
    ended(a)
    answer = admin_page.post(reverse("admin:jobs_rule_delete", args=[rule.pk]), {"post": "yes"})
    assert (answer.status_code, Rule.objects.exists(), Firing.objects.count()) == (302, False, 1)


def test_firings_are_found_by_rule_and_by_run(admin_page: Client) -> None:
    a, b, *_ = pipelines()
    make_rule([a], b)
    run = ended(a)
    for query, count in ((str(run.pk), 1), ("to b", 1), ("nothing", 0)):
        answer = admin_page.get(reverse("admin:jobs_firing_changelist"), {"q": query})
        assert len(answer.context["cl"].result_list) == count
