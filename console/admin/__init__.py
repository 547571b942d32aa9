"""The admin, a module for each noun; autodiscovery finds them through this package."""

from console.admin import (
    artifacts,
    audit,
    batches,
    events,
    people,
    pipelines,
    projects,
    quotas,
    replays,
    requests,
    results,
    rules,
    runs,
    schedules,
    steps,
    workers,
)

__all__ = [
    "artifacts",
    "audit",
    "batches",
    "events",
    "people",
    "pipelines",
    "projects",
    "quotas",
    "replays",
    "requests",
    "results",
    "rules",
    "runs",
    "schedules",
    "steps",
    "workers",
]
