"""The artifact store in S3: the same promises as in a folder, also while it is away."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from jobs import clock
from jobs.errors import PlatformError
from jobs.insight.examine import examine
from jobs.interpreters.artifacts import keep, key_of, open_file, waiting_folder
from jobs.models import Artifact, Step, StoreCheck, Upload, Worker
from jobs.states import Status
from jobs.steps import uploads
from jobs.steps.uploads import Sender, send_waiting
from jobs.upkeep.prune import prune
from kedro_console.wire import KeptFile
from tests.factories import AT, make_run
from tests.live import until

pytestmark = pytest.mark.django_db

KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "testing", "region_name": "us-east-1"}


def use_store(settings: Any, url: str, bucket: str = "kept") -> None:
    options = {
        "bucket_name": bucket, "location": "console", "endpoint_url": url, "access_key": "test",
        "secret_key": "testing", "region_name": "us-east-1", "file_overwrite": True,
    }  # fmt: skip
    store = {"BACKEND": "console.files.s3_store.S3Store", "OPTIONS": options}
    settings.STORAGES = settings.STORAGES | {"artifacts": store}


@pytest.fixture
def bucket(settings: Any) -> Iterator[Any]:
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    name = f"kept-{uuid.uuid4()}"
    use_store(settings, f"http://{host}:{port}", name)
    yield boto3.resource("s3", endpoint_url=f"http://{host}:{port}", **KEYS).create_bucket(Bucket=name)
    server.stop()


class Refuses(BaseHTTPRequestHandler):
    """Says 403 to everything."""

    def answer(self) -> None:
        self.say(403)

    def say(self, status: int) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class Swallows(Refuses):
    """Says 200 to what is sent, and never has it."""

    def answer(self) -> None:
        self.say(200 if self.command == "PUT" else 404)


@pytest.fixture
def answering(settings: Any) -> Iterator[Any]:
    """A store that answers as this handler does."""
    servers = []

    def start(handler: type[BaseHTTPRequestHandler]) -> None:
        servers.append(HTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        use_store(settings, f"http://127.0.0.1:{servers[-1].server_port}")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def nothing_waits_afterwards() -> Iterator[None]:
    yield
    for path in waiting_folder().glob("*"):
        path.unlink()


def staged(folder: Path, content: bytes) -> KeptFile:
    folder.mkdir(exist_ok=True)
    path = folder / "deck.pptx"
    path.write_bytes(content)
    return KeptFile(str(path), "deck.pptx", len(content), hashlib.sha256(content).hexdigest(), "application/x")


def row(kept: KeptFile) -> Artifact:
    facts = {"dataset": "ppt_file", "name": kept.name, "media_type": kept.media_type, "size_bytes": kept.size_bytes}
    return Artifact.objects.create(run=make_run(), created_at=AT, sha256=kept.sha256, **facts)


def waiting(kept: KeptFile) -> Upload:
    found = keep(kept, Path(kept.path).parent)
    assert found and not Path(kept.path).exists()
    uploads.wait([found], AT)
    return Upload.objects.get(sha256=kept.sha256)


def test_a_kept_file_lies_in_the_bucket_by_its_checksum(bucket: Any, tmp_path: Path) -> None:
    kept = staged(tmp_path, b"slides")
    upload = waiting(kept)
    assert send_waiting(AT) == 1
    (stored,) = list(bucket.objects.all())
    assert stored.key == f"console/{row(kept).store_key}"
    assert not Path(upload.path).exists() and not Upload.objects.exists()
    with open_file(Artifact.objects.get()) as file:
        file.seek(2)
        assert file.read() == b"ides"


def test_equal_files_are_kept_once(bucket: Any, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        waiting(staged(tmp_path / folder, b"slides"))
    assert send_waiting(AT) == 1
    waiting(staged(tmp_path / "three", b"slides"))
    assert send_waiting(AT) == 1
    assert len(list(bucket.objects.all())) == 1


def test_half_a_file_of_an_earlier_attempt_is_no_file(bucket: Any, tmp_path: Path) -> None:
    kept = staged(tmp_path, b"slides")
    bucket.put_object(Key=f"console/{row(kept).store_key}", Body=b"sli")
    waiting(kept)
    assert send_waiting(AT) == 1
    (stored,) = list(bucket.objects.all())
    assert stored.get()["Body"].read() == b"slides"


def test_a_bucket_that_comes_late_has_all_files_at_once(bucket: Any, tmp_path: Path) -> None:
    bucket.delete()
    for number in range(3):
        waiting(staged(tmp_path / str(number), b"%d" % number))
    assert send_waiting(AT) == 0
    assert Upload.objects.refused().count() == 1  # the others need not ask a store that is away
    assert send_waiting(AT) == send_waiting(AT) == 0
    assert Upload.objects.refused().count() == 3
    first = Upload.objects.order_by("due_at")[0]
    assert first.attempts == 1 and "NoSuchBucket" in first.error
    bucket.create()
    assert send_waiting(first.due_at) == 1
    assert send_waiting(clock.now()) == 2
    assert len(list(bucket.objects.all())) == 3 and not list(waiting_folder().glob("*"))


def test_waits_grow_and_end(settings: Any, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        use_store(settings, f"http://127.0.0.1:{free.getsockname()[1]}")  # nobody listens
        upload = waiting(staged(tmp_path, b"slides"))
        waits = []
        for _ in range(8):
            assert send_waiting(upload.due_at) == 0
            after = clock.now()
            upload.refresh_from_db()
            waits.append((upload.due_at - after).total_seconds())
    assert [round(wait) for wait in waits] == sorted(round(wait) for wait in waits)
    assert 0 < waits[0] < 5 and 290 < waits[-1] <= 300.5
    assert "Could not connect" in upload.error


@pytest.mark.parametrize(("store", "words"), [(Refuses, "403"), (Swallows, "but it does not")])
def test_what_a_store_refuses_or_swallows_stays_and_is_served_from_where_it_lies(
    answering: Any, tmp_path: Path, store: type[BaseHTTPRequestHandler], words: str
) -> None:
    answering(store)
    kept = staged(tmp_path, b"slides")
    upload, artifact = waiting(kept), row(kept)
    assert send_waiting(AT) == 0
    upload.refresh_from_db()
    assert words in upload.error and Path(upload.path).read_bytes() == b"slides"
    with open_file(artifact) as file:
        assert file.read() == b"slides"
    prune(clock.now() + timedelta(days=400))
    assert Path(upload.path).exists()
    (finding,) = [found for found in examine(AT) if found.subject == "artifact store"]
    assert not finding.is_ok and finding.sentence.startswith("1 file is kept, not yet in the artifact store. ")


def test_a_store_that_hangs_is_given_up_in_seconds(settings: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("console.files.s3_store.READ_SECONDS", 0.3)
    monkeypatch.setattr("console.files.s3_store.PATIENCE_SECONDS", 0.2)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        use_store(settings, f"http://127.0.0.1:{deaf.getsockname()[1]}")
        upload = waiting(staged(tmp_path, b"slides"))
        assert send_waiting(AT) == 0
    upload.refresh_from_db()
    assert "timeout" in upload.error.lower()


def test_a_file_on_another_machine_says_where_it_waits(bucket: Any, tmp_path: Path) -> None:
    kept = staged(tmp_path, b"slides")
    upload, artifact = waiting(kept), row(kept)
    Path(upload.path).rename(tmp_path / "elsewhere")
    Upload.objects.update(host="other", path="/elsewhere")
    assert send_waiting(AT) == 0
    with pytest.raises(PlatformError, match="is kept on other, not yet in the artifact store"):
        open_file(artifact)


def test_a_file_that_waits_for_nothing_goes_after_a_day(bucket: Any, tmp_path: Path) -> None:
    upload = waiting(staged(tmp_path, b"slides"))
    lost = waiting_folder() / "lost"
    lost.write_bytes(b"")
    prune(clock.now())
    assert lost.exists()
    for path in (lost, Path(upload.path)):
        os.utime(path, (1, 1))
    prune(clock.now())
    assert not lost.exists() and Path(upload.path).exists()


def test_a_file_of_a_machine_that_does_not_send_it_is_sent_by_whoever_has_it(bucket: Any, tmp_path: Path) -> None:
    kept = staged(tmp_path, b"slides")
    upload = waiting(kept)
    Upload.objects.update(host="a container that was replaced", path="/its/var/unsent/x", due_at=AT)
    assert uploads.take_over(AT + timedelta(seconds=20)) == 0  # it may be sending it in this moment
    assert uploads.take_over(AT + timedelta(seconds=40)) == 1
    upload.refresh_from_db()
    assert (upload.host, upload.path) == (platform.node(), str(waiting_folder() / kept.sha256))
    assert send_waiting(clock.now()) == 1 and len(list(bucket.objects.all())) == 1


def test_half_a_file_is_not_taken_over(bucket: Any, tmp_path: Path) -> None:
    upload = waiting(staged(tmp_path, b"slides"))
    Path(upload.path).chmod(0o600)
    Path(upload.path).write_bytes(b"sli")
    Upload.objects.update(host="other", due_at=AT)
    assert uploads.take_over(clock.now()) == 0


def test_of_a_machine_without_a_worker_it_is_said_that_one_is_missing(bucket: Any, tmp_path: Path) -> None:
    upload = waiting(staged(tmp_path, b"slides"))
    Upload.objects.update(host="other", path="/elsewhere")
    upload.refresh_from_db()
    at = clock.now()
    assert upload.sentence(at) == "No worker is alive on other, where it is kept: start one there, and it is sent."
    Worker.objects.create(name="w", host="other", pid=1, slots=1, started_at=at, heartbeat_at=at)
    assert upload.sentence(at) == "It is kept on other and sent again until the store has it."


def test_a_file_that_somebody_removed_is_told_as_lost_and_holds_up_no_other(bucket: Any, tmp_path: Path) -> None:
    lost = waiting(staged(tmp_path / "one", b"1"))
    waiting(staged(tmp_path / "two", b"2"))
    Path(lost.path).unlink()
    send_waiting(AT)
    send_waiting(AT)
    left = Upload.objects.get()
    assert left == lost and "run again what made it" in left.error


def test_a_file_of_a_step_that_runs_for_days_is_no_orphan(bucket: Any, tmp_path: Path) -> None:
    found = keep(staged(tmp_path, b"slides"), tmp_path)
    assert found
    path = Path(found["path"])
    step = make_run().steps.get()
    Step.objects.filter(pk=step.pk).update(
        status=Status.RUNNING, started_at=clock.now() - timedelta(seconds=1), lease_token=uuid.uuid4(),
        lease_expires_at=clock.now(),
    )  # fmt: skip
    prune(clock.now() + timedelta(days=4))
    assert path.exists()
    step.delete()
    prune(clock.now() + timedelta(days=4))
    assert not path.exists()


def test_the_store_is_asked_in_the_background_and_hurries_what_it_refused(bucket: Any, tmp_path: Path) -> None:
    bucket.delete()
    waiting(staged(tmp_path, b"slides"))
    send_waiting(AT)
    uploads.check_store(clock.now())
    check = StoreCheck.objects.get()
    assert "NoSuchBucket" in check.error and check.failing_since
    Upload.objects.all().update(due_at=clock.now() + timedelta(minutes=5))
    bucket.create()
    uploads.check_store(clock.now())
    assert StoreCheck.objects.get().error != ""  # it was asked just now
    uploads.check_store(clock.now() + timedelta(seconds=10))
    assert StoreCheck.objects.get().error == ""
    assert send_waiting(clock.now()) == 1
    assert [stored.key for stored in bucket.objects.all()] == [
        f"console/{key_of(hashlib.sha256(b'slides').hexdigest())}"
    ]


@pytest.mark.django_db(transaction=True)
def test_the_sender_sends_what_was_just_left(bucket: Any, tmp_path: Path) -> None:
    sender = Sender()
    sender.start()
    try:
        waiting(staged(tmp_path, b"slides"))
        until(lambda: not Upload.objects.exists(), seconds=30)
        assert len(list(bucket.objects.all())) == 1
    finally:
        sender.stop()
