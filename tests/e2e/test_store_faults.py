"""The artifact store in S3 fails, is away or hangs while runs go on: no run fails for it and no file is lost.

`STORE_AWAY_SECONDS=60` makes the outage and the hang longer, as `python -m bench.store_faults` does.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client

from jobs import clock
from jobs.insight.examine import examine
from jobs.models import Artifact, Project, Run, StoreCheck, Upload
from jobs.runs.cancel import cancel
from jobs.states import Status
from tests import live
from tests.e2e.test_runs import ended, start
from tests.factories import make_run, make_user
from tests.flaky_s3 import Proxy, environment, flaky_s3, free_port, store_settings
from tests.home_times import Home, Times
from tests.views.artifacts import an_artifact

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

MB = 1024 * 1024
HOME_SECONDS = 0.5
"""How long Home may take; on a machine that is busy with other work, twice its longest time before the fault."""
AWAY_SECONDS = float(os.environ.get("STORE_AWAY_SECONDS", "10"))
DISTRIBUTED = {"runner": "distributed"}
IN_ONE = {"runner": "sequential"}


@pytest.fixture
def s3(redis_server: object, transactional_db: None, settings: Any) -> Iterator[tuple[Proxy, Any]]:
    """The proxy before the store that a worker and this process use, and its bucket."""
    with flaky_s3(django_settings.VAR / "moto.log") as (proxy, bucket):
        settings.STORAGES = settings.STORAGES | {"artifacts": store_settings(bucket.name, proxy.url)}
        with live.worker("faults", **environment(bucket.name, proxy.url)):
            yield proxy, bucket
            proxy.go_on()


@pytest.fixture
def home(s3: tuple[Proxy, Any], analyst: Client) -> Iterator[Home]:
    """The first page, of a web process of its own."""
    proxy, bucket = s3
    with web(bucket, proxy) as (url, _):
        found = Home(f"{url}/", analyst.cookies["sessionid"].value)
        live.until(lambda: answers(f"{url}/api/v1/health", whole=True), what="web answers")
        for _ in range(3):  # the first ones fill caches and compile templates
            found.seconds()
        yield found


@contextmanager
def web(bucket: Any, proxy: Proxy) -> Iterator[tuple[str, int]]:
    """Where a web process answers, and its number."""
    port = free_port()
    code = f"from console.tree.roles import web; web('127.0.0.1', {port})"
    more = {"DJANGO_SETTINGS_MODULE": "console.settings", "PYTHONPATH": "pipelines"}
    log = django_settings.VAR / "web.log"
    with live.process(sys.executable, "-c", code, log=log, **more, **environment(bucket.name, proxy.url)) as started:
        yield f"http://127.0.0.1:{port}", started.pid


@pytest.fixture
def analyst(client: Client) -> Client:
    client.force_login(make_user(role="analyst"))
    return client


def written(toy: Project, number: int) -> Run:
    """A run that leaves a file of its own, every other one distributed."""
    folder = f"data/out-{number}"
    return start(toy, "writes", settings=DISTRIBUTED if number % 2 else IN_ONE, word=f"word {number}", folder=folder)


def content(number: int) -> bytes:
    return f"word\nword {number}\n".encode()


def fetched(client: Client, artifact: Artifact) -> bytes:
    answer: Any = client.get(f"/artifacts/{artifact.uuid}/download/")
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content)


def nothing_is_lost(bucket: Any, runs: list[Run], client: Client) -> None:
    """All have succeeded, and the store has every file as it was written."""
    for number, run in enumerate(runs):
        run = ended(run)
        assert (run.status, run.error) == (Status.SUCCEEDED, "")
        artifact = run.artifacts.get()
        stored = bucket.Object(f"console/{artifact.store_key}").get()["Body"].read()
        assert stored == content(number) == fetched(client, artifact)
    assert not Upload.objects.exists() and not list((django_settings.VAR / "unsent").glob("*"))


def test_a_store_of_which_calls_fail_takes_every_file(s3: tuple[Proxy, Any], toy: Project, analyst: Client) -> None:
    proxy, bucket = s3
    proxy.failing = 0.05
    runs = [ended(written(toy, number)) for number in range(12)]
    live.until(lambda: not Upload.objects.exists(), seconds=120, what="the store has all files")
    while proxy.failed < 3:  # previews and downloads meet failing calls, too
        assert fetched(analyst, runs[0].artifacts.get()) == content(0)
    nothing_is_lost(bucket, runs, analyst)


@pytest.mark.timeout(180 + 4 * AWAY_SECONDS)
@pytest.mark.parametrize("fault", ["away", "hangs"])
def test_runs_go_on_while_the_store_does_not_answer_and_all_is_there_when_it_is_back(
    s3: tuple[Proxy, Any], toy: Project, analyst: Client, home: Home, fault: str, tmp_path: Path
) -> None:
    proxy, bucket = s3
    runs: list[Run] = []
    usual, _, _ = busy(home, toy, analyst, runs, tmp_path)
    proxy.hang() if fault == "hangs" else setattr(proxy, "is_away", True)
    meanwhile, health, cancelled_in = busy(home, toy, analyst, runs, tmp_path)
    note(f"the store {fault}", usual, meanwhile)
    note(f"the store {fault}, health", usual, health)
    assert min(cancelled_in) < 2, cancelled_in
    assert meanwhile.worst < max(HOME_SECONDS, 2 * usual.worst), f"usual: {usual}; meanwhile: {meanwhile}"
    assert health.worst < max(HOME_SECONDS, 2 * usual.worst), f"usual: {usual}; health: {health}"
    live.until(lambda: StoreCheck.objects.exclude(error="").exists(), what="the worker heard that the store is away")
    live.until(lambda: is_said_to_wait(analyst, runs[-1]), what="the run says that its file is not yet in the store")
    assert [found.is_amber for found in examine(clock.now()) if found.subject == "artifact store"] == [True]
    proxy.go_on()
    live.until(lambda: not Upload.objects.exists(), seconds=120, what="the store has all files")
    live.until(lambda: not StoreCheck.objects.exclude(error="").exists(), what="the worker heard that it is back")
    nothing_is_lost(bucket, runs, analyst)


def is_said_to_wait(client: Client, run: Run) -> bool:
    return "kept, not yet in the store" in client.get(f"/runs/{run.pk}/").content.decode()


def busy(home: Home, toy: Project, analyst: Client, runs: list[Run], folder: Path) -> tuple[Times, Times, list[float]]:
    """Runs that succeed, and others that are cancelled, for so long: answers of Home and health, times of cancels."""
    begun = time.monotonic()
    cancelled_in: list[float] = []
    health = Home(f"{home.url}api/v1/health", "", says='"artifact_store"')
    with home.asked_meanwhile() as seconds, health.asked_meanwhile() as of_health:
        while not cancelled_in or time.monotonic() - begun < AWAY_SECONDS:
            run = ended(written(toy, len(runs)))
            assert (run.status, run.error) == (Status.SUCCEEDED, "")
            assert fetched(analyst, run.artifacts.get()) == content(len(runs))
            runs.append(run)
            cancelled_in.append(seconds_of_cancel(toy, folder / f"diary-{len(runs)}"))
    return Times(seconds), Times(of_health), cancelled_in


def note(what: str, usual: Times, meanwhile: Times) -> None:
    """Leave the figures for whoever asked for them."""
    if place := os.environ.get("STORE_FIGURES"):
        ratio = meanwhile.share(0.99) / usual.share(0.99)
        with Path(place).open("a") as file:
            file.write(f"{what}\t{meanwhile}\t{ratio:.2f} × as long as before ({usual})\n")


def seconds_of_cancel(toy: Project, diary: Path) -> float:
    run = start(toy, "naps", seconds=600.0, diary=str(diary))
    live.until_written(diary, what="the run naps")
    begun = time.monotonic()
    cancel(run, at=clock.now(), by="olga")
    assert ended(run).status == Status.CANCELLED
    return time.monotonic() - begun


def test_files_that_a_worker_left_when_it_was_killed_are_sent_by_the_next_one(
    redis_server: object, toy: Project, analyst: Client, settings: Any
) -> None:
    with flaky_s3(django_settings.VAR / "moto.log") as (proxy, bucket):
        settings.STORAGES = settings.STORAGES | {"artifacts": store_settings(bucket.name, proxy.url)}
        proxy.is_away = True
        with live.worker("first", **environment(bucket.name, proxy.url)) as first:
            runs = [ended(written(toy, number)) for number in range(3)]
            first.kill()
        Upload.objects.update(host="a container that is no more", due_at=clock.now() - timedelta(minutes=1))
        assert fetched(analyst, runs[0].artifacts.get()) == content(0)
        proxy.go_on()
        with live.worker("second", **environment(bucket.name, proxy.url)):
            live.until(lambda: not Upload.objects.exists(), seconds=120, what="the second sent them")
        nothing_is_lost(bucket, runs, analyst)


def test_a_large_download_costs_web_little_memory(
    redis_server: object, toy: Project, settings: Any, tmp_path: Path
) -> None:
    with flaky_s3(django_settings.VAR / "moto.log") as (proxy, bucket):
        settings.STORAGES = settings.STORAGES | {"artifacts": store_settings(bucket.name, proxy.url)}
        artifact = an_artifact(make_run(), "large.bin", os.urandom(64 * MB))
        with web(bucket, proxy) as (address, pid):
            url = f"{address}/api/v1/artifacts/{artifact.uuid}/download"
            live.until(lambda: answers(url), what="web answers")
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # forget its peak
            before = memory(pid, "VmRSS")
            with urllib.request.urlopen(url, timeout=60) as answer:
                assert sum(len(part) for part in iter(partial(answer.read, MB), b"")) == 64 * MB
            assert memory(pid, "VmHWM") - before < 32 * MB


def answers(url: str, *, whole: bool = False) -> bool:
    try:
        asked = urllib.request.Request(url, headers={} if whole else {"Range": "bytes=0-99"})
        found = urllib.request.urlopen(asked, timeout=10).read()
        return bool(found) if whole else len(found) == 100
    except OSError:
        return False


def memory(pid: int, name: str) -> int:
    return 1024 * int(Path(f"/proc/{pid}/status").read_text().partition(f"{name}:")[2].split()[0])
