"""Run the query that is kept in a .sql file, and put its rows into the batch queue."""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, Field

from demo.addresses import in_project
from demo.database import asked
from kedro_console import batches

logger = logging.getLogger(__name__)

QUEUE = "keywords"
RECORD = "data/07_record"
LANGUAGES = ("en", "de", "fr", "es")
THINGS = ("airport", "report", "weather", "chart", "car", "stock", "movie", "garden", "recipe", "train")
WISHES = ("cheap", "best", "near me", "history of", "how to read a", "used", "online", "free")


class SourceSettings(BaseModel):
    """The table that stands for a company's own."""

    database: str = "data/01_raw/keywords.db"
    keywords: int = Field(2_000, ge=1, le=5_000_000, description="Rows of the table; half of them are English.")


class QuerySettings(BaseModel):
    """Which query is run with which values."""

    file: str = "src/demo/queries/keywords.sql"
    language: str = "en"
    least_interest: int = Field(0, ge=0, le=100)
    most: int = Field(1_000_000, ge=1, description="Rows at most.")


def make_source(keyword_source: SourceSettings) -> str:
    """The database's path; it is made when it is not there with as many rows."""
    path = in_project(keyword_source.database)
    if not path.exists() or asked(path, "SELECT count(*) AS count FROM keyword_source") != [
        {"count": keyword_source.keywords}
    ]:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_source(path, keyword_source.keywords)
    return str(path)


def write_source(path: Path, count: int) -> None:
    """All at once: another run sees the old file or the whole new one."""
    handle, part = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    with closing(sqlite3.connect(part)) as connection, connection:
        connection.execute("CREATE TABLE keyword_source (keyword TEXT PRIMARY KEY, language TEXT, interest INTEGER)")
        rows = (keyword(number) for number in range(count))
        connection.executemany("INSERT INTO keyword_source VALUES (?, ?, ?)", rows)
    Path(part).replace(path)


def keyword(number: int) -> tuple[str, str, int]:
    """The keyword with this number, its language and the interest in it."""
    language = LANGUAGES[0] if number % 2 else LANGUAGES[1 + number // 2 % 3]
    text = f"{WISHES[number // 2 % len(WISHES)]} {THINGS[number // 16 % len(THINGS)]} {number}"
    return text, language, number * 37 % 101


def run_query(database: str, keyword_query: QuerySettings) -> pd.DataFrame:
    """What the .sql file finds, its values bound by name."""
    query = in_project(keyword_query.file).read_text(encoding="utf-8")
    rows = asked(Path(database), query, keyword_query.model_dump(exclude={"file"}))
    logger.info("%s found %d rows.", keyword_query.file, len(rows))
    return pd.DataFrame(rows, columns=["keyword", "language", "interest"])


def put_keywords(keyword_rows: pd.DataFrame) -> dict[str, int]:
    """How many keywords are new in the queue; one that was put before is not put again."""
    put = batches.put(QUEUE, keyword_rows, key="keyword")
    return {"rows": len(keyword_rows), "added": put.added, "known": put.known}


def store_query_result(keyword_rows: pd.DataFrame) -> dict[str, Any]:
    """The query's result as a file of the record, named after its content: the same result is kept once."""
    content = keyword_rows.to_csv(index=False).encode()
    sha256 = hashlib.sha256(content).hexdigest()
    path = in_project(RECORD) / f"keywords-{sha256[:16]}.csv.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        handle, part = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
            packed.write(content)
        shutil.move(part, path)
    return {"file": str(path), "rows": len(keyword_rows), "sha256": sha256}
