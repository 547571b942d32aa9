"""Find the schedule that somebody names for a backfill."""

from __future__ import annotations

from jobs.errors import BadParameters, did_you_mean, nearest_of
from jobs.models import Pipeline, Schedule


def find_schedule(name: str, pipeline: Pipeline) -> Schedule:
    """By its name or its number; BadParameters with the nearest names of those that start this pipeline."""
    rows = Schedule.objects.known().filter(pipeline=pipeline)
    found = rows.filter(periodic_task__name=name).first()
    if found is None and name.isascii() and name.isdigit() and len(name) < 19:
        found = rows.filter(pk=int(name)).first()
    if found is None:
        names = [schedule.name for schedule in rows]
        hint = did_you_mean(nearest_of(name, names), f" There are {', '.join(names)}." if names else "")
        raise BadParameters({"schedule": f"No schedule “{name[:80]}” starts {pipeline.name}.{hint}"})
    return found
