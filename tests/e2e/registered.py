"""The toy, registered: for all tests of a process it is read once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from jobs import clock
from jobs.interpreters.fingerprint import fingerprint
from jobs.interpreters.snapshots import READ_FACTS, add_project
from jobs.models import Pipeline, Project, Snapshot
from tests.toys import write_toy

READ: Final[dict[str, Any]] = {}
"""What reading the first toy of this process wrote; `FOLDER` stands for where it was."""
FOLDER: Final = "<where it is>"


def add_toy(folder: Path, environment: dict[str, str] | None = None) -> Project:
    """A toy in this new folder, registered.

    Its own Python reads the first one, which takes seconds; for the others, which differ by their folder alone, the
    rows that came of it are written again.
    """
    write_toy(folder)
    if not READ:
        project = add_project(folder, at=clock.now(), environment=environment)
        READ.update(_written(project))
        return project
    project = Project(
        name=folder.name, path=str(folder), interpreter=READ["interpreter"], environment=environment or {}
    )
    facts = dict(zip(READ_FACTS, (*READ["facts"], fingerprint(project), clock.now()), strict=True))
    for name, value in facts.items():
        setattr(project, name, value)
    project.save()
    content = json.loads(READ["content"].replace(FOLDER, str(folder)))
    Snapshot.objects.create(project=project, content=content, taken_at=project.checked_at, **READ["snapshot"])
    Pipeline.objects.bulk_create(Pipeline(project=project, name=each["name"]) for each in content["pipelines"])
    return project


def _written(project: Project) -> dict[str, Any]:
    snapshot = project.snapshot
    assert snapshot
    names = ("revision", "kedro_version", "python_version")
    return {
        "interpreter": project.interpreter,
        "facts": (project.trouble, project.unread),
        "content": json.dumps(snapshot.content).replace(project.path, FOLDER),
        "snapshot": {name: getattr(snapshot, name) for name in names},
    }
