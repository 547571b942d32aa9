from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from demo import s3 as store
from demo.pipelines.reporting.delivery import SKIPPED, key_of, upload_file

from kedro_console import deliveries
from tests.demo.conftest import BUCKET, free_port

CONTENT = b"iata,name\n00M,THIGPEN\n" * 100


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "airports.zip"
    path.write_bytes(CONTENT)
    return path


def test_without_a_bucket_the_file_stays_local_and_the_status_says_so(file: Path) -> None:
    assert upload_file(str(file), "reports/", "", "") == {
        "status": "skipped", "reason": SKIPPED, "file": str(file), "size_bytes": len(CONTENT),
    }  # fmt: skip
    assert SKIPPED == "No S3 bucket is configured (params:s3_bucket): the file stays local."


def test_a_delivered_file_is_verified_by_size_and_checksum(file: Path, s3: Any, s3_url: str) -> None:
    status = upload_file(str(file), "reports/2026/", BUCKET, s3_url)
    assert status == {
        "status": "delivered",
        "bucket": BUCKET,
        "key": "reports/2026/airports.zip",
        "size_bytes": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "etag": hashlib.md5(CONTENT).hexdigest(),
        "verified": True,
        "verified_by": "sha256",
    }
    stored = s3.get_object(Bucket=BUCKET, Key="reports/2026/airports.zip")
    assert stored["Body"].read() == CONTENT
    assert stored["ContentType"] == "application/zip"
    assert stored["Metadata"]["sha256"] == status["sha256"]


def test_the_endpoint_comes_from_the_environment_when_no_parameter_names_one(
    file: Path, s3: Any, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_ENDPOINT_URL", s3_url)
    assert upload_file(str(file), "a.zip", BUCKET, "")["key"] == "a.zip"


def test_credentials_of_the_project_go_before_the_environment(
    file: Path, s3: Any, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    secrets = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "endpoint_url": s3_url}
    store.use_credentials(secrets)
    try:
        assert upload_file(str(file), "b.zip", BUCKET, "")["verified"] is True
    finally:
        store.use_credentials({})


def test_what_changed_in_the_store_does_not_pass_as_delivered(s3: Any) -> None:
    sent = store.Fingerprint.of(CONTENT)
    for stored, sentence in ((CONTENT + b"x", "holds 2201 bytes, but 2200 were sent"), (CONTENT[::-1], "has the")):
        store.upload(s3, BUCKET, "k", stored, store.Fingerprint.of(stored))
        with pytest.raises(store.DeliveryError, match=sentence):
            store.verify(s3, BUCKET, "k", sent)


def test_a_store_without_checksums_is_verified_by_its_etag_or_by_reading_back(s3: Any) -> None:
    sent = store.Fingerprint.of(CONTENT)
    s3.put_object(Bucket=BUCKET, Key="plain", Body=CONTENT)
    head = s3.head_object(Bucket=BUCKET, Key="plain")
    bare = {key: value for key, value in head.items() if not key.startswith("Checksum")}
    assert store.stored_checksum(s3, BUCKET, "plain", bare, sent) == ("md5", sent.md5.hex(), sent.md5.hex())
    kind, stored, expected = store.stored_checksum(s3, BUCKET, "plain", {**bare, "ETag": '"several-2"'}, sent)
    assert (kind, stored) == ("sha256 read back", expected)


def test_a_missing_bucket_missing_credentials_and_a_missing_store_are_told_in_a_sentence(
    file: Path, s3: Any, s3_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(
        store.DeliveryError, match=r"airports.zip could not be delivered to s3://nowhere/k: .*NoSuchBucket"
    ):
        upload_file(str(file), "k", "nowhere", s3_url)
    with pytest.raises(store.DeliveryError, match="Could not connect to the endpoint"):
        upload_file(str(file), "k", BUCKET, f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(store.CredentialsMissing, match="No S3 credentials were found: set AWS_ACCESS_KEY_ID"):
        upload_file(str(file), "k", BUCKET, s3_url)


@pytest.mark.parametrize(
    ("path", "key"), [("", "a.zip"), ("reports/", "reports/a.zip"), ("/x/b.zip", "x/b.zip"), ("/", "a.zip")]
)
def test_a_path_that_ends_in_a_slash_is_a_folder(path: str, key: str) -> None:
    assert key_of(path, "a.zip") == key


def test_any_node_delivers_with_the_same_care(file: Path, s3: Any, s3_url: str) -> None:
    facts = deliveries.deliver(file, f"s3://{BUCKET}/by/node.zip", endpoint_url=s3_url)
    assert facts == {
        "url": f"s3://{BUCKET}/by/node.zip",
        "size_bytes": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "verified_by": "sha256",
    }
    assert s3.get_object(Bucket=BUCKET, Key="by/node.zip")["Body"].read() == CONTENT
