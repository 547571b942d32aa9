"""The admin, a module for each noun; autodiscovery finds them through this package."""

from console.admin import (
    artifacts,
    audit,
    people,
    pipelines,
    projects,
    results,
    runs,
    schedules,
    workers,
)

__all__ = ["artifacts", "audit", "people", "pipelines", "projects", "results", "runs", "schedules", "workers"]
