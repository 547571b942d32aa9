"""Send a file to S3 and make sure that it arrived there as it left.

    from kedro_console import deliveries

    facts = deliveries.deliver("data/08_reporting/deck.zip", "s3://reports/2026/deck.zip", credentials=dev_s3)

`facts` says where it lies, its size, its checksum and how the store proved it. boto3 is needed, and nothing of the
console: it does the same under plain `kedro run`.
"""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BLOCK = 1024 * 1024
MISSING = "Deliveries need boto3: add it to the requirements of the project."


class DeliveryError(RuntimeError):
    """A file did not arrive in the store as it left; the message says which and why."""


@dataclass(frozen=True)
class _Sent:
    """What the file must look like on the other side."""

    size_bytes: int
    sha256: bytes
    md5: str

    @classmethod
    def of(cls, path: Path) -> _Sent:
        sha256, md5, size = hashlib.sha256(), hashlib.md5(), 0  # noqa: S324  (an ETag, not a secret)
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                size += len(block)
                sha256.update(block)
                md5.update(block)
        return cls(size, sha256.digest(), md5.hexdigest())


def deliver(
    path: str | os.PathLike[str],
    to: str,
    *,
    credentials: dict[str, Any] | None = None,
    endpoint_url: str = "",
) -> dict[str, Any]:
    """Upload the file to `s3://bucket/key`, then ask the store what it holds; DeliveryError when that differs.

    `credentials` are boto3's names (aws_access_key_id, aws_secret_access_key, region_name, endpoint_url …); without
    them boto3 looks where it always does, and S3_ENDPOINT_URL names another store than AWS.
    """
    bucket, key = _place(to)
    source = Path(path)
    client, refusals = _connect(dict(credentials or {}), endpoint_url)
    expected: tuple[type[Exception], ...] = (*refusals, OSError, ValueError)
    try:
        sent = _Sent.of(source)
        with source.open("rb") as file:
            _upload(client, bucket, key, file, sent)
        return _verified(client, bucket, key, sent)
    except expected as error:
        raise DeliveryError(f"{source.name} could not be delivered to {to}: {error}") from error


def _place(to: str) -> tuple[str, str]:
    bucket, _, key = to.partition("://")[2].partition("/")
    if not to.startswith("s3://") or not bucket or not key or key.endswith("/"):
        raise DeliveryError(f"{to} is no place for a file: write s3://bucket/folder/name.zip.")
    return bucket, key


def _connect(options: dict[str, Any], endpoint_url: str) -> tuple[Any, tuple[type[Exception], ...]]:
    """An S3 client, and what it raises when the store refuses."""
    try:
        import boto3
        from boto3.exceptions import Boto3Error
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise DeliveryError(MISSING) from error
    options["endpoint_url"] = endpoint_url or options.get("endpoint_url") or os.environ.get("S3_ENDPOINT_URL") or None
    config = Config(retries={"mode": "standard", "max_attempts": 4}, connect_timeout=10, read_timeout=60)
    client = boto3.session.Session().client("s3", config=config, **options)
    return client, (Boto3Error, BotoCoreError, ClientError)


def _upload(client: Any, bucket: str, key: str, file: Any, sent: _Sent) -> None:
    """Put the object; a store that computes checksums refuses it when the bytes changed on the way."""
    client.put_object(
        Bucket=bucket,
        Key=key,
        Body=file,
        ContentType=mimetypes.guess_type(key)[0] or "application/octet-stream",
        ChecksumAlgorithm="SHA256",
        ChecksumSHA256=base64.b64encode(sent.sha256).decode(),
        Metadata={"sha256": sent.sha256.hex()},
    )


def _verified(client: Any, bucket: str, key: str, sent: _Sent) -> dict[str, Any]:
    """Compare the stored object's size and checksum with what was sent; DeliveryError names the difference."""
    head = client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    where = f"s3://{bucket}/{key}"
    if head["ContentLength"] != sent.size_bytes:
        raise DeliveryError(f"{where} holds {head['ContentLength']} bytes, but {sent.size_bytes} were sent.")
    proof, stored, expected = _checksums(client, bucket, key, head, sent)
    if stored != expected:
        raise DeliveryError(f"{where} has the {proof} {stored}, but {expected} was sent: something else was stored.")
    return {"url": where, "size_bytes": sent.size_bytes, "sha256": sent.sha256.hex(), "verified_by": proof}


def _checksums(client: Any, bucket: str, key: str, head: dict[str, Any], sent: _Sent) -> tuple[str, str, str]:
    """(kind, the store's checksum, ours): its SHA-256, else its ETag where that is an MD5, else we read it back."""
    if "ChecksumSHA256" in head:
        return "sha256", base64.b64decode(head["ChecksumSHA256"]).hex(), sent.sha256.hex()
    etag = head.get("ETag", "").strip('"')
    is_encrypted = head.get("ServerSideEncryption", "AES256") != "AES256" or "SSECustomerAlgorithm" in head
    if len(etag) == 32 and "-" not in etag and not is_encrypted:
        return "md5", etag, sent.md5
    digest = hashlib.sha256()
    for piece in client.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(BLOCK):
        digest.update(piece)
    return "sha256 read back", digest.hexdigest(), sent.sha256.hex()
