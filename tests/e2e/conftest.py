"""Fixtures that start the real thing; one Redis and one worker serve all tests of a module, and are gone after it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.models import Project, Worker
from tests import live
from tests.e2e.registered import add_toy


@pytest.fixture(scope="module")
def redis_server(django_db_setup: None, django_db_blocker: object) -> Iterator[subprocess.Popen[bytes]]:
    with live.redis() as started:
        yield started


@pytest.fixture(scope="module")
def shared_worker(
    redis_server: subprocess.Popen[bytes], django_db_blocker: pytest.FixtureRequest
) -> Iterator[subprocess.Popen[bytes]]:
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        with live.worker("shared") as started:
            yield started
        Worker.objects.all().delete()  # what it wrote after the last test belongs to nobody


@pytest.fixture
def worker(transactional_db: None, shared_worker: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    """A live worker; its row is there again after another test emptied the tables."""
    alive = Worker.objects.filter(name="shared@test", stopped_at=None)
    live.until(alive.exists, what="the shared worker's heartbeat")
    return shared_worker


@pytest.fixture
def toy(transactional_db: None, tmp_path: Path) -> Project:
    """A small Kedro project of its own folder, registered."""
    return add_toy(tmp_path / "toy")
