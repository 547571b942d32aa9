"""What somebody sees who asked for what is not there or not his."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from django.test import Client

from tests.views.scenes import logged_in

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("address", ["/nowhere/", "/runs/999999/", "/pipelines/999999/"])
def test_a_page_that_is_not_there_keeps_the_shell(address: str) -> None:
    answer = logged_in("viewer").get(address)
    body = answer.content.decode()
    assert answer.status_code == 404 and "There is no such page" in body
    assert 'id="nav-sidebar"' in body and 'href="/runs/"' in body


def test_a_page_of_another_role_keeps_the_shell_and_says_who_one_is() -> None:
    answer = logged_in("viewer").post("/runs/1/cancel/")
    body = answer.content.decode()
    assert answer.status_code == 403 and "You are logged in as viewer." in body and 'id="nav-sidebar"' in body


def test_a_form_that_is_too_old_keeps_the_shell() -> None:
    client = Client(enforce_csrf_checks=True)
    client.cookies = logged_in("operator").cookies
    answer = client.post("/runs/1/cancel/")
    body = answer.content.decode()
    assert answer.status_code == 403 and "The form was too old" in body and 'id="nav-sidebar"' in body


def test_strangers_see_the_sentence_alone() -> None:
    answer = Client().get("/nowhere/")
    assert answer.status_code == 404 and b"nav-sidebar" not in answer.content and b"no such page" in answer.content


def test_a_foreign_host_is_told_in_words() -> None:
    answer = Client().get("/", HTTP_HOST="evil.example")
    assert answer.status_code == 400 and b"cannot be understood" in answer.content


def test_when_the_shell_breaks_the_sentence_stands_alone() -> None:
    client = logged_in("viewer")
    with patch("console.views.shell.sidebar", side_effect=RuntimeError("no database")):
        answer = client.get("/nowhere/")
    assert answer.status_code == 404 and b"no such page" in answer.content


def test_a_broken_page_needs_nothing_but_its_file() -> None:
    client = logged_in("viewer")
    client.raise_request_exception = False
    with patch("console.views.home._shown", side_effect=RuntimeError("broken")):
        answer = client.get("/")
    assert answer.status_code == 500 and b"Something broke on our side" in answer.content
