"""The HTTP client for nodes: retries with sense, quotas, pages, and sentences."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

import kedro_console
from kedro_console import http
from kedro_console.http import Client, HttpError
from kedro_console.wire.retry_after import seconds_asked
from tests.flaky_api import Api, flaky_api


@pytest.fixture
def api() -> Iterator[Api]:
    with flaky_api() as found:
        yield found


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(api: Api, waits: list[float]) -> Iterator[Client]:
    with Client(api.url, retries=3, timeout=5, sleep=waits.append, headers={"X-Api-Key": "k"}) as found:
        yield found


def test_it_answers_with_httpx_and_json(api: Api, client: Client) -> None:
    api.answer = {"rows": [1]}
    assert client.get_json("/200", params={"a": 1}) == {"rows": [1]}
    assert client.post_json("/200", {"q": 2}) == {"rows": [1]}
    assert [(method, path) for method, path, _, _ in api.seen] == [("GET", "/200?a=1"), ("POST", "/200")]
    assert api.seen[0][2]["x-api-key" if "x-api-key" in api.seen[0][2] else "X-Api-Key"] == "k"


def test_a_failing_answer_is_tried_again_with_growing_waits(api: Api, client: Client, waits: list[float]) -> None:
    assert client.get("/500,502,503,200").status_code == 200
    assert [0.5 * 2**place / 2 <= wait <= 0.5 * 2**place for place, wait in enumerate(waits)] == [True] * 3


def test_retry_after_is_obeyed_and_one_that_is_too_long_is_an_error(
    api: Api, client: Client, waits: list[float]
) -> None:
    api.headers = {"Retry-After": "7"}
    client.get("/429,200")
    assert 7 <= waits[0] <= 7.1
    api.headers = {"Retry-After": "9000"}
    with pytest.raises(HttpError, match="failed: the answer was 429"):
        client.get("/429")
    assert len(waits) == 1


def test_what_cannot_get_better_is_not_tried_again(api: Api, client: Client) -> None:
    with pytest.raises(HttpError, match=r"GET http://127.0.0.1:\d+/404 failed: the answer was 404 Not Found") as caught:
        client.get("/404")
    assert caught.value.status == 404 and len(api.seen) == 1


def test_a_post_that_may_have_arrived_is_not_sent_twice_unless_that_is_harmless(api: Api, client: Client) -> None:
    with pytest.raises(HttpError):
        client.post("/500", json={})
    assert len(api.seen) == 1
    assert client.post("/503,200", json={}).status_code == 200  # not worked on, says the server
    assert client.post("/500,200/again", json={}, is_repeatable=True).status_code == 200


def test_a_lost_connection_ends_in_one_sentence(waits: list[float]) -> None:
    client = Client("http://127.0.0.1:9", retries=2, sleep=waits.append)
    with client, pytest.raises(HttpError, match="failed after 3 attempts: ConnectError") as caught:
        client.get("/x")
    assert caught.value.status == 0 and len(waits) == 2


def test_pages_by_next_field_by_link_by_cursor_and_by_number(api: Api, client: Client) -> None:
    api.answer = lambda path: {"next": "/200?p=2" if "p=2" not in path else None, "path": path}
    assert [page["path"] for page in client.pages("/200", params={"size": 5})] == ["/200?size=5", "/200?p=2"]
    api.answer = lambda path: {"meta": {"after": "c2" if "after" not in path else ""}, "path": path}
    by_cursor = client.pages("/200", params={"size": 5}, cursor="after", next_field="meta.after")
    assert [page["path"] for page in by_cursor] == ["/200?size=5", "/200?size=5&after=c2"]
    api.answer = lambda path: {"items": [path] if "page=3" not in path else []}
    assert [page["items"][0] for page in client.pages("/200", page="page", items="items")] == [
        "/200?page=1",
        "/200?page=2",
    ]
    api.answer, api.headers = [1], {"Link": '</200?l=2>; rel="next"'}
    pages = client.pages("/200")
    assert next(pages) == [1] and next(pages) == [1]
    with pytest.raises(HttpError, match="never end"):
        next(pages)


def test_a_next_page_on_another_server_is_refused(api: Api, client: Client) -> None:
    api.answer = {"next": "http://elsewhere.example/steal"}
    pages = client.pages("/200")
    next(pages)
    with pytest.raises(HttpError, match="another server"):
        next(pages)


def test_an_answer_that_is_no_json_says_so(api: Api, client: Client) -> None:
    api.answer = b"<html>"
    with pytest.raises(HttpError, match="is not JSON"):
        client.get_json("/200")


def test_each_attempt_takes_a_grant_and_settles_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    class Held:
        def __enter__(self) -> Held:
            return self

        def __exit__(self, *_: object) -> None:
            told.append("closed")

        def settle(self, status: int, retry_after_seconds: Any = None) -> None:
            told.append((status, retry_after_seconds))

    quotas = type(sys)("kedro_console.quotas")
    quotas.grant = lambda name, requests, rows: told.append((name, requests, rows)) or Held()
    monkeypatch.setitem(sys.modules, "kedro_console.quotas", quotas)
    api.headers = {"Retry-After": "0"}
    with Client(api.url, quota="chat", sleep=lambda _: None) as client:
        client.get("/429,200", rows=5)
    assert told == [("chat", 1, 5), (429, "0"), "closed", ("chat", 1, 5), (200, "0"), "closed"]


def test_without_httpx_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LIBRARIES", ("no_such_httpx",))
    with pytest.raises(HttpError, match="add httpx"):
        Client("http://x")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("3", 3.0), ("0.5", 0.5), ("soon", None), ("", None), ("-1", None), (formatdate(1000, usegmt=True), 100.0)],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert seconds_asked(header, 900.0) == seconds


def test_its_import_loads_no_httpx() -> None:
    code = "import sys, kedro_console.http; sys.exit('httpx2' in sys.modules or 'httpx' in sys.modules)"
    pipelines = str(Path(kedro_console.__file__).parent.parent)
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": pipelines}).returncode == 0
