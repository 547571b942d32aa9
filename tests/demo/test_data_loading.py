from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pandas as pd
import pytest
import stamina
from demo.pipelines.data_loading.fetch import FetchError, FetchSettings, fetch_rows, retry_after
from demo.pipelines.data_loading.process import count_rows, process_rows
from demo_api import datasets
from demo_api.server import ApiServer

from tests.demo.conftest import all_rows, free_port, served
from tests.demo.trouble import failing, guarded

PATIENT = FetchSettings()


@pytest.fixture(autouse=True)
def no_waiting_between_tries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4, cap=True):
        yield


@pytest.mark.parametrize("name", ["airports", "cars", "us-employment", "seattle-weather", "stocks"])
def test_the_frame_holds_every_row_of_the_api(api: ApiServer, name: str) -> None:
    frame = fetch_rows(f"{api.url}/datasets/{name}", PATIENT)
    rows = all_rows(f"{api.url}/datasets/{name}")
    assert [
        {key: None if pd.isna(value) else value for key, value in row.items()} for row in frame.to_dict("records")
    ] == rows


def test_whole_numbers_stay_whole_beside_missing_ones(api: ApiServer) -> None:
    assert str(fetch_rows(f"{api.url}/datasets/cars", PATIENT)["Horsepower"].dtype) == "Int64"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_failure_is_tried_again(status: int) -> None:
    policy, seen = failing(2, status)
    with guarded(policy) as server:
        assert len(fetch_rows(f"{server.url}/datasets/cars", PATIENT)) == 406
    assert len(seen) == 3


def test_a_failure_that_stays_ends_in_a_sentence_with_what_the_api_said() -> None:
    policy, seen = failing(99, 503)
    with (
        guarded(policy) as server,
        pytest.raises(FetchError, match=r'/datasets/cars answered 503 Service Unavailable: {"detail":"Not now."}'),
    ):
        fetch_rows(f"{server.url}/datasets/cars", PATIENT)
    assert len(seen) == PATIENT.attempts


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_bad_status_that_is_our_fault_is_not_tried_again(status: int) -> None:
    policy, seen = failing(1, status)
    with guarded(policy) as server, pytest.raises(FetchError, match=f"answered {status} "):
        fetch_rows(f"{server.url}/datasets/cars", PATIENT)
    assert len(seen) == 1


def test_a_retry_after_beyond_our_patience_fails_at_once_and_says_it() -> None:
    policy, seen = failing(1, 429, {"Retry-After": "3600"})
    with guarded(policy) as server, pytest.raises(FetchError, match="It asks to wait: Retry-After 3600"):
        fetch_rows(f"{server.url}/datasets/cars", PATIENT)
    assert len(seen) == 1


def test_retry_after_is_understood_as_seconds_and_as_a_date() -> None:
    now = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
    assert retry_after("7", now) == timedelta(seconds=7)
    assert retry_after("Thu, 01 Jan 2026 12:00:30 GMT", now) == timedelta(seconds=30)
    assert retry_after("Thu, 01 Jan 2026 11:00:00 GMT", now) == timedelta()
    assert retry_after("soon", now) is None


def test_nobody_there_is_told_in_a_sentence() -> None:
    with pytest.raises(FetchError, match=r"could not be reached .* Is params:api_url right and the server up\?"):
        fetch_rows(f"http://127.0.0.1:{free_port()}/datasets/cars", PATIENT)


def test_json_without_rows_is_refused(api: ApiServer) -> None:
    with pytest.raises(FetchError, match="answered JSON without rows"):
        fetch_rows(f"{api.url}/health", PATIENT)


class Leads(BaseHTTPRequestHandler):
    """An API whose only page names another one, as the test wishes."""

    following: ClassVar[str]

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"items": [{"name": "x"}], "next": self.following}).encode())

    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize(
    ("following", "sentence"),
    [("/rows", "the pages would never end"), ("http://127.0.0.2:1/rows", "on another server")],
)
def test_a_next_page_that_leads_astray_is_refused(following: str, sentence: str) -> None:
    handler = type("Astray", (Leads,), {"following": following})
    with served(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server, pytest.raises(FetchError, match=sentence):
        fetch_rows(f"http://127.0.0.1:{server.server_port}/rows", PATIENT)


@pytest.mark.parametrize(("name", "column"), [("airports", "name"), ("cars", "Name")])
def test_names_become_upper_case_and_nothing_else_changes(api: ApiServer, name: str, column: str) -> None:
    raw = fetch_rows(f"{api.url}/datasets/{name}", PATIENT)
    processed = process_rows(raw)
    assert processed[column].tolist() == [str(row[column]).upper() for row in datasets.rows(name)]
    pd.testing.assert_frame_equal(processed.drop(columns=column), raw.drop(columns=column))


def test_rows_without_a_name_go_through_with_a_warning(api: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    raw = fetch_rows(f"{api.url}/datasets/stocks", PATIENT)
    pd.testing.assert_frame_equal(process_rows(raw), raw)
    assert "No column of text is called name" in caplog.text
    assert count_rows(raw, raw) == {"raw_rows": 560, "processed_rows": 560, "columns": 3}
