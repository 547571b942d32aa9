"""The project as a person runs it: `kedro run` in a process of its own."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from demo_api.server import ApiServer
from pptx import Presentation

from tests.demo.conftest import BUCKET, PROJECT, Kedro, all_rows, aws, free_port


def versions(project: Path, dataset: str) -> list[Path]:
    return sorted((project / "data").glob(f"*/{dataset}.csv/*/{dataset}.csv"))


def as_csv(row: dict[str, Any]) -> dict[str, str]:
    """An API row as the report's CSV has to write it."""
    written = {key: "" if value is None else str(value) for key, value in row.items()}
    return {key: text.upper() if key.lower() == "name" else text for key, text in written.items()}


def test_reporting_leaves_a_csv_a_zip_and_a_deck_of_the_apis_rows(kedro: Kedro, project: Path, api: ApiServer) -> None:
    ran = kedro("--pipeline", "reporting", DEMO_API_URL=api.url)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    rows = all_rows(f"{api.url}/datasets/airports")
    content = (project / "data/08_reporting/airports.csv").read_text()
    assert list(csv.DictReader(io.StringIO(content))) == [as_csv(row) for row in rows]
    with zipfile.ZipFile(project / "data/08_reporting/airports.zip") as archive:
        assert archive.read("airports.csv").decode() == content
    deck = Presentation(str(project / "data/08_reporting/airports.pptx"))
    shapes = [shape for slide in deck.slides for shape in slide.shapes]
    assert sum(shape.has_chart for shape in shapes) == 2
    assert sum(shape.has_table for shape in shapes) == 1
    assert ran.stdout.count("the file stays local") == 2
    raw = list(csv.DictReader(versions(project, "raw_data")[0].open(encoding="utf-8", newline="")))
    assert raw == [{key: str(value) for key, value in row.items()} for row in rows]


def test_without_a_server_the_run_serves_the_demo_api_itself(kedro: Kedro, project: Path) -> None:
    port = free_port()
    ran = kedro("--pipeline", "reporting", "--params", f"api_url=http://127.0.0.1:{port}/datasets/cars")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"Nothing listens on 127.0.0.1:{port}: the demo API serves there for the time of this run." in ran.stdout
    assert {file.name for file in (project / "data/08_reporting").iterdir()} == {"cars.csv", "cars.zip", "cars.pptx"}


def test_each_run_keeps_its_own_versions(kedro: Kedro, project: Path, api: ApiServer) -> None:
    for count in (1, 2):
        ran = kedro("--pipeline", "data_loading", DEMO_API_URL=api.url)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert len(versions(project, "raw_data")) == len(versions(project, "processed_data")) == count
    assert not (project / "data/08_reporting").exists()


def test_a_run_with_a_bucket_delivers_both_files(
    kedro: Kedro, project: Path, api: ApiServer, s3: Any, s3_url: str
) -> None:
    (project / "conf/local/credentials.yml").write_text(
        f"dev_s3:\n  aws_access_key_id: key\n  aws_secret_access_key: secret\n  endpoint_url: {s3_url}\n"
    )
    parameters = f"s3_bucket={BUCKET},ppt_s3_path=decks/today.pptx"
    ran = kedro("--params", parameters, DEMO_API_URL=api.url, AWS_DEFAULT_REGION=aws()["AWS_DEFAULT_REGION"])
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for key, name in (("reports/airports.zip", "airports.zip"), ("decks/today.pptx", "airports.pptx")):
        stored = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        assert stored == (project / "data/08_reporting" / name).read_bytes()
    assert ran.stdout.count("verified by sha256") == 2


def test_a_bad_parameter_is_refused_before_anything_runs(kedro: Kedro, project: Path, api: ApiServer) -> None:
    ran = kedro("--params", "report.top_groups=99", DEMO_API_URL=api.url)
    assert ran.returncode != 0
    assert "less than or equal to 30" in ran.stdout + ran.stderr
    assert not (project / "data").exists()


def test_a_bad_status_ends_the_run_with_a_sentence(kedro: Kedro, api: ApiServer) -> None:
    ran = kedro("--params", f"api_url={api.url}/datasets/airport", DEMO_API_URL=api.url)
    assert ran.returncode != 0
    assert "answered 404 Not Found" in ran.stdout + ran.stderr
    assert "Did you mean airports?" in ran.stdout + ran.stderr


def test_the_steps_that_need_not_wait_for_each_other_do_not() -> None:
    from demo.pipeline_registry import register_pipelines

    pipelines = register_pipelines()
    assert {"__default__", "data_loading", "reporting", "subcollectors"} <= set(pipelines)
    assert pipelines["__default__"] == pipelines["reporting"]
    assert pipelines["data_loading"].outputs() == {"row_counts"}
    whole = pipelines["reporting"]
    assert whole.outputs() == {"row_counts", "csv_file", "upload_status", "ppt_upload_status"}
    parents = {node.name: {each.name for each in needed} for node, needed in whole.node_dependencies.items()}
    assert parents == {
        "fetch_rows": set(),
        "process_rows": {"fetch_rows"},
        "count_rows": {"fetch_rows", "process_rows"},
        "write_csv_and_zip": {"process_rows"},
        "make_deck": {"process_rows"},
        "upload_zip": {"write_csv_and_zip"},
        "upload_deck": {"make_deck"},
    }


def test_importing_the_pipelines_starts_no_thread_and_opens_no_connection() -> None:
    code = (
        "import os, threading, demo.pipeline_registry as r, demo.settings\n"
        "assert len(r.register_pipelines()) == 4\n"
        "sockets = [f for f in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{f}')\n"
        "           and os.readlink(f'/proc/self/fd/{f}').startswith('socket')]\n"
        "print(threading.active_count(), len(sockets))"
    )
    command = [sys.executable, "-c", code]
    ran = subprocess.run(
        command, cwd=PROJECT / "src", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split()[-2:] == ["1", "0"]


def test_kedro_never_writes_into_the_project_file(kedro: Kedro, project: Path, api: ApiServer) -> None:
    before = (project / "pyproject.toml").read_bytes()
    ran = kedro("--pipeline", "data_loading", DEMO_API_URL=api.url, KEDRO_DISABLE_TELEMETRY="", DO_NOT_TRACK="")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (project / "pyproject.toml").read_bytes() == before


def test_no_hook_keeps_the_demo_in_one_process_when_its_api_is_served_elsewhere() -> None:
    code = (
        "from kedro.framework.startup import bootstrap_project\n"
        f"bootstrap_project({os.fspath(PROJECT)!r})\n"
        "from kedro_console.reading import hooks_seen\n"
        "print([reason for hook in hooks_seen.read() for reason in hook.reasons if not hook.plugin])"
    )

    def reasons(**environment: str) -> str:
        kept = {name: value for name, value in os.environ.items() if name != "DEMO_API_URL"}
        command, path = [sys.executable, "-c", code], {"PYTHONPATH": os.fspath(PROJECT.parent)}
        ran = subprocess.run(
            command, cwd=PROJECT, env={**kept, **path, **environment}, capture_output=True, text=True, check=True
        )
        return ran.stdout.splitlines()[-1]

    assert reasons(DEMO_API_URL="http://127.0.0.1:9") == "[]"
    assert "DemoApiHook" in reasons() and "BatchHooks" not in reasons()
