"""The nodes of the three cases, alone: what they take, ask, write, and do when the API refuses."""

from __future__ import annotations

import gzip
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from demo_api.limits import Limit, Limits
from demo_api.metrics import metrics as metrics_of
from demo_api.server import ApiServer

from kedro_console import batches
from tests.demo.conftest import BUCKET, PROJECT, Kedro, served

OPEN = {"/metrics": Limit(), "/v1/chat/completions": Limit(), "/internal/rows": Limit()}
PIPELINES = PROJECT.parent


@pytest.fixture
def server() -> Any:
    with served(ApiServer("127.0.0.1", 0, limits=Limits(OPEN))) as made:
        yield made


@pytest.fixture
def alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nodes called in this process work in the copy of the project, without the console."""
    from demo import addresses, database
    from demo.pipelines.keywords import query
    from demo.pipelines.texts import ask, upload

    for module in (addresses, database, query, ask, upload):
        monkeypatch.setattr(module, "in_project", lambda path: project / path)
    monkeypatch.chdir(project)
    return project


def cases(project: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(project / "data/03_primary/cases.db")) as connection:
        return connection.execute(query).fetchall()


def test_the_query_of_the_file_finds_the_rows_of_its_language(alone: Path) -> None:
    from demo.pipelines.keywords.query import QuerySettings, SourceSettings, make_source, run_query

    database = make_source(SourceSettings(keywords=100))
    assert make_source(SourceSettings(keywords=100)) == database
    rows = run_query(database, QuerySettings(least_interest=50, most=7))
    assert len(rows) == 7 and set(rows["language"]) == {"en"} and rows["interest"].min() >= 50
    assert rows["interest"].is_monotonic_decreasing
    assert len(run_query(database, QuerySettings(language="x' OR '1'='1"))) == 0


def test_the_querys_result_is_kept_once(alone: Path) -> None:
    from demo.pipelines.keywords.query import store_query_result

    rows = pd.DataFrame({"keyword": ["tea"], "language": ["en"], "interest": [1]})
    assert store_query_result(rows) == store_query_result(rows)
    (record,) = (alone / "data/07_record").iterdir()
    assert gzip.decompress(record.read_bytes()).decode() == "keyword,language,interest\ntea,en,1\n"


def items(count: int) -> list[batches.Item]:
    return [batches.Item("keywords", number, f"k{number}", {"keyword": f"k{number}"}, 1) for number in range(count)]


def test_a_request_that_fails_gives_its_own_keywords_back_and_no_others(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from demo.pipelines.keywords import metrics

    failed: list[str] = []
    monkeypatch.setattr(batches, "take", lambda queue, count: items(50))
    monkeypatch.setattr(batches.Item, "fail", lambda item, why: failed.append(item.key))
    server.limits.change({"/metrics": {"failure_rate": 0.5, "seed": 1}})
    rows, requests, counts = metrics.ask_metrics(
        server.url, metrics.MetricsSettings(batch=50, per_request=10, retries=0, quota="")
    )
    assert counts["failed_requests"] == len(requests) == len(failed) // 10 > 0
    assert {row["keyword"] for row in rows} | set(failed) == {item.key for item in items(50)}
    assert rows[0] == metrics_of(rows[0]["keyword"])
    assert requests[0]["status"] == 500 and "fails, as the seed 1 wants" in requests[0]["error"]


def test_texts_are_delivered_once_and_again_when_they_changed(alone: Path, s3: Any, s3_url: str) -> None:
    from demo.pipelines.texts.upload import TextsSettings, upload_texts

    from kedro_console.tables import load

    address = f"sqlite:///{alone}/data/03_primary/cases.db"
    settings = TextsSettings(s3_bucket=BUCKET, s3_endpoint_url=s3_url)
    assert upload_texts(settings) == ([], {"delivered": 0})
    for text, delivered in (("Hot.", 1), ("Hot.", 0), ("Cold.", 1)):
        load([{"prompt": "Tea?", "text": text}], "generated_texts", connection=address, key="prompt")
        rows, counts = upload_texts(settings)
        load(rows, "delivered_texts", connection=address, key="prompt")
        assert counts == {"delivered": delivered}
    (stored,) = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert s3.get_object(Bucket=BUCKET, Key=stored["Key"])["Body"].read() == b"# Tea?\n\nCold.\n"


STATE = {
    "run": {"number": 4, "status": "succeeded", "iteration": 2},
    "results": {"fetched": {"value": {"left": 500, "last": 10}}},
    "quotas": {"internal": {"left_requests": 4, "left_rows": 403}},
    "parameters": {"allowance": {"share": 90}},
}


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ({}, 100),
        ({"quotas": {"internal": {"left_requests": 4, "left_rows": 43}}}, 10),
        ({"quotas": {"internal": {"left_requests": 3, "left_rows": 1}}}, 1),
        ({"quotas": {"internal": {"left_requests": 0, "left_rows": 80}}}, 90),
        ({"quotas": {}}, 90),
        ({"results": {"fetched": {"value": {"left": 7}}}}, 7),
    ],
)
def test_the_next_run_takes_its_share_of_what_is_left_today(change: dict[str, Any], rows: int) -> None:
    from demo.handlers import next_allowance

    answer = next_allowance({**STATE, **change})
    assert (answer["start"], answer["parameters"]) == (True, {"allowance": {"rows": rows}})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"run": {"number": 4, "status": "failed", "iteration": 2}}, "Run 4 ended failed."),
        ({"run": {"number": 4, "status": "succeeded", "iteration": 500}}, "500 runs are enough for one chain."),
        ({"results": {"fetched": {"value": {"left": 0}}}}, "No rows are left."),
        ({"results": {}}, "No rows are left."),
    ],
)
def test_the_chain_ends_with_a_reason(change: dict[str, Any], reason: str) -> None:
    from demo.handlers import next_allowance

    assert next_allowance({**STATE, **change}) == {"start": False, "reason": reason}


def test_the_cases_run_without_the_console_too(kedro: Kedro, project: Path, server: ApiServer) -> None:
    environment = {"DEMO_API_URL": server.url, "PYTHONPATH": os.fspath(PIPELINES)}
    for pipeline, parameters in (
        ("keyword_query", "keyword_source.keywords=60"),
        ("keyword_metrics", "keyword_metrics.per_request=100"),
        ("daily_rows", "allowance.rows=40"),
    ):
        ran = kedro("--pipeline", pipeline, "--params", parameters, **environment)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert cases(project, "SELECT count(*), count(DISTINCT keyword) FROM keyword_metrics") == [(30, 30)]
    ((volume, yearly, source),) = cases(project, "SELECT volume, yearly_volume, source FROM keyword_metrics LIMIT 1")
    assert (yearly, source) == (volume * 12, "demo-api")
    assert cases(project, "SELECT max(number), count(*) FROM daily_rows") == [(40, 40)]
