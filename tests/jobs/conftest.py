"""A real broker for stories that ask it what waits; what is published stays in the test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from django.conf import settings
from redis import Redis

from tests import live


@pytest.fixture(scope="module")
def redis_process(django_db_setup: None) -> Iterator[subprocess.Popen[bytes]]:
    with live.redis() as started:
        yield started


@pytest.fixture
def broker(redis_process: subprocess.Popen[bytes]) -> Iterator[Redis]:
    """Empty, and up."""
    with Redis(unix_socket_path=settings.REDIS_URL.removeprefix("unix://")) as client:
        client.flushall()
        yield client
