"""Many processes that use one quota at the same time, counted as the API would."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from jobs import clock
from jobs.models import Grant, Quota
from tests.factories import make_pipeline, make_quota, make_run
from tests.live import ROOT, environment, until

PROCESSES, REQUESTS, ALLOWED = 6, 6, 6


@pytest.mark.django_db(transaction=True)
def test_processes_that_race_never_send_more_than_is_allowed_in_any_window(tmp_path: Path) -> None:
    make_quota(windows=f"{ALLOWED} requests per second")
    pipeline = make_pipeline()
    racers = []
    for _ in range(PROCESSES):
        step = make_run(pipeline).steps.get()
        token = step.claim(at=clock.now(), worker_name="w@test", lease=timedelta(hours=1))
        command = [
            sys.executable,
            "-m",
            "tests.jobs.quota_racer",
            str(step.pk),
            str(token),
            str(tmp_path),
            str(REQUESTS),
        ]
        environ = environment(DJANGO_SETTINGS_MODULE="console.settings", PYTHONPATH="pipelines")
        racers.append(subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True))
    until(lambda: len(list(tmp_path.glob("ready-*"))) == PROCESSES or any(racer.poll() for racer in racers))
    (tmp_path / "go").touch()
    for racer in racers:
        _, errors = racer.communicate(timeout=120)
        assert racer.returncode == 0, errors
    times = sorted(float(line) for line in (tmp_path / "arrivals").read_text().split())
    assert len(times) == PROCESSES * REQUESTS
    assert all(late - early >= 1.0 for early, late in zip(times, times[ALLOWED:], strict=False))
    quota = Quota.objects.get()
    assert (quota.open_requests, quota.settled_requests) == (0, len(times))
    assert Grant.objects.settled().count() == len(times)
