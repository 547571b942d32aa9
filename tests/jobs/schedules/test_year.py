"""A simulated year in six zones: each due time has exactly one row, whatever happens meanwhile."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.models import Lead, Pipeline, Tick
from tests.factories import make_pipeline
from tests.jobs.schedules.simulation import BEGIN, Simulation


@pytest.mark.django_db
def test_every_due_time_of_a_year_has_one_row_and_every_run_a_due_time() -> None:
    pipeline = make_pipeline()
    Pipeline.objects.update(locks_outputs=False)
    pipeline.refresh_from_db()
    year = Simulation(pipeline, BEGIN, seed=7, schedules=50, busy=0)
    year.run(BEGIN + timedelta(days=365), events=60, kills=30)
    assert year.faults() == []
    assert year.policies_broken() == []
    assert Tick.objects.count() > 250 and year.kills == 30 and year.fenced > 3
    assert Lead.objects.get().token > 30
