"""The pages of schedules: the list and its month, one with its ticks, the editor with its proof."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import current_app
from django.test import Client
from django.urls import reverse

from jobs import clock
from jobs.models import Act, Run, Schedule
from jobs.states import Status, TickDecision
from tests.factories import make_pipeline, make_schedule, make_tick
from tests.views.browsers import Form
from tests.views.scenes import HTMX, ended, logged_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


def text(client: Client, path: str, **more: Any) -> str:
    answer = client.get(path, **more)
    assert answer.status_code == 200, path
    return answer.content.decode()


def page(role: str, name: str, *args: Any, query: str = "") -> str:
    return text(logged_in(role), reverse(name, args=args) + query)


def fresh(client: Client, address: str) -> dict[str, Any]:
    """What a browser sends for the form that nobody touched."""
    return Form(text(client, address), "run-form").sent


# ---- the list


def test_every_role_sees_the_list_and_only_an_admin_may_add() -> None:
    make_schedule()
    for role in ("viewer", "analyst", "operator", "admin"):
        shown = page(role, "schedules")
        assert "Monday to Friday at 06:00, Europe/Berlin" in shown
        assert ("New schedule" in shown) is (role == "admin")


def test_without_schedules_it_says_what_they_are() -> None:
    assert "Make the first schedule" in page("admin", "schedules")


def test_what_refuses_or_fails_comes_first() -> None:
    at = clock.now()
    rows = {name: make_schedule(name=name) for name in ("Calm", "Failing", "Missed", "Refusing", "Stopped")}
    failed = ended(Status.FAILED, error="disk full")
    make_tick(rows["Failing"], at - timedelta(hours=1), TickDecision.STARTED, run=failed)
    make_tick(rows["Calm"], at - timedelta(hours=1), TickDecision.STARTED, run=ended())
    make_tick(rows["Missed"], at - timedelta(hours=1), TickDecision.MISSED, reason="The scheduler was down.")
    make_tick(rows["Refusing"], at - timedelta(hours=1), TickDecision.REFUSED, reason="options.top: too large.")
    Schedule.objects.filter(name_is("Stopped")).update(paused_since=at, paused_by="olga", paused_reason="Holidays")
    shown = page("viewer", "schedules")
    places = [shown.index(f">{name}</a>") for name in ("Refusing", "Failing", "Missed", "Calm", "Stopped")]
    assert places == sorted(places)
    assert "options.top: too large." in shown and "disk full" in shown
    assert "Paused by olga, until somebody resumes it: Holidays." in shown


def name_is(name: str) -> Any:
    from django.db.models import Q

    return Q(periodic_task__name=name)


def test_the_list_is_searched_by_name_pipeline_owner_and_note() -> None:
    make_schedule(name="Mornings", note="for the board")
    make_schedule(name="Evenings")
    assert "Evenings" not in page("viewer", "schedules", query="?q=board+report")
    assert "has “nothing at all”" in page("viewer", "schedules", query="?q=nothing+at+all")


def test_the_list_costs_the_same_for_many(django_assert_max_num_queries: Any) -> None:
    at = clock.now()
    for number in range(30):
        row = make_schedule(name=f"No {number}")
        make_tick(row, at - timedelta(hours=1), TickDecision.SKIPPED)
    client = logged_in("viewer")
    with django_assert_max_num_queries(15):
        client.get(reverse("schedules"))


def test_a_month_shows_what_is_due_on_each_day() -> None:
    make_schedule(name="Ends of months", rule="0 6 L * *", at=clock.now())
    make_schedule(name="Often", rule="*/5 * * * *", at=clock.now())
    month = f"{clock.now() + timedelta(days=40):%Y-%m}"
    shown = page("viewer", "schedules", query=f"?view=month&month={month}")
    assert shown.count("Ends of months: 0") in (1, 2)
    assert shown.count("288 ×") == 2 * shown.count("<h3")  # said by the entry and by its title
    assert page("viewer", "schedules", query="?view=month&month=nonsense")


# ---- one


def test_its_page_shows_ticks_with_their_reasons_and_the_next_times() -> None:
    at = clock.now()
    row = make_schedule(at=at)
    make_tick(row, at - timedelta(days=2), TickDecision.SKIPPED, reason="Run #4 was still going.")
    run = ended()
    make_tick(row, at - timedelta(days=1), TickDecision.STARTED, run=run)
    shown = page("viewer", "schedule", row.pk)
    assert "Run #4 was still going." in shown and f"run #{run.pk} succeeded" in shown
    assert shown.count('class="kc-strong kc-number"') == 10
    assert "Run now" not in shown and "Pause…" not in shown and "Edit" not in shown


def test_a_tick_says_why_and_can_be_made_up_for_or_dismissed() -> None:
    at = clock.now()
    row = make_schedule(at=at - timedelta(days=3))
    tick = make_tick(row, at - timedelta(days=1), TickDecision.MISSED, reason="The scheduler was down.")
    operator, address = logged_in("operator"), reverse("schedule_tick", args=[row.pk, tick.pk])
    drawer = text(operator, address, **HTMX)
    assert "The scheduler was down." in drawer and "Run it now" in drawer and "Dismiss" in drawer
    assert operator.get(address)["Location"] == f"/schedules/{row.pk}/?tick={tick.pk}"
    assert "Run it now" not in text(logged_in("viewer"), address, **HTMX)
    operator.post(reverse("schedule_tick_dismiss", args=[row.pk, tick.pk]))
    tick.refresh_from_db()
    assert tick.dismissed_by == "operator"
    assert "Dismiss" not in text(operator, address, **HTMX).replace("Dismissed", "")
    operator.post(reverse("schedule_tick_run", args=[row.pk, tick.pk]))
    tick.refresh_from_db()
    assert (tick.decision, tick.run) == (TickDecision.MADE_UP, Run.objects.get())


def test_an_operator_pauses_with_a_reason_and_an_end_and_resumes() -> None:
    row = make_schedule(at=clock.now())
    client, until = logged_in("operator"), f"{clock.now() + timedelta(days=3):%Y-%m-%dT%H:%M}"
    client.post(reverse("schedule_pause", args=[row.pk]), {"reason": "Holidays", "until": until})
    shown = text(client, reverse("schedule", args=[row.pk]))
    assert "is paused." in shown and "Holidays" in shown and "Resume" in shown
    client.post(reverse("schedule_resume", args=[row.pk]))
    row.refresh_from_db()
    assert row.paused_since is None
    client.post(reverse("schedule_pause", args=[row.pk]), {"until": "2020-01-01T00:00"})
    assert "has passed" in text(client, reverse("schedule", args=[row.pk]))
    assert [act.verb for act in Act.objects.filter(kind="schedule").order_by("id")] == ["paused", "resumed"]


def test_run_now_leads_to_the_run() -> None:
    row = make_schedule(at=clock.now())
    answer = logged_in("operator").post(reverse("schedule_run", args=[row.pk]), follow=True)
    run = Run.objects.get()
    assert f'Mornings started <a class="kc-link" href="/runs/{run.pk}/">run #{run.pk}</a>.' in answer.content.decode()


def test_home_shows_what_a_schedule_refused_until_it_is_dismissed() -> None:
    row = make_schedule()
    tick = make_tick(row, clock.now(), TickDecision.REFUSED, reason="options.top: too large.")
    assert "options.top: too large." in page("viewer", "home")
    logged_in("operator").post(reverse("schedule_tick_dismiss", args=[row.pk, tick.pk]))
    assert "options.top: too large." not in page("viewer", "home")


# ---- the editor


def facts(row: Schedule) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.fields if field.name != "edited_at"}


def test_a_schedule_of_days_and_times_is_made_and_changed() -> None:
    pipeline, client = make_pipeline(), logged_in("admin")
    address = reverse("schedule_new_for", args=[pipeline.pk])
    sent = fresh(client, address) | {"zone": "Europe/Berlin", "name": "Working days", "times": "6 am, 18:30"}
    saved = client.post(address, sent, follow=True)
    row = Schedule.objects.get()
    assert "Monday to Friday at 06:00 and 18:30, Europe/Berlin" in saved.content.decode()
    assert row.rule == {"kind": "days", "times": ["06:00", "18:30"], "weekdays": [1, 2, 3, 4, 5]}
    assert (row.parameters, row.owner, Run.objects.count()) == ({}, saved.context["user"], 0)
    edit = reverse("schedule_edit", args=[row.pk])
    client.post(edit, fresh(client, edit) | {"days": "nth", "place": "-1", "weekday": "5", "p:dry": "true"})
    row.refresh_from_db()
    assert row.rule == {"kind": "days", "times": ["06:00", "18:30"], "nth": [[-1, 5]]}


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "cron", "text": "*/15 8-18 * * 1-5", "left_out": [["2026-12-24", "2026-12-26"]]},
        {"kind": "every", "seconds": 5400.0, "anchor": "2026-03-01T05:30:00+00:00"},
        {"kind": "every", "seconds": 90.0, "anchor": "2026-03-01T05:30:00+00:00"},
        {"kind": "days", "times": ["06:00"], "days_of_month": [1, 15], "is_last": True, "months": [1, 7]},
        {"kind": "days", "times": ["06:00"], "nth": [[1, 1], [-1, 5]]},
        {"kind": "days", "times": ["06:00"], "weekdays": [5], "days_of_month": [13]},
        {"kind": "once", "at": "2199-03-01T05:30:00+00:00"},
        {"kind": "sun", "event": "sunset", "latitude": 52.52, "longitude": 13.4, "left_out": [["2026-12-24"] * 2]},
    ],
)  # fmt: skip
def test_a_form_that_nobody_touched_keeps_the_schedule_as_it_is(rule: dict[str, Any]) -> None:
    row = make_schedule(
        rule=rule, parameters={"options": {"top": 5}}, selection={"tags": ["io"]}, missed="all", missed_most=7,
        missed_hours=0, note="For the board", jitter_seconds=30, overlap="skip", date_parameter=("options", "title"),
        begins_at=datetime(2026, 4, 1, 7, 15, tzinfo=UTC),
    )  # fmt: skip
    before = facts(row)
    client, address = logged_in("admin"), reverse("schedule_edit", args=[row.pk])
    answer = client.post(address, fresh(client, address))
    assert answer.status_code == 302, answer.context["form"].errors
    assert facts(Schedule.objects.get()) == before


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"times": "25:00"}, "“25:00” is no time of a day: write such as 06:00, 18:30."),
        ({"days": "weekdays"}, "Choose at least one weekday."),
        ({"days": "dates", "dates": "32"}, "“32” is no day of a month"),
        ({"kind": "cron", "cron": "0 0 6 * * ?"}, "leave out seconds and years"),
        ({"kind": "cron", "cron": "0 6 31 2 *"}, "No such time ever comes."),
        ({"kind": "every", "count": ""}, "Write a whole number from 1."),
        ({"kind": "once", "once_at": "2020-01-01T06:00"}, "This time has passed"),
        ({"left_out": "Christmas"}, "“Christmas” is no date"),
        ({"ends_at": "2027-01-01T00:00", "begins_at": "2027-01-02T00:00"}, "It ends before it begins."),
        ({"name": ""}, "This field is required."),
        ({"p:options.top": "99"}, "30"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_is_saved(typed: dict[str, str], words: str) -> None:
    pipeline, client = make_pipeline(), logged_in("admin")
    address = reverse("schedule_new_for", args=[pipeline.pk])
    answer = client.post(address, fresh(client, address) | typed)
    assert (answer.status_code, Schedule.objects.count()) == (422, 0)
    assert words in answer.content.decode()


def test_the_proof_is_of_what_is_typed() -> None:
    pipeline, client = make_pipeline(), logged_in("admin")
    address = reverse("schedule_new_for", args=[pipeline.pk])
    sent = fresh(client, address) | {"kind": "every", "count": "5", "unit": "minutes", "missed": "all"}
    proof = client.post(reverse("schedule_new_proof", args=[pipeline.pk]), sent, **HTMX).content.decode()
    assert "Every 5 minutes" in proof and proof.count('class="kc-strong kc-number"') == 10
    assert "10 runs instead of 60" in proof and "1 run instead of 60" in proof and "1 run, 9 skipped" in proof
    assert "Of the runs that are made up for together:" in proof
    wrong = client.post(
        reverse("schedule_new_proof", args=[pipeline.pk]), sent | {"count": "0"}, **HTMX
    ).content.decode()
    assert "Every 5 minutes" not in wrong and "greater than or equal to 1" in wrong


def test_one_for_only_the_first_time_stays_so_until_it_is_made_for_many() -> None:
    row = make_schedule(rule={"kind": "cron", "text": "0 6 * * *"}, is_once=True)
    client, edit = logged_in("admin"), reverse("schedule_edit", args=[row.pk])
    proof = client.post(reverse("schedule_proof", args=[row.pk]), fresh(client, edit), **HTMX).content.decode()
    assert "only the first time" in proof and proof.count('class="kc-strong kc-number"') == 1
    client.post(edit, fresh(client, edit) | {"note": "Once"})
    row.refresh_from_db()
    assert (row.is_once, row.note) == (True, "Once")
    moment = make_schedule(name="moment", rule={"kind": "once", "at": "2199-03-01T05:30:00+00:00"}, is_once=True)
    edit = reverse("schedule_edit", args=[moment.pk])
    client.post(edit, fresh(client, edit) | {"kind": "cron", "cron": "0 7 * * *"})
    moment.refresh_from_db()
    assert (moment.is_once, moment.rule["kind"]) == (False, "cron")


def test_a_schedule_of_the_sun_is_told_as_it_is_and_offered_only_where_it_is() -> None:
    row = make_schedule(rule={"kind": "sun", "event": "dawn_civil", "latitude": 69.65, "longitude": 18.96})
    client, edit = logged_in("admin"), reverse("schedule_edit", args=[row.pk])
    words = "At civil dawn at 69.65° north, 18.96° east, on days that have one"
    assert words in text(client, reverse("schedules")) and words in page("viewer", "schedule", row.pk)
    assert "It follows the sun" in text(client, edit) and 'value="sun"' in text(client, edit)
    proof = client.post(reverse("schedule_proof", args=[row.pk]), fresh(client, edit), **HTMX).content.decode()
    assert words in proof and proof.count('class="kc-strong kc-number"') == 10
    assert 'value="sun"' not in text(client, reverse("schedule_new_for", args=[row.pipeline_id]))


def test_a_run_form_brings_its_values_along() -> None:
    pipeline, client = make_pipeline(), logged_in("admin")
    run_form = reverse("pipeline_run", args=[pipeline.pk])
    assert "Schedule it" in text(client, run_form)
    assert "Schedule it" not in text(logged_in("operator"), run_form)
    sent = fresh(client, run_form) | {"p:options.top": "7", "carry": "1"}
    address = reverse("schedule_new_for", args=[pipeline.pk])
    form = Form(client.post(address, sent).content.decode(), "run-form").sent
    assert (form["p:options.top"], form["days"], Schedule.objects.count()) == ("7", "working", 0)


def test_a_schedule_whose_pipeline_is_gone_says_so_and_can_be_deleted() -> None:
    row = make_schedule()
    Schedule.objects.filter(pk=row.pk).update(pipeline=None)
    client = logged_in("admin")
    assert "is gone" in text(client, reverse("schedule", args=[row.pk]))
    assert "is gone" in client.get(reverse("schedule_edit", args=[row.pk]), follow=True).content.decode()
    client.post(reverse("schedule_delete", args=[row.pk]))
    assert not Schedule.objects.exists()


def test_a_page_of_a_pipeline_leads_to_its_schedules() -> None:
    row = make_schedule()
    shown = page("admin", "pipeline", row.pipeline_id)
    assert reverse("schedule", args=[row.pk]) in shown
    assert reverse("schedule_new_for", args=[row.pipeline_id]) in shown
    assert reverse("schedule_new_for", args=[row.pipeline_id]) not in page("operator", "pipeline", row.pipeline_id)
