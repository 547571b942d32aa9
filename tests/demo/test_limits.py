"""The demo API's limits are enforced at arrival, its failures are those of a seed, and it says what arrived."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPMessage
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from demo_api.limits import Limit, Limits
from demo_api.messages import Refusal
from demo_api.messages import Request as Asked
from demo_api.server import ApiServer

from tests.demo.answers import start
from tests.demo.conftest import asked, served

OPEN = {"/metrics": Limit(), "/v1/chat/completions": Limit(), "/internal/rows": Limit()}


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with served(ApiServer("127.0.0.1", 0, limits=Limits(OPEN))) as made:
        yield made


def call(method: str, url: str, body: Any = None, **headers: str) -> tuple[int, Any, HTTPMessage]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(url, data, {"Content-Type": "application/json", **headers}, method=method)) as answer:
            return answer.status, json.load(answer), answer.headers
    except HTTPError as error:
        return error.code, json.load(error), error.headers


def metrics(server: ApiServer, *keywords: str) -> tuple[int, Any, HTTPMessage]:
    return call("POST", f"{server.url}/metrics", {"keywords": list(keywords or ("tea",))})


def limit(server: ApiServer, path: str, **changes: float) -> None:
    assert call("PUT", f"{server.url}/limits", {path: changes})[0] == 200


def test_metrics_are_those_of_the_keyword_whenever_and_beside_whichever_it_is_asked(server: ApiServer) -> None:
    _, first, _ = metrics(server, "tea", "Kaffee ☕")
    _, second, _ = metrics(server, "Kaffee ☕", "mate")
    assert first["metrics"][1] == second["metrics"][0]
    assert [each["keyword"] for each in second["metrics"]] == ["Kaffee ☕", "mate"]
    assert set(first["metrics"][0]) == {"keyword", "search_volume", "cost_per_click", "competition", "trend"}


@pytest.mark.parametrize(
    "body", [{}, [], {"keywords": []}, {"keywords": "tea"}, {"keywords": [1]}, None, {"keywords": [""]}]
)
def test_metrics_of_nothing_are_422(server: ApiServer, body: Any) -> None:
    assert call("POST", f"{server.url}/metrics", body)[0] in (400, 422)


def test_a_chat_answers_in_openais_shape_and_the_same_to_the_same(server: ApiServer) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Write about tea."}]}
    status, answer, _ = call("POST", f"{server.url}/v1/chat/completions", body)
    assert (status, answer["object"], answer["model"]) == (200, "chat.completion", "m")
    assert answer["choices"][0]["message"]["role"] == "assistant" and answer["choices"][0]["message"]["content"]
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]
    assert call("POST", f"{server.url}/v1/chat/completions", body)[1] == answer
    assert call("POST", f"{server.url}/v1/chat/completions", {"messages": ["x"]})[0] == 422


def test_the_internal_api_gives_each_row_once_to_who_goes_on_where_it_says(server: ApiServer) -> None:
    after, found = 0, []
    while True:
        page = asked(f"{server.url}/internal/rows?after={after}&rows=40&total=100")
        found += page["items"]
        after = page["last"]
        if not page["left"]:
            break
    assert [row["number"] for row in found] == list(range(1, 101))
    assert call("GET", f"{server.url}/internal/rows")[0] == 422


def test_one_more_than_allowed_is_429_and_says_when_to_come_again(server: ApiServer) -> None:
    limit(server, "/metrics", requests=2, seconds=30)
    assert [metrics(server)[0] for _ in range(2)] == [200, 200]
    status, answer, headers = metrics(server)
    assert (status, headers["Retry-After"]) == (429, "30")
    assert answer["detail"].startswith("Too many: 2 requests are allowed in 30 s.")
    assert asked(f"{server.url}/internal/rows?rows=1")["items"]


def arrive(at: float, rows: int = 0) -> Asked:
    return Asked("GET", "/x", "", at, query={"rows": str(rows)} if rows else {})


def answers(limits: Limits, *requests: Asked) -> list[str]:
    """ "in", or the Retry-After, for each."""

    def answer(request: Asked) -> str:
        try:
            limits.guard(request)
        except Refusal as refusal:
            return refusal.headers.get("Retry-After", str(refusal.status))
        return "in"

    return [answer(request) for request in requests]


def test_the_window_rolls_with_each_arrival_and_who_was_refused_does_not_count() -> None:
    limits = Limits({"/x": Limit(requests=2, seconds=10)})
    times = (0, 4, 5, 9.5, 10, 10.5, 14, 14)
    assert answers(limits, *map(arrive, times)) == ["in", "in", "5", "1", "in", "4", "in", "6"]


def test_rows_are_counted_beside_requests_and_more_than_a_window_holds_is_never_possible() -> None:
    limits = Limits({"/x": Limit(requests=10, rows=100, seconds=10)})
    asked_for = [(0, 60), (1, 50), (2, 40), (3, 1), (10, 60), (10, 1), (11, 101)]
    assert answers(limits, *(arrive(at, rows) for at, rows in asked_for)) == ["in", "9", "in", "7", "in", "2", "422"]


def test_of_many_that_arrive_at_once_as_many_as_allowed_are_let_in(server: ApiServer) -> None:
    limit(server, "/metrics", requests=3, seconds=60)
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(metrics(server)[0])) for _ in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(statuses) == [200] * 3 + [429] * 9


def failures(seed: int) -> list[str]:
    limits = Limits({"/x": Limit(failure_rate=0.3, seed=seed)})
    return answers(limits, *(arrive(number) for number in range(100)))


def test_the_seed_says_which_requests_fail() -> None:
    assert failures(1) == failures(1) != failures(2)
    assert 15 < failures(1).count("500") < 45


def test_a_slow_share_is_slow(server: ApiServer) -> None:
    limit(server, "/metrics", slow_rate=1, slow_seconds=0.2)
    began = time.monotonic()
    assert metrics(server)[0] == 200
    assert time.monotonic() - began >= 0.2


def test_the_log_says_what_arrived_when_and_how_it_was_answered(server: ApiServer) -> None:
    limit(server, "/metrics", requests=1, seconds=60)
    before = time.time()
    metrics(server)
    metrics(server)
    asked(f"{server.url}/internal/rows?rows=7")
    items = asked(f"{server.url}/arrivals")["items"]
    assert [(each["method"], each["path"], each["status"], each["rows"]) for each in items] == [
        ("POST", "/metrics", 200, 0), ("POST", "/metrics", 429, 0), ("GET", "/internal/rows", 200, 7),
    ]  # fmt: skip
    assert before <= items[0]["at"] <= items[1]["at"] <= time.time()
    assert len(asked(f"{server.url}/arrivals?path=/metrics&after=1")["items"]) == 1
    call("DELETE", f"{server.url}/arrivals")
    assert asked(f"{server.url}/arrivals")["items"] == []
    assert metrics(server)[0] == 200


@pytest.mark.parametrize(
    "change",
    [
        {"requests": -1},
        {"requests": 1.5},
        {"seconds": 0},
        {"failure_rate": 2},
        {"sleep": 1},
        {"rows": "x"},
        {"slow_seconds": 1e6},
    ],
)
def test_a_limit_that_makes_no_sense_changes_nothing(server: ApiServer, change: Any) -> None:
    before = asked(f"{server.url}/limits")
    assert call("PUT", f"{server.url}/limits", {"/internal/rows": {"requests": 5}, "/metrics": change})[0] == 422
    assert asked(f"{server.url}/limits") == before


def test_a_page_in_a_browser_cannot_set_limits_or_read_the_log(server: ApiServer) -> None:
    assert call("PUT", f"{server.url}/limits", {}, Origin="http://evil.example")[0] == 403
    assert call("GET", f"{server.url}/arrivals", Origin="null")[0] == 403
    assert call("PUT", f"{server.url}/limits", {}, **{"Content-Type": "text/plain"})[0] == 415


def test_another_machine_cannot_set_limits() -> None:
    from demo_api.control import check_near

    check: Callable[[str], None] = lambda client: check_near(Asked("PUT", "/limits", "", 0.0, client=client))  # noqa: E731
    check("127.0.0.1")
    check("::1")
    with pytest.raises(Refusal, match="only for programs on the machine"):
        check("192.0.2.7")


def test_limits_are_given_at_the_start() -> None:
    with start("--port", "0", "--limits", '{"/metrics": {"requests": 9}}') as process:
        assert process.stdout
        url = process.stdout.readline().split()[-1].removesuffix("/datasets")
        assert asked(f"{url}/limits")["/metrics"]["requests"] == 9
        process.terminate()
    with start("--limits", '{"/metrics": 9}') as process:
        assert process.stderr and process.stderr.read().startswith(
            "--limits is not understood: /metrics: write an object"
        )
