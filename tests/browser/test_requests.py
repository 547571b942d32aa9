"""The inbox of failed requests in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from jobs.models import Replay, RequestRecord
from tests.factories import make_run
from tests.records import a_request

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


def test_a_group_is_replayed_after_the_question_with_its_number(open_as: Callable[..., Any]) -> None:
    run = make_run()
    for number in range(3):
        a_request(run, url=f"https://api.example.com/rows/{number}")
    page = open_as("operator", "/requests/")
    with patch("celery.app.base.Celery.send_task"):
        page.get_by_role("button", name="Replay all 3").click()
        assert "Send 3 requests to api.example.com again?" in page.locator("#confirm-question").inner_text()
        page.get_by_role("button", name="Replay 3", exact=True).click()
        page.wait_for_url("**/replays/*/")
    assert page.get_by_text("0 of 3 answered").is_visible()
    assert Replay.objects.get().total == 3


def test_one_is_dismissed_with_a_reason(open_as: Callable[..., Any]) -> None:
    record = a_request(make_run())
    page = open_as("operator", record.get_absolute_url())
    page.locator("summary", has_text="Dismiss").click()
    page.get_by_label("Why?").fill("known outage")
    page.get_by_role("button", name="Dismiss", exact=True).click()
    page.get_by_text("1 request dismissed.").wait_for()
    assert RequestRecord.objects.get().settled_why == "known outage"
