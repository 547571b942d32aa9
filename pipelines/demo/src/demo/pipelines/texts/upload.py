"""Deliver the texts that were written and not delivered yet: to a folder, and to S3 where a bucket is named."""

from __future__ import annotations

import hashlib
import logging
import re
from typing import Any

from pydantic import BaseModel, Field

from demo.addresses import in_project
from demo.database import of_cases
from demo.s3 import deliver

logger = logging.getLogger(__name__)

Row = dict[str, Any]


class TextsSettings(BaseModel):
    """Where the texts go."""

    folder: str = "data/08_reporting/texts"
    s3_bucket: str = Field("", description="Empty: the files stay in the folder.")
    s3_path: str = "texts/"
    s3_endpoint_url: str = ""


def upload_texts(texts: TextsSettings) -> tuple[list[Row], dict[str, int]]:
    """One row for each text that was delivered now. A text whose delivery fails is delivered by the next run."""
    rows = [delivered(row, texts) for row in undelivered()]
    return rows, {"delivered": len(rows)}


def undelivered() -> list[Row]:
    there = {row["prompt"]: row["sha256"] for row in of_cases("SELECT * FROM delivered_texts", needs="delivered_texts")}
    written = of_cases("SELECT prompt, text FROM generated_texts ORDER BY rowid", needs="generated_texts")
    return [row for row in written if there.get(row["prompt"]) != sha256(row["text"])]


def delivered(row: Row, texts: TextsSettings) -> Row:
    """The text as a file; the same text has the same name, so that a repeated delivery leaves one file."""
    folder = in_project(texts.folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(row["prompt"])
    path.write_text(f"# {row['prompt']}\n\n{row['text']}\n", encoding="utf-8")
    where = str(path)
    if texts.s3_bucket:
        key = f"{texts.s3_path.rstrip('/')}/{path.name}".lstrip("/")
        deliver(path, bucket=texts.s3_bucket, key=key, endpoint_url=texts.s3_endpoint_url)
        where = f"s3://{texts.s3_bucket}/{key}"
    logger.info("“%s” is delivered to %s.", row["prompt"], where)
    return {"prompt": row["prompt"], "place": where, "sha256": sha256(row["text"])}


def file_name(prompt: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:40]
    return f"{words or 'text'}-{sha256(prompt)[:8]}.md"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
