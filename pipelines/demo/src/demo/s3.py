"""Send a file to S3 and make sure that it arrived."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

MISSING = "No S3 credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or dev_s3 in credentials.yml."

_credentials: dict[str, Any] = {}


class DeliveryError(RuntimeError):
    """A file did not arrive in the store as it left; the message says which and why."""


class CredentialsMissing(RuntimeError):
    """Nobody said who we are to the store: another try would not help."""


@dataclass(frozen=True)
class Fingerprint:
    """What a file must look like on the other side."""

    size_bytes: int
    sha256: bytes
    md5: bytes

    @classmethod
    def of(cls, content: bytes) -> Fingerprint:
        return cls(len(content), hashlib.sha256(content).digest(), hashlib.md5(content, usedforsecurity=False).digest())


def use_credentials(credentials: dict[str, Any]) -> None:
    """Keep the project's entry `dev_s3` (boto3's names: aws_access_key_id, …, endpoint_url, region_name)."""
    _credentials.clear()
    _credentials.update(credentials)


def connect(endpoint_url: str) -> Any:
    """A client for `endpoint_url`, or for the endpoint of dev_s3, S3_ENDPOINT_URL or AWS, in that order."""
    options = dict(_credentials)
    options["endpoint_url"] = endpoint_url or options.get("endpoint_url") or os.environ.get("S3_ENDPOINT_URL") or None
    config = Config(retries={"mode": "standard", "max_attempts": 4}, connect_timeout=10, read_timeout=60)
    return boto3.session.Session().client("s3", config=config, **options)


def deliver(path: Path, *, bucket: str, key: str, endpoint_url: str) -> dict[str, Any]:
    """Upload with a checksum, then ask the store what it holds; DeliveryError when that is not our file.

    CredentialsMissing when the store may not even be asked.
    """
    content = path.read_bytes()
    sent = Fingerprint.of(content)
    try:
        client = connect(endpoint_url)
        upload(client, bucket, key, content, sent)
        return verify(client, bucket, key, sent)
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise CredentialsMissing(MISSING) from error
    except (BotoCoreError, ClientError, ValueError) as error:
        raise DeliveryError(f"{path.name} could not be delivered to s3://{bucket}/{key}: {error}") from error


def upload(client: Any, bucket: str, key: str, content: bytes, sent: Fingerprint) -> None:
    """Put the object; a store that computes checksums refuses it when the bytes changed on the way."""
    client.put_object(
        Bucket=bucket,
        Key=key,
        Body=content,
        ContentType=mimetypes.guess_type(key)[0] or "application/octet-stream",
        ChecksumAlgorithm="SHA256",
        ChecksumSHA256=base64.b64encode(sent.sha256).decode(),
        Metadata={"sha256": sent.sha256.hex()},
    )


def verify(client: Any, bucket: str, key: str, sent: Fingerprint) -> dict[str, Any]:
    """Compare the stored object's size and checksum with what was sent; DeliveryError names the difference."""
    head = client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    where = f"s3://{bucket}/{key}"
    if head["ContentLength"] != sent.size_bytes:
        raise DeliveryError(f"{where} holds {head['ContentLength']} bytes, but {sent.size_bytes} were sent.")
    proof, stored, expected = stored_checksum(client, bucket, key, head, sent)
    if stored != expected:
        raise DeliveryError(f"{where} has the {proof} {stored}, but {expected} was sent: something else was stored.")
    return {
        "status": "delivered",
        "bucket": bucket,
        "key": key,
        "size_bytes": sent.size_bytes,
        "sha256": sent.sha256.hex(),
        "etag": head.get("ETag", "").strip('"'),
        "verified": True,
        "verified_by": proof,
    }


def stored_checksum(
    client: Any, bucket: str, key: str, head: dict[str, Any], sent: Fingerprint
) -> tuple[str, str, str]:
    """(kind, the store's checksum, ours): its SHA-256, else its ETag where that is an MD5, else we read it back."""
    if "ChecksumSHA256" in head:
        return "sha256", base64.b64decode(head["ChecksumSHA256"]).hex(), sent.sha256.hex()
    etag = head.get("ETag", "").strip('"')
    if len(etag) == 32 and "-" not in etag and not is_encrypted_by_key(head):
        return "md5", etag, sent.md5.hex()
    body = client.get_object(Bucket=bucket, Key=key)["Body"]
    digest = hashlib.sha256()
    for piece in body.iter_chunks(1024 * 1024):
        digest.update(piece)
    return "sha256 read back", digest.hexdigest(), sent.sha256.hex()


def is_encrypted_by_key(head: dict[str, Any]) -> bool:
    """With KMS or a customer's key the ETag is not the content's MD5."""
    return head.get("ServerSideEncryption", "AES256") != "AES256" or "SSECustomerAlgorithm" in head
