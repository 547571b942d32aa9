"""What collects the events of a step."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from jobs.steps.collect import Collector
from tests.factories import AT, make_run


def collecting(**facts: Any) -> Collector:
    run = make_run(**facts)
    step = run.steps.get()
    token = step.claim(at=AT, worker_name="w1", lease=timedelta(seconds=20))
    return Collector(step, token, {"zip_file"})
