"""Schedules in the admin: two clicks make one, and nothing but our own tasks can be scheduled."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks, SolarSchedule

from jobs import clock
from jobs.models import Run
from jobs.schedules.due import next_fires
from jobs.schedules.schedules import START, asked
from jobs.states import Cause
from tests.admin.changing import LIST, act, errors, save
from tests.admin.rows import make_schedule
from tests.factories import make_pipeline, make_run

ADD = "admin:django_celery_beat_periodictask_add"
CHANGE = "admin:django_celery_beat_periodictask_change"


def test_a_schedule_is_made_with_one_click(admin_page: Client) -> None:
    pipeline = make_pipeline()
    assert save(admin_page, f"{reverse(ADD)}?pipeline={pipeline.pk}").status_code == 302
    schedule = PeriodicTask.objects.get()
    assert (schedule.name, schedule.task, schedule.enabled) == ("shop / report", START, True)
    assert asked(schedule) == (pipeline.pk, {})
    assert (schedule.crontab.hour, schedule.crontab.minute) == ("6", "0")
    page = admin_page.get(reverse(LIST)).content.decode()
    assert "Every day at 06:00, UTC" in page


def test_a_second_schedule_of_a_pipeline_gets_a_name_of_its_own(admin_page: Client) -> None:
    pipeline = make_pipeline()
    for _ in range(3):
        save(admin_page, f"{reverse(ADD)}?pipeline={pipeline.pk}")
    assert sorted(PeriodicTask.objects.values_list("name", flat=True)) == [
        "shop / report", "shop / report (2)", "shop / report (3)",
    ]  # fmt: skip
    assert CrontabSchedule.objects.count() == 1


def test_saving_a_schedule_unchanged_leaves_it_as_it_was(admin_page: Client) -> None:
    schedule = make_schedule(make_run())
    assert save(admin_page, reverse(CHANGE, args=[schedule.pk])).status_code == 302
    after = PeriodicTask.objects.get()
    assert (after.crontab_id, after.kwargs, after.task) == (schedule.crontab_id, schedule.kwargs, schedule.task)


def test_a_schedule_can_change_from_set_times_to_an_interval(admin_page: Client) -> None:
    schedule = make_schedule(make_run())
    save(admin_page, reverse(CHANGE, args=[schedule.pk]), timing="interval", every="10", period="minutes")
    schedule = PeriodicTask.objects.get()
    assert schedule.crontab is None
    assert str(schedule.interval) == "every 10 minutes"


def test_a_schedule_for_once_pauses_itself_afterwards(admin_page: Client) -> None:
    pipeline = make_pipeline()
    address = f"{reverse(ADD)}?pipeline={pipeline.pk}"
    save(admin_page, address, timing="clocked", once_at_0="2030-01-01", once_at_1="06:30:00")
    schedule = PeriodicTask.objects.get()
    assert schedule.one_off
    assert f"{schedule.clocked.clocked_time:%Y-%m-%d %H:%M}" == "2030-01-01 06:30"


def test_a_schedule_follows_the_sun_and_is_due_when_it_sets(admin_page: Client) -> None:
    address = f"{reverse(ADD)}?pipeline={make_pipeline().pk}"
    save(admin_page, address, timing="solar", event="sunset", latitude="52.52", longitude="-13.4")
    task = PeriodicTask.objects.get()
    change = reverse(CHANGE, args=[task.pk])
    assert task.console_schedule.rule == {"kind": "sun", "event": "sunset", "latitude": 52.52, "longitude": -13.4}
    upcoming = next_fires(task, clock.now(), 400)
    gaps = [later - earlier for earlier, later in pairwise(upcoming)]
    assert len(gaps) == 399 and all(abs(gap - timedelta(days=1)) < timedelta(minutes=4) for gap in gaps)
    assert "At sunset at 52.52° north, 13.4° west" in admin_page.get(reverse(LIST)).content.decode()
    save(admin_page, change, event="dawn_nautical")
    assert PeriodicTask.objects.get().console_schedule.rule["event"] == "dawn_nautical"
    before = PeriodicTask.objects.get().console_schedule.edited_at
    save(admin_page, change)
    assert PeriodicTask.objects.get().console_schedule.edited_at == before


@pytest.mark.parametrize("task", ["jobs.execute", "jobs.snapshot", "os.system", ""])
def test_no_other_task_can_be_scheduled(task: str, admin_page: Client) -> None:
    address = f"{reverse(ADD)}?pipeline={make_pipeline().pk}"
    assert "task" in errors(save(admin_page, address, task=task))
    assert not PeriodicTask.objects.exists()


def test_a_row_with_another_task_cannot_be_saved_as_it_is(admin_page: Client) -> None:
    schedule = make_schedule(make_run(), task="jobs.execute", kwargs='{"step_id": 1}')
    answer = save(admin_page, reverse(CHANGE, args=[schedule.pk]))
    assert errors(answer) == {"task": ["A schedule starts a pipeline or one of the console's own tasks, nothing else."]}


def test_what_a_form_smuggles_in_is_not_kept(admin_page: Client) -> None:
    address = f"{reverse(ADD)}?pipeline={make_pipeline().pk}"
    smuggled = {"kwargs": '{"x": 1}', "args": "[1]", "queue": "evil", "headers": '{"a": 1}', "exchange": "e"}
    save(admin_page, address, **smuggled)
    schedule = PeriodicTask.objects.get()
    assert (schedule.args, schedule.queue, schedule.exchange) == ("[]", None, None)
    assert json.loads(schedule.kwargs).keys() == {"pipeline_id", "parameters"}
    assert json.loads(schedule.headers or "{}") == {}


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"parameters": '{"colour": 1}'}, "parameters", "colour: The project has no parameter of this name."),
        ({"parameters": '{"options": {"top": 99}}'}, "parameters", "options.top: 99 is greater than"),
        ({"parameters": "[1]"}, "parameters", "Write an object"),
        ({"parameters": "{"}, "parameters", "Enter a valid JSON."),
        ({"pipeline": ""}, "pipeline", "Choose the pipeline to start."),
        ({"cron": "0 6 *"}, "cron", "Write five fields"),
        ({"cron": "0 25 * * *"}, "cron", "25"),
        ({"cron": "0 6 * * fri#2"}, "cron", "are set on the page Schedules"),
        ({"cron": "0 6 15,L * *"}, "cron", "are set on the page Schedules"),
        ({"cron": "0 6 30 2 *"}, "cron", "No such time ever comes."),
        ({"zone": "Mars/Olympus"}, "zone", "Select a valid choice"),
        ({"timing": "interval", "every": "0"}, "every", "greater than or equal to 1"),
        ({"timing": "interval", "every": ""}, "every", "Write a whole number"),
        ({"timing": "clocked"}, "once_at", "Give the day and the time."),
        ({"timing": "solar", "longitude": "13.4"}, "latitude", "Give it in degrees."),
        ({"timing": "solar", "latitude": "91", "longitude": "13.4"}, "latitude", "less than or equal to 90"),
        ({"timing": "solar", "latitude": "52", "longitude": "east"}, "longitude", "Enter a number."),
        ({"timing": "solar", "event": "noon", "latitude": "52", "longitude": "13"}, "event", "Select a valid choice"),
        ({"timing": "lunar"}, "timing", "Select a valid choice"),
        ({"name": ""}, "name", "required"),
    ],
)
def test_a_wrong_value_is_told_beside_its_field(
    changes: dict[str, str], field: str, sentence: str, admin_page: Client
) -> None:
    address = f"{reverse(ADD)}?pipeline={make_pipeline().pk}"
    told = errors(save(admin_page, address, **changes))
    assert list(told) == [field]
    assert sentence in " ".join(told[field])
    assert not PeriodicTask.objects.exists()
    assert not any(kind.objects.exists() for kind in (CrontabSchedule, IntervalSchedule, SolarSchedule))


def test_two_schedules_cannot_have_one_name(admin_page: Client) -> None:
    schedule = make_schedule(make_run())
    address = f"{reverse(ADD)}?pipeline={make_pipeline('__default__').pk}"
    assert "already exists" in " ".join(errors(save(admin_page, address, name=schedule.name))["name"])


def test_pausing_and_switching_on_is_told_to_beat(admin_page: Client) -> None:
    schedule = make_schedule(make_run())
    before = PeriodicTasks.last_change()
    assert "mornings: paused." in act(admin_page, "disable", schedule)
    assert not PeriodicTask.objects.get().enabled
    between = PeriodicTasks.last_change()
    assert between > before
    assert "mornings: on." in act(admin_page, "enable", schedule)
    assert PeriodicTask.objects.get().enabled
    assert PeriodicTasks.last_change() > between


def test_run_now_starts_a_run_beside_the_schedule(admin_page: Client, boss: User) -> None:
    schedule = make_schedule(make_run())
    page = act(admin_page, "run_now", schedule)
    run = Run.objects.first()
    assert run is not None
    assert (run.cause, run.requested_by, run.idempotency_key) == (Cause.MANUAL, boss, None)
    assert f'as run <a href="{reverse("run", args=[run.pk])}"' in page
    act(admin_page, "run_now", schedule)
    assert Run.objects.count() == 3


def test_run_now_of_a_schedule_without_a_pipeline_says_so(admin_page: Client) -> None:
    schedule = make_schedule(make_run(), kwargs="{}")
    assert "mornings was not started: it starts no known pipeline." in act(admin_page, "run_now", schedule)


def test_an_operator_pauses_and_starts_but_does_not_edit(as_role: Callable[[str], Client]) -> None:
    schedule = make_schedule(make_run())
    operator = as_role("operator")
    assert "mornings: paused." in act(operator, "disable", schedule)
    assert "as run" in act(operator, "run_now", schedule)
    cleanup = make_schedule(make_run(), "cleanup", task="celery.backend_cleanup", kwargs="{}")
    assert "Nothing to change" in act(operator, "disable", cleanup)
    assert operator.get(reverse(ADD)).status_code == 403


def test_a_schedule_is_deleted_with_its_pipeline_and_the_page_says_so(admin_page: Client) -> None:
    pipeline = make_pipeline("spare")
    save(admin_page, f"{reverse(ADD)}?pipeline={pipeline.pk}")
    address = reverse("admin:jobs_pipeline_delete", args=[pipeline.pk])
    assert "Schedule: shop / spare" in admin_page.get(address).content.decode()
    assert admin_page.post(address, {"post": "yes"}).status_code == 302
    assert not PeriodicTask.objects.exists()


def test_a_rule_in_use_cannot_be_deleted_from_under_its_schedules(admin_page: Client) -> None:
    schedule = make_schedule(make_run())
    address = reverse("admin:django_celery_beat_crontabschedule_delete", args=[schedule.crontab_id])
    assert admin_page.post(address, {"post": "yes"}).status_code == 403
    assert PeriodicTask.objects.exists()
