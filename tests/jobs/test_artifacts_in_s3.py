"""The artifact store in S3: the same promises as in a folder."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from jobs.artifacts import keep, open_file
from jobs.errors import PlatformError
from jobs.models import Artifact
from kedro_console.wire import KeptFile
from tests.factories import AT, make_run

KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "testing", "region_name": "us-east-1"}


@pytest.fixture
def bucket(settings: Any) -> Iterator[Any]:
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    name = f"kept-{uuid.uuid4()}"
    made = boto3.resource("s3", endpoint_url=url, **KEYS).create_bucket(Bucket=name)
    options = {
        "bucket_name": name, "location": "console", "endpoint_url": url, "access_key": "test",
        "secret_key": "testing", "region_name": "us-east-1", "file_overwrite": True,
    }  # fmt: skip
    store = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
    settings.STORAGES = settings.STORAGES | {"artifacts": store}
    yield made
    server.stop()


def staged(folder: Path, content: bytes) -> KeptFile:
    path = folder / "deck.pptx"
    path.write_bytes(content)
    return KeptFile(str(path), "deck.pptx", len(content), hashlib.sha256(content).hexdigest(), "application/x")


def row(kept: KeptFile) -> Artifact:
    facts = {"dataset": "ppt_file", "name": kept.name, "media_type": kept.media_type, "size_bytes": kept.size_bytes}
    return Artifact(run=make_run(), created_at=AT, sha256=kept.sha256, **facts)


@pytest.mark.django_db
def test_a_kept_file_lies_in_the_bucket_by_its_checksum(bucket: Any, tmp_path: Path) -> None:
    kept = staged(tmp_path, b"slides")
    keep(kept)
    assert not Path(kept.path).exists()
    (stored,) = list(bucket.objects.all())
    assert stored.key == f"console/{row(kept).store_key}"
    with open_file(row(kept)) as file:
        file.seek(2)
        assert file.read() == b"ides"


@pytest.mark.django_db
def test_equal_files_are_kept_once(bucket: Any, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        keep(staged(tmp_path / folder, b"slides"))
    assert len(list(bucket.objects.all())) == 1


@pytest.mark.django_db
def test_a_bucket_that_is_gone_is_told_and_the_file_stays(bucket: Any, tmp_path: Path) -> None:
    bucket.delete()
    kept = staged(tmp_path, b"slides")
    with pytest.raises(PlatformError, match="stays at"):
        keep(kept)
    assert Path(kept.path).exists()
