"""Whether the database has what this version needs, and waiting for it."""

from __future__ import annotations

import pytest
from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from jobs import schema

pytestmark = pytest.mark.django_db


def test_the_files_are_what_django_itself_finds() -> None:
    assert set(schema.known()) == set(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)


def test_a_migrated_database_is_current_and_one_of_a_newer_version_too() -> None:
    assert schema.schema_is_current() and schema.obstacle() == ""
    MigrationRecorder(connection).record_applied("jobs", "9999_of_the_next_release")
    assert schema.schema_is_current()


def test_what_is_missing_is_named() -> None:
    MigrationRecorder(connection).record_unapplied("jobs", "0001_initial")
    assert not schema.schema_is_current()
    assert schema.obstacle() == ("The database is not migrated yet: jobs.0001_initial. Run `python manage.py prepare`.")


def test_who_waits_says_so_once_and_goes_on_when_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, said, looks = MigrationRecorder(connection), list[str](), list[float]()
    recorder.record_unapplied("jobs", "0001_initial")

    def wait(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            recorder.record_applied("jobs", "0001_initial")

    monkeypatch.setattr(schema.time, "sleep", wait)
    schema.wait("Beat", said.append)
    assert [sentence.partition(".")[0] for sentence in said] == [
        "Beat waits",
        "Beat waited for the database and goes on: it is ready",
    ]


def test_a_database_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([Error("no route\nto host"), []])

    def missing() -> list[str]:
        answer = next(answers)
        if isinstance(answer, Error):
            raise answer
        return answer

    said: list[str] = []
    monkeypatch.setattr(schema, "missing", missing)
    monkeypatch.setattr(schema.time, "sleep", lambda _: None)
    schema.wait("The worker", said.append)
    assert said[0] == "The worker waits. The database does not answer: no route to host"
