from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from demo_api import datasets
from demo_api.messages import Refusal
from demo_api.messages import Request as Asked
from demo_api.server import ApiServer

from tests.demo.answers import start
from tests.demo.conftest import PROJECT, all_rows, asked, served


def refused(url: str, **options: object) -> tuple[int, str]:
    with pytest.raises(HTTPError) as caught:
        urlopen(Request(url, **options), timeout=10)  # type: ignore[arg-type]
    return caught.value.code, json.load(caught.value)["detail"]


def test_the_list_names_every_data_set_with_its_count(api: ApiServer) -> None:
    listed = {item["name"]: item for item in asked(f"{api.url}/datasets")["items"]}
    assert listed["airports"]["count"] == 3376
    assert {"cars", "us-employment", "seattle-weather", "stocks"} <= set(listed)
    assert listed["airports"]["columns"][:2] == ["iata", "name"]


def test_a_page_says_where_it_is_and_what_comes_next(api: ApiServer) -> None:
    with urlopen(f"{api.url}/datasets/airports?page=2&page_size=1000") as answer:
        page, link = json.load(answer), answer.headers["Link"]
    assert {key: page[key] for key in ("name", "page", "page_size", "total", "pages")} == {
        "name": "airports", "page": 2, "page_size": 1000, "total": 3376, "pages": 4,
    }  # fmt: skip
    assert len(page["items"]) == 1000
    assert link == f'<{page["next"]}>; rel="next"'
    assert asked(page["next"])["page"] == 3


def test_the_last_page_names_no_next_one(api: ApiServer) -> None:
    with urlopen(f"{api.url}/datasets/airports?page=7") as answer:
        assert answer.headers["Link"] is None
        assert json.load(answer)["next"] is None


@pytest.mark.parametrize("name", sorted(datasets.sources()))
def test_following_the_pages_gives_every_row_once_and_in_order(api: ApiServer, name: str) -> None:
    assert all_rows(f"{api.url}/datasets/{name}?page_size=700") == datasets.rows(name)


def test_values_have_one_type_a_column_and_nothing_is_guessed_away(api: ApiServer) -> None:
    rows = all_rows(f"{api.url}/datasets/airports")
    assert {type(row["latitude"]) for row in rows} == {float}
    assert {type(row["iata"]) for row in rows} == {str}
    assert any(row["state"] == "NA" for row in rows)


def test_an_unknown_data_set_is_404_with_the_nearest_name(api: ApiServer) -> None:
    assert refused(f"{api.url}/datasets/airport") == (404, "There is no data set 'airport'. Did you mean airports?")


@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "page=-1", "page=1.5", "page=²", "page_size=0", "page_size=99999"]
)
def test_a_bad_page_number_is_422_and_says_the_range(api: ApiServer, query: str) -> None:
    status, sentence = refused(f"{api.url}/datasets/cars?{query.replace('²', '%C2%B2')}")
    assert status == 422
    assert "write a whole number from 1 to" in sentence


def test_a_path_or_a_method_that_is_not_served_is_told_so(api: ApiServer) -> None:
    assert refused(f"{api.url}/nowhere")[0] == 404
    assert refused(f"{api.url}/datasets/..%2f..%2fetc%2fpasswd")[0] == 404
    assert refused(f"{api.url}/datasets", method="POST", data=b"{}") == (405, "/datasets answers GET only.")


def test_a_failure_that_is_asked_for_comes_with_its_status(api: ApiServer) -> None:
    assert refused(f"{api.url}/datasets/cars?fail=503")[0] == 503
    with pytest.raises(HTTPError) as limited:
        urlopen(f"{api.url}/datasets/cars?fail=429")
    assert limited.value.headers["Retry-After"] == "1"
    assert refused(f"{api.url}/datasets/cars?fail=200")[0] == 422


def test_a_delay_that_is_asked_for_is_kept_and_has_a_limit(api: ApiServer) -> None:
    started = time.monotonic()
    asked(f"{api.url}/datasets/cars?delay=0.2")
    assert time.monotonic() - started >= 0.2
    assert refused(f"{api.url}/datasets/cars?delay=60")[0] == 422
    assert refused(f"{api.url}/datasets/cars?delay=nan")[0] == 422


def test_health_has_no_policy(api: ApiServer) -> None:
    assert asked(f"{api.url}/health?fail=500")["status"] == "ok"


def test_a_policy_guards_its_own_path_alone() -> None:
    def close(request: Asked) -> None:
        raise Refusal(429, "Closed.", {"Retry-After": "7"})

    with served(ApiServer("127.0.0.1", 0, policies=[("/datasets/cars", close)])) as server:
        assert refused(f"{server.url}/datasets/cars") == (429, "Closed.")
        assert asked(f"{server.url}/datasets/iris")["total"] == 150


def test_one_connection_carries_many_requests(api: ApiServer) -> None:
    connection = http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=10)
    sockets = set()
    for path in ("/health", "/datasets/nothing", "/datasets/cars?page_size=1"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        sockets.add(connection.sock)
        assert answer.version == 11
    assert len(sockets) == 1
    assert None not in sockets
    connection.close()


def test_links_keep_the_address_that_the_client_used(api: ApiServer) -> None:
    url = api.url.replace("127.0.0.1", "localhost")
    assert asked(f"{url}/datasets/airports")["next"].startswith(f"{url}/datasets/airports?page=2")


def test_sigterm_ends_it_at_once_even_with_an_answer_under_way() -> None:
    with start("--port", "0") as server:
        assert server.stdout
        line = server.stdout.readline()
        assert line.startswith("The demo API serves on http://127.0.0.1:")
        address = urlsplit(line.split()[-1])
        with socket.create_connection((str(address.hostname), address.port or 0)) as slow:
            slow.sendall(b"GET /datasets/cars?delay=10 HTTP/1.1\r\nHost: x\r\n\r\n")
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=8) == 0
        assert server.stdout.read() == ""


def test_a_taken_port_is_told_in_a_sentence(api: ApiServer) -> None:
    with start("--port", str(api.server_port)) as server:
        _, errors = server.communicate(timeout=20)
        assert server.returncode == 1
    assert errors.startswith(f"The demo API cannot serve on 127.0.0.1:{api.server_port}: Address already in use.")


def test_it_runs_on_the_standard_library_alone() -> None:
    code = (
        "import sys, demo_api.__main__, demo_api.datasets as d; d.rows('airports')\n"
        "print({'pandas', 'numpy', 'vega_datasets', 'httpx2'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT / "src", capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"
