"""Schedules and rules start what of their pipeline was chosen, and keep no choice that could not be."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import PeriodicTask

from jobs.models import Run, Schedule
from jobs.rules.edit import BadRule, save_rule
from jobs.schedules.schedules import choices, wish
from jobs.schedules.start import start_scheduled
from tests.admin.changing import act, errors, save
from tests.admin.rows import make_rule, make_schedule
from tests.factories import AT, make_pipeline, make_run
from tests.jobs.chains import end

pytestmark = pytest.mark.django_db
TAGGED = {"tags": ["io"]}


def test_a_schedule_is_given_its_choices_and_starts_them(admin_page: Client) -> None:
    pipeline = make_pipeline()
    address = f"{reverse('admin:django_celery_beat_periodictask_add')}?pipeline={pipeline.pk}"
    wrong = save(admin_page, address, selection='{"tag": ["io"]}')
    assert errors(wrong)["selection"] == ["tag: There is no such choice. Did you mean tags?"]
    absent = save(admin_page, address, selection='{"tags": ["oi"]}')
    assert errors(absent)["selection"] == ["tags: There is no tag “oi” in this pipeline. Known here: io."]
    assert save(admin_page, address, selection='{"tags": ["io"]}').status_code == 302
    schedule = PeriodicTask.objects.get()
    assert choices(schedule) == TAGGED
    due = Schedule.objects.get().next_due_at
    run = start_scheduled(pipeline.pk, {}, schedule.name, due, choices(schedule))
    assert (run.nodes, run.selection) == (["fetch", "write"], TAGGED)


def test_run_now_starts_the_same(admin_page: Client) -> None:
    run = make_run()
    schedule = make_schedule(run, kwargs=wish(run.pipeline, {}, TAGGED))
    act(admin_page, "run_now", schedule)
    assert Run.objects.exclude(pk=run.pk).get().selection == TAGGED


def test_a_rule_starts_what_it_chooses(django_capture_on_commit_callbacks: Any) -> None:
    run = make_run()
    rule = make_rule(run, condition="run.iteration < `1`", selection=TAGGED)
    end(run)
    assert [each.selection for each in Run.objects.exclude(pk=run.pk)] == [TAGGED]
    for wrong, sentence in (({"tags": ["oi"]}, "There is no tag “oi”"), ({"tag": []}, "Did you mean tags?")):
        with pytest.raises(BadRule) as caught:
            save_rule(rule, [run.pipeline], at=AT, selection=wrong)
        assert sentence in caught.value.fields["selection"]
