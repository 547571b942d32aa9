"""What is due soon finds its project imported; nothing else costs memory before it is needed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs import clock
from jobs.models import Pipeline, Schedule
from jobs.schedules.dues import Once
from jobs.schedules.edit import Wanted, create
from jobs.schedules.switch import pause
from jobs.upkeep.warm_ahead import due_soon
from tests.factories import make_pipeline, make_project

pytestmark = pytest.mark.django_db
SOON, LATER = timedelta(seconds=60), timedelta(hours=1)


def pipeline_of(name: str, **facts: Any) -> Pipeline:
    """The report of a project of this name."""
    return make_pipeline(project=make_project(name), **facts)


def scheduled(pipeline: Pipeline, ahead: timedelta, env: str = "") -> Schedule:
    at = clock.now()
    name = f"{pipeline.pk} in {ahead} {env}"
    made = create(Wanted(name=name, pipeline=pipeline, rule=Once(at + ahead), zone="UTC"), at=at)
    if env:  # which the project of these tests does not have
        Schedule.objects.filter(pk=made.pk).update(selection={"env": env})
    return made


def test_only_what_is_due_soon_on_these_queues_and_may_start_is_warmed_each_project_once() -> None:
    soon, later, held, gone = (pipeline_of(name) for name in ("soon", "later", "held", "gone"))
    elsewhere = pipeline_of("elsewhere", queue="gpu")
    for number, pipeline in enumerate((soon, soon, elsewhere, gone)):
        scheduled(pipeline, SOON + timedelta(seconds=number))
    pause(scheduled(held, SOON), at=clock.now(), by="ann")
    scheduled(later, LATER)
    Pipeline.objects.filter(pk=gone.pk).update(is_registered=False)
    assert due_soon(["default"], clock.now()) == [(soon.project_id, None)]
    assert due_soon(["gpu"], clock.now()) == [(elsewhere.project_id, None)]
    assert (later.project_id, None) in due_soon(["default"], clock.now() + LATER - SOON)


def test_what_is_due_first_comes_first_and_each_environment_has_a_host_of_its_own() -> None:
    first, second = pipeline_of("first"), pipeline_of("second")
    scheduled(second, SOON)
    scheduled(first, SOON / 2)
    scheduled(first, SOON / 3, env="prod")
    expected = [(first.project_id, "prod"), (first.project_id, None), (second.project_id, None)]
    assert due_soon(["default"], clock.now()) == expected
