"""Write all that a console remembers into one file, while it goes on: keys, rows of one moment, and their files.

The rows are read first and the files after them: a file is never changed once a row tells of it, so each row that is
here has the bytes that it tells of.
"""

from __future__ import annotations

import hashlib
import heapq
import io
import json
import os
import platform
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import IO, Final, TypedDict

from django.apps import apps
from django.conf import settings
from django.db import connection, connections, transaction
from django.db.migrations.recorder import MigrationRecorder

from jobs import schema
from jobs.errors import PlatformError
from jobs.interpreters.artifacts import open_exactly
from jobs.models import Artifact, Resend, Step
from jobs.models.act import record
from jobs.reconnect import wait_at_most
from jobs.upkeep.table_lines import fields, lines, parts, tables

FORMAT: Final = 1
ALIAS: Final = "backup"
MANIFEST: Final = "manifest.json"
KEYS: Final = "keys.json"
END: Final = "end.json"
PIECE: Final = 1024 * 1024
AGAIN_SECONDS: Final = 2.0

Say = Callable[[str], None]


class Manifest(TypedDict):
    """What the file says of itself first."""

    format: int
    version: str
    made_at: str
    made_by: str
    host: str
    database: str
    migrations: list[tuple[str, str]]
    columns: dict[str, list[str]]


@dataclass
class Counts:
    """What a file holds, written at its end: without that it is not whole."""

    rows: dict[str, int] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    missing: dict[str, str] = field(default_factory=dict)
    """Checksums of files that could not be read, each with the reason."""


def backup(file: Path, *, at: datetime, by: str, say: Say) -> Counts:
    """Write the file, which its owner alone may read; what could not be read is in the answer.

    PlatformError when the file cannot be written, or the database is not of this version.
    """
    if file.exists():
        raise PlatformError(f"{file} is there already: name another file.")
    if not schema.schema_is_current():
        raise PlatformError(schema.obstacle())
    try:
        with _draft_of(file) as target, tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            counts = _write(tar, at=at, by=by, say=say)
    except FileExistsError as error:
        raise PlatformError(f"{error.filename} is there: a backup writes it, or left it: remove it then.") from error
    except OSError as error:
        raise PlatformError(f"{file} could not be written: {error.strerror or error}.") from error
    record("backed up", str(file), kind="console", after={"rows": sum(counts.rows.values()), "files": counts.files})
    return counts


@contextmanager
def _draft_of(file: Path) -> Iterator[IO[bytes]]:
    """Beside the file, for its owner alone, and in its place when it is whole."""
    draft = file.with_name(f"{file.name}.part")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as target:
            yield target
            target.flush()
            os.fsync(target.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def _write(tar: tarfile.TarFile, *, at: datetime, by: str, say: Say) -> Counts:
    counts = Counts()
    with _one_moment():
        applied = sorted(MigrationRecorder(connections[ALIAS]).applied_migrations())
        _add(tar, MANIFEST, _manifest(applied, at=at, by=by), at)
        _add(tar, KEYS, {"secret_key": settings.SECRET_KEY, "encryption_keys": settings.CONSOLE_ENCRYPTION_KEYS}, at)
        known = tables(apps)
        for number, model in enumerate(known, 1):
            rows = 0
            for part, (data, count) in enumerate(parts(lines(model, ALIAS))):
                _add_bytes(tar, f"rows/{number:03d}-{model._meta.label_lower}/{part:06d}.jsonl.gz", data, at)
                rows += count
                say(f"{model._meta.label}, table {number} of {len(known)}: {rows:,} rows")
            counts.rows[model._meta.label_lower] = rows
        for sha256, name in _files():
            _add_file(tar, sha256, name, counts, at)
            say(f"Files: {counts.files:,}, {counts.bytes / 1e6:,.1f} MB")
    _add(tar, END, asdict(counts), at)
    return counts


def _manifest(applied: list[tuple[str, str]], *, at: datetime, by: str) -> Manifest:
    return {
        "format": FORMAT,
        "version": settings.VERSION,
        "made_at": at.isoformat(),
        "made_by": by,
        "host": platform.node(),
        "database": connection.vendor,
        "migrations": applied,
        "columns": {model._meta.label_lower: [each.attname for each in fields(model)] for model in tables(apps)},
    }


@contextmanager
def _one_moment() -> Iterator[None]:
    """A connection under ALIAS that sees the rows of the moment in which it read first, and keeps nobody waiting."""
    known = connections.settings["default"]
    options = dict(known.get("OPTIONS", {}))
    if connection.vendor == "postgresql":
        from psycopg import IsolationLevel

        options["isolation_level"] = IsolationLevel.REPEATABLE_READ
    else:
        options["transaction_mode"] = "DEFERRED"  # else it would be a writer
    connections.settings[ALIAS] = {**known, "OPTIONS": options, "NAME": connection.settings_dict["NAME"]}
    wait_at_most(0, ALIAS)
    try:
        with transaction.atomic(using=ALIAS):
            yield
    finally:
        connections[ALIAS].close()
        del connections[ALIAS], connections.settings[ALIAS]


def _files() -> Iterator[tuple[str, str]]:
    """Each kept file once, in the order of checksums: artifacts, answers to replays, the rest of long logs."""
    artifacts = Artifact.objects.using(ALIAS).order_by("sha256").values_list("sha256", "name")
    answers = Resend.objects.using(ALIAS).exclude(sha256="").order_by("sha256").values_list("sha256", flat=True)
    logs = Step.objects.using(ALIAS).exclude(log_sha256="").order_by("log_sha256").values_list("log_sha256", flat=True)
    found = heapq.merge(
        artifacts.iterator(),
        ((sha256, "the answer to a replay") for sha256 in answers.iterator()),
        ((sha256, "the rest of a log") for sha256 in logs.iterator()),
        key=lambda each: each[0],
    )
    for _, same in groupby(found, key=lambda each: each[0]):
        yield next(same)


def _add_file(tar: tarfile.TarFile, sha256: str, name: str, counts: Counts, at: datetime) -> None:
    """Add the file; one that cannot be had, or is not what its checksum says, is missing, and the backup goes on."""
    with tempfile.TemporaryFile(dir=settings.VAR) as copy:
        if why := _fetch(sha256, name, copy):
            counts.missing[sha256] = why
            return
        size = copy.tell()
        copy.seek(0)
        tar.addfile(_info(f"files/{sha256}", size, at), copy)
    counts.files += 1
    counts.bytes += size


def _fetch(sha256: str, name: str, copy: IO[bytes]) -> str:
    """Copy the kept file to here; why that cannot be done, after some tries, or ""."""
    for is_last in (False, False, True):
        copy.seek(0)
        copy.truncate()
        digest = hashlib.sha256()
        try:
            with open_exactly(sha256, name) as kept:
                while piece := kept.read(PIECE):
                    copy.write(piece)
                    digest.update(piece)
        except Exception as error:  # noqa: BLE001 - every storage backend raises its own; all mean the same here
            if is_last:
                return " ".join(str(error).split())
            time.sleep(AGAIN_SECONDS)
            continue
        return "" if digest.hexdigest() == sha256 else f"The file {name} is damaged in the artifact store ({sha256})."
    return ""


def _add(tar: tarfile.TarFile, name: str, value: object, at: datetime) -> None:
    _add_bytes(tar, name, json.dumps(value, indent=1).encode(), at)


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes, at: datetime) -> None:
    tar.addfile(_info(name, len(data), at), io.BytesIO(data))


def _info(name: str, size: int, at: datetime) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, at.timestamp()
    return info
