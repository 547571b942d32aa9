"""Whoever asks too often is told how long to wait; nobody else is."""

from __future__ import annotations

import pytest
from django.test import Client

from console.env import Rate
from tests.api.conftest import get


@pytest.fixture(autouse=True)
def _few(settings) -> None:
    settings.CONSOLE_API_LIMIT = Rate(3, 60)


def statuses(client: Client, count: int, **more: object) -> list[int]:
    return [get(client, "/jobs", **more).status_code for _ in range(count)]


def test_a_token_that_asks_too_often_has_to_wait_and_another_has_not(caller) -> None:
    busy, other = caller("viewer"), caller("viewer")
    assert statuses(busy, 4) == [200, 200, 200, 429]
    answer = get(busy, "/jobs")
    assert 0 < int(answer["Retry-After"]) <= 20
    assert answer.json()["detail"].startswith("Asked too often: try again in ")
    assert statuses(other, 1) == [200], "though it has the same address"
    assert statuses(busy, 1, REMOTE_ADDR="203.0.113.5") == [429], "though it has another address"


def test_wrong_tokens_are_counted_by_address_however_they_differ() -> None:
    tried = [get(Client(), "/jobs", HTTP_AUTHORIZATION=f"Bearer {n}").status_code for n in range(5)]
    assert tried == [401, 401, 401, 429, 429]
    assert statuses(Client(), 1, REMOTE_ADDR="203.0.113.5") == [401]


def test_nobody_without_a_token_asks_without_end(settings) -> None:
    assert statuses(Client(), 4) == [401, 401, 401, 429]
    settings.CONSOLE_ANONYMOUS_API = "viewer"
    local = {"REMOTE_ADDR": "127.0.0.2", "HTTP_HOST": "localhost"}
    assert statuses(Client(), 4, **local) == [200, 200, 200, 429]


def test_a_right_token_is_let_in_where_wrong_ones_came_from(caller) -> None:
    statuses(Client(), 10)
    assert statuses(caller("viewer"), 1) == [200]


def test_behind_a_proxy_each_has_their_own_count(settings) -> None:
    settings.CONSOLE_TRUSTED_PROXIES = ["127.0.0.1"]
    for client in ("203.0.113.5", "203.0.113.6"):
        assert statuses(Client(), 4, HTTP_X_FORWARDED_FOR=client) == [401, 401, 401, 429]


def test_health_is_asked_as_often_as_one_likes() -> None:
    assert 429 not in [get(Client(), "/health").status_code for _ in range(5)]


def test_each_refused_token_is_one_line(caplog) -> None:
    get(Client(), "/jobs", HTTP_AUTHORIZATION="Bearer wrong", REMOTE_ADDR="203.0.113.5")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "console.access"]
    assert line == 'Token refused from 203.0.113.5: "This token is not known: it was revoked, or mistyped."'
    caplog.clear()
    get(Client(), "/jobs")
    assert not caplog.records, "no token, no attempt"
