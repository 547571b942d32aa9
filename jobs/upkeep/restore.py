"""Make a console of what `backup` wrote: into an empty database, of whatever kind, and an artifact store.

The file is read to its end before anything is changed. Its files go to the store first, so that no row is without them;
then the tables are made as they were, filled in one transaction, and migrated to this version.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import tarfile
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Final

from django.apps.registry import Apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import DEFAULT_DB_ALIAS, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from jobs import clock
from jobs.errors import PlatformError, RequestError
from jobs.interpreters.artifacts import put
from jobs.models import Worker
from jobs.models.act import record
from jobs.schema import UNDER_WAY
from jobs.upkeep.after_restore import make_true
from jobs.upkeep.backup import END, FORMAT, KEYS, MANIFEST, PIECE, Counts, Manifest, Say
from jobs.upkeep.table_lines import Model, check_late, fields, insert, tables
from kedro_console.wire import Json

Node = tuple[str, str]
FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SHOWN: Final = 3
OWN: Final = ("jobs_", "console_")


@dataclass(frozen=True)
class Keys:
    """What signs, and what encrypts the secrets in the rows."""

    secret_key: str
    encryption_keys: list[str]


class Keyring:
    """Where the keys are that count here: none of ours when the environment says them."""

    def add(self) -> None:
        """From now on the keys of the backup open what they encrypted, and the present ones still do."""

    def settle(self) -> None:
        """From now on the keys of the backup alone count."""


@dataclass(frozen=True)
class Contents:
    """What a whole file says of itself."""

    manifest: Manifest
    keys: Keys
    rows: dict[str, int]
    files: int
    missing: dict[str, str]
    """Checksums of files that it should hold and does not."""

    @property
    def migrations(self) -> set[Node]:
        return {(app, name) for app, name in self.manifest["migrations"]}


@dataclass(frozen=True)
class Restored:
    """What came of it."""

    contents: Contents
    interrupted: int
    """Runs that were under way when the backup was made, and are crashed now."""


def read(file: Path, say: Say) -> Contents:
    """Look through the whole file; RequestError when it is no backup, is not whole, or cannot be used here."""
    with _opened(file) as tar:
        found, rows, files = dict[str, bytes](), Counter[str](), 0
        for member, data in tar:
            if member.name in (MANIFEST, KEYS, END):
                found[member.name] = data.read()
            elif member.name.startswith("rows/"):
                rows[_table(member)] += gzip.decompress(data.read()).count(b"\n")
            elif member.name.startswith("files/"):
                _check(member, data)
                files += 1
            say(f"Reading the file: {sum(rows.values()):,} rows, {files:,} files")
    if set(found) != {MANIFEST, KEYS, END}:
        raise RequestError(f"{file} is not whole: its backup did not come to its end.")
    manifest: Manifest = json.loads(found[MANIFEST])
    end = Counts(**json.loads(found[END]))
    if {name: count for name, count in end.rows.items() if count} != dict(rows) or end.files != files:
        raise RequestError(f"{file} is damaged: it does not hold what it says.")
    if manifest["format"] != FORMAT:
        raise RequestError(f"{file} is of another version ({manifest['version']}): restore it with that one.")
    return Contents(manifest, Keys(**json.loads(found[KEYS])), end.rows, files, end.missing)


def restore(
    file: Path,
    contents: Contents,
    *,
    is_replacing: bool,
    at: datetime,
    by: str,
    say: Say,
    keys: Keyring | None = None,
) -> Restored:
    """Fill an empty console; with `is_replacing` what there is goes first. RequestError when it may not be done.

    What ends it before the old rows go leaves all as it was. What ends it later leaves a mark in the database, which
    keeps every part from starting, and keys that open the old rows and the new: it is then done once more.
    """
    keys = keys or Keyring()
    loader = MigrationLoader(None, ignore_no_migrations=True)
    leaves = _leaves(loader, contents)
    then = loader.project_state(leaves).apps
    _check_columns(contents, then)
    _check_target(at, is_replacing=is_replacing)
    _put_files(file, contents, say)
    keys.add()
    _drop_tables(file)
    _make_tables(leaves, then, say)
    _fill(file, contents, then, say)
    say("Migrating to this version …")
    call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
    moment = datetime.fromisoformat(contents.manifest["made_at"])
    interrupted = make_true(moment, contents.missing, at=clock.now(), by=by)
    made = contents.manifest
    facts: dict[str, Json] = {"backup of": made["made_at"], "from": made["host"], "interrupted": interrupted}
    record("restored", str(file), kind="console", after=facts)
    keys.settle()
    _unmark()
    return Restored(contents, interrupted)


# ---- the file


@contextmanager
def _opened(file: Path) -> Iterator[Iterator[tuple[tarfile.TarInfo, IO[bytes]]]]:
    """The members in their order; RequestError for what is no backup."""
    try:
        with tarfile.open(file, mode="r|") as tar:
            yield ((member, data) for member in tar if (data := tar.extractfile(member)))
    except OSError as error:
        if error.errno in FULL:
            raise PlatformError(
                f"There is no room here for what {file} holds: make some, then restore it again."
            ) from error
        raise RequestError(f"{file} could not be read: {error.strerror or error}.") from error
    except (tarfile.TarError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{file} is no backup of this console, or is damaged: {error}.") from error


def _table(member: tarfile.TarInfo) -> str:
    return member.name.split("/")[1].partition("-")[2]


def _check(member: tarfile.TarInfo, data: IO[bytes]) -> None:
    digest = hashlib.sha256()
    while piece := data.read(PIECE):
        digest.update(piece)
    if digest.hexdigest() != member.name.removeprefix("files/"):
        raise RequestError(f"The backup is damaged: {member.name} is not what its checksum says.")


def _put_files(file: Path, contents: Contents, say: Say) -> None:
    done = 0
    with _opened(file) as tar:
        for member, data in tar:
            if member.name.startswith("files/"):
                _put(member, data)
                done += 1
                say(f"Files: {done:,} of {contents.files:,}")


def _put(member: tarfile.TarInfo, data: IO[bytes]) -> None:
    settings.VAR.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=settings.VAR) as copy:
        while piece := data.read(PIECE):
            copy.write(piece)
        copy.flush()
        try:
            put(Path(copy.name), member.name.removeprefix("files/"), member.size)
        except Exception as error:
            raise PlatformError(f"The artifact store does not take {member.name}: {error}") from error


# ---- the database


def _leaves(loader: MigrationLoader, contents: Contents) -> list[Node]:
    """The newest migrations of the backup in each app; RequestError when this version does not have all of them."""
    graph, had = loader.graph, contents.migrations
    replaced = {node for each in loader.replacements.values() for node in each.replaces}
    unknown = sorted(f"{app}.{name}" for app, name in had - set(graph.nodes) - replaced)
    if unknown:
        names = ", ".join(unknown[:SHOWN]) + (" …" if len(unknown) > SHOWN else "")
        version = contents.manifest["version"]
        raise RequestError(
            f"The backup was made by version {version}, this is {settings.VERSION} and does not know {names}: "
            "restore it with that version, or a newer one."
        )
    here = had & set(graph.nodes)
    return sorted(node for node in here if not {child.key for child in graph.node_map[node].children} & _of(node, here))


def _of(node: Node, nodes: set[Node]) -> set[Node]:
    return {other for other in nodes if other[0] == node[0]}


def _check_target(at: datetime, *, is_replacing: bool) -> None:
    """Nobody is at work there, and nothing would be lost that nobody spoke of."""
    there = set(connection.introspection.table_names())
    if Worker._meta.db_table in there and (alive := Worker.objects.alive(at).values_list("name", flat=True).first()):
        raise RequestError(f"The worker {alive} is alive: stop the console first, then restore.")
    full = [table for table in ("jobs_run", "jobs_project", "auth_user") if table in there and _has_rows(table)]
    if full and not is_replacing:
        raise RequestError(
            "There is a console in this database already. Back it up if it is still needed, then add --replace."
        )


def _has_rows(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {connection.ops.quote_name(table)} LIMIT 1")  # noqa: S608 - our own names
        return cursor.fetchone() is not None


def _drop_tables(file: Path) -> None:
    """All tables of ours, also those of a later version; others that share the database stay.

    In one moment they are gone, and it is written down that a restore is not done.
    """
    ours = set(connection.introspection.django_table_names()) | {"django_migrations"}
    found = [name for name in connection.introspection.table_names() if name in ours or name.startswith(OWN)]
    found = [name for name in found if name != UNDER_WAY]
    with connection.constraint_checks_disabled(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {UNDER_WAY} (file text NOT NULL)")
        cursor.execute(f"DELETE FROM {UNDER_WAY}")  # noqa: S608 - our own name
        cursor.execute(f"INSERT INTO {UNDER_WAY} VALUES (%s)", [str(file)])  # noqa: S608 - our own name
        for table in found:
            cascade = " CASCADE" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TABLE IF EXISTS {connection.ops.quote_name(table)}{cascade}")


def _unmark() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {UNDER_WAY}")


def _make_tables(leaves: list[Node], apps: Apps, say: Say) -> None:
    """The tables as they were when the backup was made, empty."""
    say("Making the tables …")
    MigrationExecutor(connection).migrate(leaves)
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        for model in reversed(tables(apps)):  # what migrations put in
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)}")  # noqa: S608 - our own


def _models(apps: Apps) -> dict[str, Model]:
    return {model._meta.label_lower: model for model in tables(apps)}


def _check_columns(contents: Contents, apps: Apps) -> None:
    """Before anything is changed: what the backup holds has a place in the tables of its time."""
    models = _models(apps)
    for name, columns in contents.manifest["columns"].items():
        if name not in models or {each.attname for each in fields(models[name])} != set(columns):
            raise RequestError(f"The table {name} of the backup does not fit its migrations: it cannot be restored.")


def _fill(file: Path, contents: Contents, apps: Apps, say: Say) -> None:
    models, columns = _models(apps), contents.manifest["columns"]
    done, current = Counter[str](), ""
    with transaction.atomic(), _opened(file) as tar:
        for member, data in tar:
            if member.name.startswith("rows/"):
                name = _table(member)
                if name != current:
                    check_late(models[name], DEFAULT_DB_ALIAS)
                    current = name
                done[name] += insert(models[name], columns[name], data.read(), DEFAULT_DB_ALIAS)
                say(f"{name}: {done[name]:,} of {contents.rows[name]:,} rows")
        with connection.cursor() as cursor:
            for statement in connection.ops.sequence_reset_sql(no_style(), list(models.values())):
                cursor.execute(statement)
