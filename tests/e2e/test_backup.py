"""A backup of a busy console, restored elsewhere: every run in a true state, every file with its bytes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tarfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import boto3
import pytest
from cryptography.fernet import Fernet
from django.db import connection
from moto.server import ThreadedMotoServer

from jobs import clock
from jobs.errors import IllegalMove
from jobs.models import Project, Run
from jobs.runs.cancel import cancel
from jobs.states import Status
from tests import live
from tests.chaos.fleet import free_port
from tests.e2e.registered import add_toy
from tests.e2e.test_runs import ended, start

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "testing"}
SECRET = {"API_TOKEN": "hush-hush"}


class Console:
    """One that is not running: commands are given in its environment."""

    def __init__(self, **environment: str) -> None:
        self.environment = environment

    def command(self, *words: str, code: int = 0) -> str:
        ended = subprocess.run(
            [sys.executable, "manage.py", *words], env=self.environment, cwd=live.ROOT, capture_output=True, text=True,
            check=False, timeout=200,
        )  # fmt: skip
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def keys(self) -> list[str]:
        return (Path(self.environment["CONSOLE_VAR"]) / "encryption_key").read_text().split()

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        paths = {"PYTHONPATH": f"{live.ROOT}:{live.ROOT / 'pipelines'}", "DJANGO_SETTINGS_MODULE": "console.settings"}
        return subprocess.run(
            [sys.executable, *words], cwd=live.ROOT, capture_output=True, text=True, check=False, timeout=200,
            env={**self.environment, **paths},
        )  # fmt: skip

    def look(self) -> dict[str, Any]:
        ended = self.python("-m", "tests.look")
        assert ended.returncode == 0, ended.stderr
        return dict(json.loads(ended.stdout))


def elsewhere(var: Path, url: str, **changes: str) -> Console:
    """With a folder, keys and a database of its own."""
    kept = {name: value for name, value in os.environ.items() if name not in ("SECRET_KEY", "DATABASE_URL")}
    return Console(**{**kept, "CONSOLE_VAR": str(var), **({"DATABASE_URL": url} if url else {}), **changes})


@pytest.fixture
def worker(redis_server: object, transactional_db: None) -> Iterator[None]:
    """It is gone before the tables are emptied: on PostgreSQL its pulse and that would wait for each other."""
    with live.worker("own"):
        yield


@pytest.fixture
def bucket() -> Iterator[dict[str, str]]:
    """The settings of an empty store in S3."""
    port, name = free_port(), f"kept-{uuid.uuid4()}"
    server = ThreadedMotoServer("127.0.0.1", port)
    server.start()
    address = f"http://127.0.0.1:{port}"
    login = {name.lower(): value for name, value in KEYS.items()}
    boto3.client("s3", endpoint_url=address, region_name="us-east-1", **login).create_bucket(Bucket=name)
    yield {"ARTIFACT_STORE": f"s3://{name}/x", "S3_ENDPOINT_URL": address, **KEYS}
    server.stop()


@pytest.fixture
def other_database(transactional_db: None) -> Iterator[str]:
    """The address of an empty database of the same kind."""
    if connection.vendor == "sqlite":
        yield ""
        return
    parts = urlsplit(live.database_url())
    name = f"restored_{uuid.uuid4().hex[:8]}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    yield urlunsplit(parts._replace(path=f"/{name}"))
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def toy(transactional_db: None, tmp_path: Path) -> Project:
    return add_toy(tmp_path / "toy", SECRET)


class Busy(threading.Thread):
    """Runs that start and end, with their files, as long as it goes on."""

    def __init__(self, project: Project) -> None:
        super().__init__(name="busy")
        self.project, self.is_over, self.started = project, threading.Event(), 0

    def run(self) -> None:
        while not self.is_over.wait(0.1):
            if Run.objects.live().count() < 5:
                start(self.project, "writes", word=f"word {self.started}")
                self.started += 1
        connection.close()


@pytest.fixture
def busy(worker: object, toy: Project, tmp_path: Path) -> Iterator[tuple[Run, Run]]:
    """A run under way and one that waits, beside others that come and go."""
    diary = tmp_path / "diary"
    under_way = start(toy, "naps", seconds=120.0, diary=str(diary))
    waiting = start(toy, "chain", settings={"queue": "nobody"}, word="later")
    live.until_written(diary, what="the node's start")
    thread = Busy(toy)
    thread.start()
    live.until(lambda: Run.objects.filter(status=Status.SUCCEEDED).count() > 2, what="a busy console")
    yield under_way, waiting
    thread.is_over.set()
    thread.join()
    for run in Run.objects.live():
        with suppress(IllegalMove):  # it ended in this moment
            cancel(run, at=clock.now(), by="the test")
    ended(under_way)


def is_true(seen: dict[str, Any], under_way: Run, waiting: Run) -> None:
    """What a restored console has to say of itself."""
    assert seen["missing"] == [] and seen["leases"] == 0 and seen["uploads"] == 0
    assert set(seen["nodes"]) <= {"0"}
    statuses = {status for status, _, _ in seen["runs"].values()}
    assert "running" not in statuses and "succeeded" in statuses
    status, why, _ = seen["runs"][str(under_way.pk)]
    assert status == "crashed" and why.startswith("It was under way when the backup of ")
    assert under_way.pk in seen["resumable"]
    assert seen["runs"][str(waiting.pk)][::2] == ["queued", {"word": "later"}]
    assert len(seen["files"]) > 2 and all(seen["files"].values())
    assert seen["environment"] == {"toy": SECRET}


def test_a_busy_console_comes_up_elsewhere_and_from_there_once_more(
    busy: tuple[Run, Run], other_database: str, bucket: dict[str, str], tmp_path: Path
) -> None:
    """From the tests' database and a folder to another database and S3, and from there to SQLite and a folder."""
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    said = Console(**live.environment()).command("backup", str(first))
    assert "It holds the keys" in said and stat.S_IMODE(first.stat().st_mode) == 0o600
    there = elsewhere(tmp_path / "there", other_database, **bucket)
    assert "Runs that were under way then (" in there.command("restore", str(first))
    seen = there.look()
    is_true(seen, *busy)
    (by,) = seen["restored_by"]
    assert by.startswith("restore by ")
    there.command("backup", str(second), "--quiet")
    assert [verb for _, verb, _ in there.look()["acts"]] == ["restored", "backed up"]
    back = elsewhere(tmp_path / "back", "")
    back.command("restore", str(second), "--quiet")
    again = back.look()
    is_true(again, *busy)
    acts = again.pop("acts")
    assert [verb for _, verb, _ in acts] == ["restored", "restored"] and {door for *_, door in acts} == {"command"}
    assert seen.pop("acts") == acts[:1]
    assert seen["tables"].pop("jobs.act") + 1 == again["tables"].pop("jobs.act")
    assert {**again, "tables": {}} == {**seen, "tables": {}}
    assert {k: v for k, v in again["tables"].items() if k != "sessions.session"} == {
        k: v for k, v in seen["tables"].items() if k != "sessions.session"
    }
    assert "does not exist" not in back.command("prepare")
    new = back.command("token", "create", "admin")
    assert new


def test_a_console_that_is_there_is_replaced_only_when_told_so(
    worker: object, toy: Project, other_database: str, tmp_path: Path
) -> None:
    ended(start(toy, "writes", word="kept"))
    file = tmp_path / "one.tar"
    Console(**live.environment()).command("backup", str(file))
    there = elsewhere(tmp_path / "there", other_database)
    there.command("prepare")
    assert "add --replace" in there.command("restore", str(file), code=1)
    there.command("restore", str(file), "--replace")
    assert all(there.look()["files"].values()) and there.look()["environment"] == {"toy": SECRET}
    assert "There is a console in this database already" in there.command("restore", str(file), code=1)


INTERRUPTED = """
import os, sys
import django
from django.core.management import call_command
django.setup()
from jobs.upkeep import restore
setattr(restore, sys.argv[1], lambda *a, **k: os._exit(9))
call_command("restore", sys.argv[2], "--replace", "--quiet")
"""


def test_an_interrupted_restore_leaves_the_old_or_says_what_to_do(
    toy: Project, other_database: str, tmp_path: Path
) -> None:
    """Killed at each of its moments; a secret of the old rows, and of the new, can be read while they are there."""
    file = tmp_path / "one.tar"
    Console(**live.environment()).command("backup", str(file))
    there = elsewhere(tmp_path / "there", other_database)
    there.command("restore", str(file))
    (tmp_path / "there" / "secret_key").write_text("its own" * 10)
    (tmp_path / "there" / "encryption_key").write_text(f"{Fernet.generate_key().decode()}\n{there.keys()[0]}")
    old = there.keys()

    def killed(moment: str) -> None:
        ended = there.python("-c", INTERRUPTED, moment, str(file))
        assert ended.returncode == 9, ended.stderr

    killed("_put_files")
    assert there.look()["environment"] == {"toy": SECRET} and there.keys() == old
    killed("_drop_tables")
    assert there.look()["environment"] == {"toy": SECRET} and set(old) <= set(there.keys())
    for moment in ("_make_tables", "_fill", "make_true"):
        killed(moment)
        said = there.command("prepare", code=1)
        assert "A restore did not come to its end" in said and f"restore {file} --replace" in said
        assert set(old) <= set(there.keys())
    there.command("restore", str(file), "--replace")
    assert there.look()["environment"] == {"toy": SECRET} and len(there.keys()) == 1
    assert "did not come" not in there.command("prepare")


def test_a_console_at_work_is_not_restored_over(worker: object, toy: Project, tmp_path: Path) -> None:
    file = tmp_path / "one.tar"
    here = Console(**live.environment())
    here.command("backup", str(file))
    assert "is alive: stop the console first" in here.command("restore", str(file), "--replace", code=1)
    assert f"{file} is there already" in here.command("backup", str(file), code=1)
    assert Project.objects.filter(pk=toy.pk).exists()


def test_keys_that_the_environment_says_have_to_open_the_backup(toy: Project, tmp_path: Path) -> None:
    file, key = tmp_path / "one.tar", Fernet.generate_key().decode()
    Console(**live.environment()).command("backup", str(file))
    there = elsewhere(tmp_path / "there", "", CONSOLE_ENCRYPTION_KEYS=key)
    assert "CONSOLE_ENCRYPTION_KEYS does not have the key" in there.command("restore", str(file), code=1)
    with tarfile.open(file) as tar:
        (old,) = json.load(tar.extractfile("keys.json") or pytest.fail("no keys"))["encryption_keys"]
    both = elsewhere(tmp_path / "there", "", CONSOLE_ENCRYPTION_KEYS=f"{key},{old}")
    both.command("restore", str(file))
    assert both.look()["environment"] == {"toy": SECRET}


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda data: data[: len(data) // 2], "damaged|is not whole"),
        (lambda data: data[:512], "is no backup of this console|is not whole"),
        (lambda data: b"not a backup at all", "is no backup of this console"),
        (lambda data: b"", "is no backup of this console"),
    ],
)
def test_a_file_that_is_not_whole_changes_nothing(toy: Project, tmp_path: Path, spoil: Any, sentence: str) -> None:
    import re

    file = tmp_path / "one.tar"
    Console(**live.environment()).command("backup", str(file))
    file.write_bytes(spoil(file.read_bytes()))
    there = elsewhere(tmp_path / "there", "")
    assert re.search(sentence, there.command("restore", str(file), code=1))
    assert not (tmp_path / "there" / "artifacts").exists()


def test_a_backup_of_a_later_version_is_refused(toy: Project, tmp_path: Path) -> None:
    from django.db.migrations.recorder import MigrationRecorder

    recorder = MigrationRecorder(connection)
    recorder.record_applied("jobs", "9999_of_the_next_release")
    file = tmp_path / "one.tar"
    try:
        Console(**live.environment()).command("backup", str(file))
    finally:
        recorder.record_unapplied("jobs", "9999_of_the_next_release")
    there = elsewhere(tmp_path / "there", "")
    assert "does not know jobs.9999_of_the_next_release" in there.command("restore", str(file), code=1)


def test_a_file_that_the_store_has_lost_is_named_and_the_rest_is_backed_up(
    worker: object, toy: Project, tmp_path: Path
) -> None:
    lost, kept = (ended(start(toy, "writes", word=word)).artifacts.get() for word in ("lost", "kept"))
    from jobs.interpreters.artifacts import store

    store().delete(lost.store_key)
    file = tmp_path / "one.tar"
    said = Console(**live.environment()).command("backup", str(file), code=1)
    assert "without these files (1)" in said and lost.name in said
    there = elsewhere(tmp_path / "there", "")
    assert "could not have (1)" in there.command("restore", str(file))
    with tarfile.open(file) as tar:
        assert f"files/{kept.sha256}" in tar.getnames()
