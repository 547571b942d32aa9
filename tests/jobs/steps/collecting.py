"""What collects the events of a step."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from jobs.steps.collect import Collector
from jobs.steps.request_for_child import step_folder
from tests.factories import AT, make_run


def folder_of(seen: Collector) -> Path:
    """Where its child stages files, and nowhere else."""
    folder = step_folder(seen.writer.step)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def collecting(**facts: Any) -> Collector:
    run = make_run(**facts)
    step = run.steps.get()
    token = step.claim(at=AT, worker_name="w1", lease=timedelta(seconds=20))
    return Collector(step, token, {"zip_file"})
