"""Migrations after the last release only add: its processes go on while and after the database is migrated."""

from __future__ import annotations

from typing import Any, Final

import pytest
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState, ProjectState

from jobs import schema
from tests.jobs.additive import refusals

BASELINE: Final = {"jobs": "0023_run_warning", "console": "0001_initial"}
"""The newest migrations of the first release that this counts for (0.3.0)."""


def test_every_migration_since_the_baseline_only_adds() -> None:
    loader = MigrationLoader(None)
    for app, newest in BASELINE.items():
        assert (app, newest) in loader.disk_migrations
        later = [node for node in schema.known() if node[0] == app and node[1] > newest]
        for node in later:
            state = loader.project_state(node, at_end=False)
            assert refusals(loader.disk_migrations[node], state) == []


def state() -> ProjectState:
    known = ProjectState()
    columns = [("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=10))]
    known.add_model(ModelState("jobs", "Thing", columns, options={"constraints": [], "indexes": []}))
    return known


def said(operation: Any) -> list[str]:
    migration = migrations.Migration("0099_tried", "jobs")
    migration.operations = [operation]
    return refusals(migration, state())


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("thing", "size", models.IntegerField(null=True)),
        migrations.AddField("thing", "size", models.IntegerField(db_default=0)),
        migrations.AddField("thing", "size", models.IntegerField(default=0, db_default=0)),
        migrations.AlterField("thing", "name", models.CharField(max_length=10, help_text="Its name.")),
        migrations.AlterField("thing", "name", models.CharField(max_length=20)),
        migrations.AlterField("thing", "name", models.CharField(max_length=10, null=True)),
        migrations.AddIndex("thing", models.Index(fields=["name"], name="thing_by_name")),
        migrations.CreateModel("Other", [("id", models.BigAutoField(primary_key=True))]),
        migrations.RunPython(migrations.RunPython.noop),
    ],
)
def test_an_addition_is_taken(operation: Any) -> None:
    assert said(operation) == []


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("thing", "size", models.IntegerField(default=0)),
        migrations.AddField("thing", "size", models.CharField(max_length=3, default="", blank=True)),
        migrations.RemoveField("thing", "name"),
        migrations.RenameField("thing", "name", "title"),
        migrations.AlterField("thing", "name", models.CharField(max_length=5)),
        migrations.AlterField("thing", "name", models.IntegerField()),
        migrations.AlterField("thing", "name", models.CharField(max_length=10, unique=True)),
        migrations.DeleteModel("thing"),
        migrations.RenameModel("thing", "matter"),
        migrations.RunSQL("DROP TABLE jobs_thing"),
        migrations.SeparateDatabaseAndState([migrations.RunSQL("DROP TABLE jobs_thing")], []),
        migrations.AddConstraint(
            "thing", models.CheckConstraint(condition=models.Q(name__gt="a"), name="thing_has_a_name")
        ),
    ],
)
def test_what_an_earlier_release_would_stumble_over_is_refused(operation: Any) -> None:
    (sentence,) = said(operation)
    assert sentence.startswith("jobs.0099_tried: ")
