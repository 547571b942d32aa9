"""The toy of these tests is as a reading would write it."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.forms.models import model_to_dict

from jobs import clock
from jobs.interpreters.snapshots import add_project
from jobs.models import Project
from jobs.runs.reread import reread
from tests.e2e.registered import READ, add_toy

pytestmark = pytest.mark.django_db(transaction=True)


def written(project: Project) -> object:
    """All that stands in the rows of a project, but for when and where it was read."""
    own = {field.name for field in Project._meta.concrete_fields}
    own -= {"id", "name", "path", "fingerprint", "created_at", "checked_at"}
    snapshot = project.snapshot
    assert snapshot
    facts = model_to_dict(snapshot, exclude=["id", "project"]) | {"content": None}
    content = str(snapshot.content).replace(project.path, "")
    return {name: getattr(project, name) for name in own}, facts, content, list(project.pipelines.values("name"))


def test_what_was_read_once_is_written_again_as_another_reading_would(tmp_path: Path) -> None:
    add_toy(tmp_path / "first")
    assert READ
    again = add_toy(tmp_path / "second")
    before = written(again), again.fingerprint, again.snapshot
    assert add_project(again.path, at=clock.now()) == again
    again.refresh_from_db()
    assert (written(again), again.fingerprint, again.snapshot) == before, "an unchanged picture is not stored twice"


def test_its_files_have_not_changed_since(tmp_path: Path) -> None:
    toy = add_toy(tmp_path / "toy")
    checked_at = toy.checked_at
    reread(toy, at=clock.now())
    toy.refresh_from_db()
    assert toy.checked_at == checked_at
