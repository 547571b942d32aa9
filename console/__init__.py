"""The face: settings, pages, API, admin and commands of Kedro Console."""

import sys
from pathlib import Path

sys.path.append(
    str(Path(__file__).resolve().parent.parent / "pipelines")
)  # kedro_console.wire, from any working folder

from console.celery import app as celery_app

__all__ = ["celery_app"]
