"""The artifact store in S3 is away while a run ends, and comes back later."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.test import Client
from moto.server import ThreadedMotoServer

from jobs.models import Project, Upload
from jobs.states import Status
from tests import live
from tests.e2e.running import ended, start
from tests.factories import make_user

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "testing"}


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found: int = free.getsockname()[1]
        return found


@pytest.fixture
def away(redis_server: object, transactional_db: None, port: int) -> Iterator[str]:
    """A worker whose store is a bucket where nobody listens yet; the bucket's name."""
    bucket = f"kept-{uuid.uuid4()}"
    facts = {name.upper(): value for name, value in KEYS.items()}
    with live.worker("away", ARTIFACT_STORE=f"s3://{bucket}/x", S3_ENDPOINT_URL=f"http://127.0.0.1:{port}", **facts):
        yield bucket


def test_a_run_is_green_while_its_store_is_away_and_the_store_has_all_when_it_is_back(
    away: str, port: int, toy: Project, client: Client
) -> None:
    run = ended(start(toy, "writes", word="late"))
    assert (run.status, run.error) == (Status.SUCCEEDED, "")
    artifact = run.artifacts.get()
    upload: Any = live.until(lambda: Upload.objects.refused().first(), what="the store was asked")
    assert Path(upload.path).read_bytes() == b"word\nlate\n"
    client.force_login(make_user(role="analyst"))
    assert "1 file is kept, not yet in the store" in client.get(f"/runs/{run.pk}/").content.decode()
    page = client.get(f"/runs/{run.pk}/?tab=artifacts").content.decode()
    assert upload.path in page and "Could not connect" in page
    download = client.get(f"/artifacts/{artifact.uuid}/download/")
    assert b"".join(download.streaming_content) == b"word\nlate\n"  # type: ignore[attr-defined]
    server = ThreadedMotoServer("127.0.0.1", port)
    server.start()
    try:
        url = f"http://127.0.0.1:{port}"
        bucket = boto3.resource("s3", endpoint_url=url, region_name="us-east-1", **KEYS).create_bucket(Bucket=away)
        live.until(lambda: not Upload.objects.exists(), seconds=120, what="the store has the file")
        (stored,) = list(bucket.objects.all())
        assert (stored.key, stored.size) == (f"x/{artifact.store_key}", 10)
        assert not Path(upload.path).exists()
        assert "in the store" not in client.get(f"/runs/{run.pk}/").content.decode()
    finally:
        server.stop()
