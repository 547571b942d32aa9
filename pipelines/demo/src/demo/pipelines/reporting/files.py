"""Write the rows as CSV and zip it; nobody ever sees a half-written file."""

from __future__ import annotations

import io
import logging
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from demo.addresses import dataset_name, in_project

logger = logging.getLogger(__name__)

# One date for all entries: the same rows give the same zip, byte for byte.
ENTRY_DATE = (1980, 1, 1, 0, 0, 0)


def write_csv_and_zip(processed_data: pd.DataFrame, api_url: str, output_path: str) -> tuple[str, str]:
    """The paths of `<output_path>/<data set>.csv` and of the zip that holds it."""
    content = processed_data.to_csv(index=False, lineterminator="\n").encode()
    csv_file = report_file(output_path, api_url, "csv")
    zip_file = report_file(output_path, api_url, "zip")
    write(csv_file, content)
    write(zip_file, zipped(Path(csv_file).name, content))
    logger.info("Wrote %d rows to %s (%d bytes) and zipped it.", len(processed_data), csv_file, len(content))
    return csv_file, zip_file


def report_file(output_path: str, api_url: str, suffix: str) -> str:
    """Where a report's file goes, as written in the parameters (relative to the project or absolute)."""
    return (Path(output_path) / f"{dataset_name(api_url)}.{suffix}").as_posix()


def zipped(name: str, content: bytes) -> bytes:
    """A zip with one compressed file in it."""
    entry = zipfile.ZipInfo(name, ENTRY_DATE)
    entry.external_attr = 0o644 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(entry, content, compress_type=zipfile.ZIP_DEFLATED, compresslevel=6)
    return buffer.getvalue()


def write(path: str, content: bytes) -> None:
    """Write below the project, whole or not at all."""
    with whole_file(path) as file:
        file.write_bytes(content)


@contextmanager
def whole_file(path: str) -> Iterator[Path]:
    """A temporary path beside the target, which takes its place when the block ends well and vanishes when it fails."""
    target = in_project(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    unfinished = Path(name)
    try:
        yield unfinished
        unfinished.chmod(0o644)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
