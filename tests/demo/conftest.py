"""The demo project's own folder, its API on a free port, and an S3 that answers."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.request import urlopen

import boto3
import pytest
from moto.server import ThreadedMotoServer

PROJECT = Path(__file__).resolve().parents[2] / "pipelines" / "demo"
sys.path.insert(0, str(PROJECT / "src"))

from demo_api.server import ApiServer  # noqa: E402

Kedro = Callable[..., subprocess.CompletedProcess[str]]
BUCKET = "reports-of-tests"


@pytest.fixture(scope="session")
def api() -> Iterator[ApiServer]:
    with served(ApiServer("127.0.0.1", 0)) as server:
        yield server


Server = TypeVar("Server", bound=ThreadingHTTPServer)


class served(Generic[Server]):  # noqa: N801 - reads as a verb in a with statement
    """A server that answers while the block runs."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def __enter__(self) -> Server:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self.server

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def asked(url: str) -> Any:
    with urlopen(url, timeout=10) as answer:
        return json.load(answer)


def all_rows(url: str) -> list[dict[str, Any]]:
    """The rows of all pages, read without any code of the project."""
    rows: list[dict[str, Any]] = []
    following: str | None = url
    while following:
        page = asked(following)
        rows += page["items"]
        following = page["next"]
    return rows


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the demo project without what earlier runs left."""
    copy = tmp_path / "demo"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("data", "__pycache__", ".viz", ".mypy_cache"))
    return copy


@pytest.fixture
def kedro(project: Path) -> Kedro:
    """`kedro run` in the copy, as a person would start it: no console, no server, no AWS settings."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_", "DEMO_"))}
        command = [sys.executable, "-m", "kedro", "run", *arguments]
        settings = {**kept, "KEDRO_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", **environment}
        return subprocess.run(command, cwd=project, env=settings, capture_output=True, text=True, timeout=150)

    return run


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of an empty bucket; the upload nodes find the same credentials in the environment."""
    for name, value in aws().items():
        monkeypatch.setenv(name, value)
    client = boto3.session.Session().client("s3", endpoint_url=s3_url)
    client.create_bucket(Bucket=BUCKET)
    for thing in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=thing["Key"])
    return client


def aws() -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
