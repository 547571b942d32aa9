"""Deliver a written file to S3, where a bucket is configured."""

from __future__ import annotations

import logging
from typing import Any

from demo import s3
from demo.addresses import in_project

logger = logging.getLogger(__name__)

SKIPPED = "No S3 bucket is configured (params:s3_bucket): the file stays local."


def upload_file(path: str, s3_path: str, s3_bucket: str, s3_endpoint_url: str) -> dict[str, Any]:
    """What became of the file: `status` is `delivered` (with key, size, checksum, etag) or `skipped` (with reason)."""
    file = in_project(path)
    if not s3_bucket:
        logger.info("%s: %s", file.name, SKIPPED)
        return {"status": "skipped", "reason": SKIPPED, "file": path, "size_bytes": file.stat().st_size}
    delivery = s3.deliver(file, bucket=s3_bucket, key=key_of(s3_path, file.name), endpoint_url=s3_endpoint_url)
    logger.info(
        "Delivered %s to s3://%s/%s: %d bytes, verified by %s.",
        file.name, delivery["bucket"], delivery["key"], delivery["size_bytes"], delivery["verified_by"],
    )  # fmt: skip
    return delivery


def key_of(s3_path: str, file_name: str) -> str:
    """The object's key: a path that is empty or ends in / is a folder and the file keeps its name."""
    path = s3_path.lstrip("/")
    return path + file_name if path.endswith("/") or not path else path
