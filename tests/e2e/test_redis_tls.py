"""A Redis with TLS and a password: verified the same way by every part, and refused by each in the same words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.conf import settings as django_settings
from django.test import Client

from jobs import clock
from jobs.errors import PlatformError
from jobs.insight.examine import examine
from jobs.models import Project, Run, Worker
from jobs.states import Status
from jobs.steps import broker
from tests import live
from tests.chaos.fleet import free_port
from tests.e2e.running import ended, start
from tests.tls_redis import Server, served

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

NAMES = ("REDIS_URL", "REDIS_TLS", "CELERY_BROKER_URL", "CELERY_BROKER_USE_SSL")
REFUSED = "The broker's certificate is not trusted ("
WAY_OUT = "name the CA that signed it in REDIS_CA_FILE, and in REDIS_URL the server as its certificate does."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("tls")) as running:
        yield running


def wrong(server: Server) -> dict[str, dict[str, str]]:
    """Settings that must not reach it."""
    right = server.environment()
    return {
        "another CA": server.environment(server.other_ca),
        "no CA": {**right, "REDIS_CA_FILE": ""},
        "another name": {**right, "REDIS_URL": server.url.replace("localhost", "127.0.0.1")},
    }


def told(settings: Any, environment: dict[str, str]) -> None:
    """What `console.settings` makes of this environment."""
    code = "import json; from django.conf import settings as s; print(json.dumps({n: getattr(s, n) for n in NAMES}))"
    code = code.replace("NAMES", repr(NAMES))
    known = live.environment(**environment)
    done = subprocess.run([sys.executable, "-c", code], env=known, cwd=live.ROOT, capture_output=True, check=True)
    for name, value in json.loads(done.stdout).items():
        setattr(settings, name, value)


@pytest.mark.parametrize("case", ["another CA", "no CA", "another name"])
def test_a_wrong_certificate_is_refused_by_who_asks_and_by_who_publishes(
    server: Server, settings: Any, case: str
) -> None:
    told(settings, wrong(server)[case])
    with pytest.raises(PlatformError) as refused:
        broker.insist()
    sentence = str(refused.value)
    assert sentence.startswith(REFUSED) and sentence.endswith(WAY_OUT)
    health = Client().get("/api/v1/health").json()
    assert health["broker"] == "unreachable" and sentence in health["missing"]
    finding = next(found for found in examine(clock.now()) if found.subject == "broker")
    assert not finding.is_ok and sentence in finding.sentence
    app = Celery("publisher", broker=settings.CELERY_BROKER_URL, set_as_current=False)
    app.conf.broker_use_ssl = settings.CELERY_BROKER_USE_SSL
    with app.connection_for_write() as connection, pytest.raises(Exception, match="certificate verify failed"):
        connection.default_channel.client.ping()


@pytest.mark.parametrize("case", ["another CA", "no CA", "another name"])
@pytest.mark.parametrize("role", ["worker", "beat"])
def test_a_role_with_a_wrong_certificate_ends_with_the_sentence(server: Server, role: str, case: str) -> None:
    command = [sys.executable, "-m", "console", role]
    known = live.environment(**wrong(server)[case])
    done = subprocess.run(command, env=known, cwd=live.ROOT, capture_output=True, text=True, timeout=90)
    assert done.returncode == 1 and REFUSED in done.stderr and WAY_OUT in done.stderr
    assert "Traceback" not in done.stderr


def test_up_with_a_wrong_certificate_ends_with_the_sentence(server: Server, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "KEDRO_PROJECT_PATH")}
    known = {**kept, **server.environment(server.other_ca), "CONSOLE_VAR": str(tmp_path / "var")}
    command = [sys.executable, "manage.py", "up", "--port", str(free_port()), "--no-demo"]
    done = subprocess.run(command, env=known, cwd=live.ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 1 and REFUSED in done.stderr and WAY_OUT in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_password_is_refused_in_words(server: Server, settings: Any) -> None:
    told(settings, {**server.environment(), "REDIS_PASSWORD": "wrong"})
    with pytest.raises(PlatformError, match="refuses the password: give the right one in REDIS_PASSWORD"):
        broker.insist()


def test_a_run_is_done_over_tls(server: Server, settings: Any, toy: Project) -> None:
    """Announced and taken over TLS by the worker: nobody else publishes what waits."""
    told(settings, server.environment())
    broker.insist()
    queue = {"CONSOLE_WORKER_QUEUES": "tls", "CONSOLE_WORKER_SLOTS": "1"}
    log = django_settings.VAR / "tls.log"
    with (
        live.process(sys.executable, "-m", "console", "worker", log=log, **queue, **server.environment()) as worker,
        live.process(sys.executable, "-m", "console", "beat", log=log, **server.environment()),
    ):
        rows = Worker.objects.filter(pid=worker.pid, stopped_at=None)
        live.until(lambda: rows.exists() or worker.poll() is not None, what="the heartbeat")
        assert worker.poll() is None, log.read_text()[-3000:]
        run = ended(start(toy, "fan", settings={"queue": "tls"}, word="moon"))
        assert (run.status, run.error) == (Status.SUCCEEDED, "")
        assert Run.objects.count() == 1
    assert "insecure" not in log.read_text()
