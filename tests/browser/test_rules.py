from __future__ import annotations

import re

import pytest
from celery import current_app
from django.urls import reverse

from jobs.models import Rule
from tests.jobs.chains import ROWS, ended, make_rule, pipelines

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


@pytest.fixture(autouse=True)
def unsent(monkeypatch):
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


def test_the_proof_follows_what_is_typed_and_a_bad_expression_is_not_saved(open_as) -> None:
    a, *_ = pipelines()
    run = ended(a, results=ROWS)
    page = open_as("admin", f"{reverse('rule_new')}?source={a.pk}")
    page.get_by_label("Name").fill("Next")
    page.get_by_label("Starts", exact=True).select_option(label="shop / b")
    page.get_by_text(f"With run #{run.pk} of a (succeeded): It would start.").wait_for()
    page.get_by_label("Condition").fill("results.zip_file.rows > `50`")
    page.get_by_text("The condition is false.").wait_for()
    page.get_by_label("Condition").fill("results..rows")
    page.get_by_text("Character 9").wait_for()
    page.get_by_label("Parameters").fill("options.top = least(results.zip_file.rows, `30`)")
    page.get_by_label("Condition").fill("results.zip_file.rows > `5`")
    page.locator("#proof dd", has_text=re.compile("^30$")).wait_for()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Next is saved.").wait_for()
    assert Rule.objects.get().mapping == {"options.top": "least(results.zip_file.rows, `30`)"}


def test_a_rule_is_tested_and_deleted_after_a_question(open_as) -> None:
    a, b, *_ = pipelines()
    rule = make_rule([a], b)
    run = ended(a, results=ROWS)
    page = open_as("admin", rule.get_absolute_url())
    page.get_by_label("Run #").fill(str(run.pk))
    page.get_by_role("button", name="Test").click()
    page.get_by_text("It would start.").wait_for()
    page.get_by_role("button", name="Delete this rule").click()
    page.locator("#confirm-yes").click()
    page.get_by_text("was deleted; what it started stays").wait_for()
    assert not Rule.objects.exists()


def test_the_map_has_the_tools_of_every_graph(open_as) -> None:
    a, b, *_ = pipelines()
    make_rule([a], b, name="Onwards")
    page = open_as("viewer", reverse("rules"))
    page.get_by_label("Find in the graph").fill("onw")
    page.locator(".kc-node.is-found", has_text="Onwards").wait_for()
    page.get_by_role("button", name="Zoom in").click()
    width = "document.querySelector('[data-graph-box] svg').getBoundingClientRect().width"
    near = page.evaluate(width)
    page.get_by_role("button", name="Fit").click()
    assert page.evaluate(width) < near
