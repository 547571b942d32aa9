"""A worker that is root runs projects as another user: files come back, and processes end, as they should."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

from jobs import clock
from jobs.interpreters.artifacts import key_of, store
from jobs.models import Artifact, Project, Worker
from jobs.runs.cancel import cancel
from jobs.states import Status
from tests import live
from tests.another_user import another_user
from tests.e2e.running import ended, start

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]


def test_runs_of_another_user(
    redis_server: subprocess.Popen[bytes], transactional_db: None, toy: Project, tmp_path: Path
) -> None:
    user = another_user(toy, tmp_path)
    diary = toy.folder / "diary"
    with live.worker("root", CONSOLE_RUN_AS="daemon"):
        assert Worker.objects.get(name="root@test").boundary.endswith(" as daemon")
        files, memory = start(toy, "writes"), start(toy, "eats", settings={"memory_limit_mb": 60}, megabytes=2000)
        stopped = start(toy, "grinds", settings={"grace_seconds": 1}, diary=str(diary))
        fan = start(toy, "fan", settings={"runner": "distributed"})
        live.until_written(diary, what="the node's start")
        pids = [int(pid) for pid in diary.read_text().split()]
        assert diary.stat().st_uid == user.pw_uid
        assert all(Path(f"/proc/{pid}").stat().st_uid == user.pw_uid for pid in pids)
        cancel(stopped, at=clock.now(), by="olga")
        assert ended(stopped).status == Status.CANCELLED
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
        assert ended(files).status == ended(fan).status == Status.SUCCEEDED, files.error or fan.error
        assert ended(memory).status == Status.CRASHED and "MB allowed" in memory.error
        artifact = Artifact.objects.get(run=files, name="report.csv")
        place = Path(store().path(key_of(artifact.sha256)))
        assert place.read_text().startswith("word") and place.stat().st_uid == os.geteuid()
        assert (Path(settings.VAR) / "runs" / str(toy.pk)).stat().st_uid == user.pw_uid
