"""The admin, a module for each noun; autodiscovery finds them through this package."""

from console.admin import (
    artifacts,
    audit,
    events,
    people,
    pipelines,
    projects,
    replays,
    requests,
    results,
    runs,
    schedules,
    steps,
    workers,
)

__all__ = [
    "artifacts",
    "audit",
    "events",
    "people",
    "pipelines",
    "projects",
    "replays",
    "requests",
    "results",
    "runs",
    "schedules",
    "steps",
    "workers",
]
