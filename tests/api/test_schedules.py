"""Schedules over the API: written with the checks of their page, proven before, switched, and their ticks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from celery import current_app

from jobs import clock
from jobs.models import Act, Run, Schedule
from jobs.states import TickDecision
from tests.api.conftest import get, post
from tests.factories import make_pipeline, make_schedule, make_tick

pytestmark = pytest.mark.django_db
CRON = {"kind": "cron", "text": "0 6 * * mon-fri"}
ASKED = {"name": "Mornings", "pipeline": "shop/report", "rule": CRON, "zone": "Europe/Berlin"}


@pytest.fixture(autouse=True)
def unsent(monkeypatch):
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


@pytest.fixture
def admin(caller):
    make_pipeline()
    return caller("admin")


def patch(client, path, body):
    return client.patch(f"/api/v1{path}", body, content_type="application/json")


def test_a_schedule_is_written_read_changed_and_deleted(admin) -> None:
    made = post(admin, "/schedules", ASKED | {"parameters": {"options": {"top": 5}}, "note": "For the board"}).json()
    assert made["sentence"] == "Monday to Friday at 06:00, Europe/Berlin"
    assert (made["pipeline"], made["rule"], made["state"]) == ("shop/report", CRON, "on")
    assert made["next_due_at"].endswith("Z") and made["url"].endswith(f"/schedules/{made['id']}/")
    address = f"/schedules/{made['id']}"
    changed = patch(admin, address, {"rule": {"kind": "days", "times": ["07:30"], "is_last": True}}).json()
    assert changed["sentence"] == "On the last day of each month at 07:30, Europe/Berlin"
    assert (changed["parameters"], changed["note"]) == ({"options": {"top": 5}}, "For the board")
    assert get(admin, address).json() == changed
    assert [row["name"] for row in get(admin, "/schedules").json()] == ["Mornings"]
    assert admin.delete(f"/api/v1{address}").status_code == 204
    gone = get(admin, address)
    assert (gone.status_code, gone.json()["detail"]) == (
        404,
        f"There is no schedule {made['id']}: `GET /api/v1/schedules` lists them.",
    )
    assert [act.verb for act in Act.objects.order_by("id")] == ["added", "changed", "deleted"]
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"rule": {"kind": "cron", "text": "0 25 * * *"}}, "rule", "The hour 25 does not exist: write 0 to 23."),
        ({"rule": {"kind": "cron", "text": "0 6 31 2 *"}}, "rule", "No such time ever comes."),
        ({"rule": {"kind": "days", "times": ["25:00"]}}, "rule", "“25:00” is no time of the day"),
        ({"rule": {"kind": "weekly"}}, "rule", "Write which kind of rule it is"),
        ({"rule": "0 6 * * *"}, "rule", "Write which kind of rule it is"),
        ({"zone": "Europe/Berln"}, "zone", "Did you mean Europe/Berlin"),
        ({"pipeline": "reprot"}, "pipeline", "Did you mean report?"),
        ({"parameters": {"drry": True}}, "parameters", "no parameter of this name"),
        ({"selection": {"tags": ["nightly"]}}, "selection", "nightly"),
        ({"owner": "nobody-here"}, "owner", "There is no user “nobody-here”."),
        ({"missed": "some"}, "missed", "some"),
        ({"missed_most": 0}, "missed_most", "1"),
        ({"begins_at": "2027-01-02T00:00Z", "ends_at": "2027-01-01T00:00Z"}, "ends_at", "It ends before it begins."),
        ({"tim": 5}, "tim", "There is no such field here"),
    ],
)
def test_what_cannot_be_is_refused_on_its_field(admin, body: dict[str, Any], field: str, words: str) -> None:
    answer = post(admin, "/schedules", ASKED | body)
    assert answer.status_code == 422
    assert words in answer.json()["errors"][field]
    assert not Schedule.objects.exists()


def test_a_secret_that_comes_back_masked_stays_what_it_is(admin) -> None:
    row = make_schedule(parameters={"api_url": "http://user:secret@127.0.0.1/x"})
    shown = get(admin, f"/schedules/{row.pk}").json()["parameters"]
    assert "secret" not in str(shown)
    assert patch(admin, f"/schedules/{row.pk}", {"parameters": shown, "note": "x"}).status_code == 200
    row.refresh_from_db()
    assert row.parameters == {"api_url": "http://user:secret@127.0.0.1/x"}


def test_a_preview_keeps_nothing_and_says_what_will_be(viewer) -> None:
    make_pipeline()
    body = {"rule": {"kind": "every", "seconds": 300}, "pipeline": "report", "count": 3, "missed_most": 5}
    answer = post(viewer, "/schedules/preview", body).json()
    assert answer["sentence"] == "Every 5 minutes"
    assert len(answer["next"]) == 3
    assert answer["outage"] == {
        "nothing": "0 runs instead of 60",
        "newest": "1 run instead of 60",
        "all": "5 runs instead of 60",
    }
    assert not Schedule.objects.exists()


def test_a_preview_skips_the_days_without_a_sunrise(viewer) -> None:
    rule = {"kind": "sun", "event": "sunrise", "latitude": 69.65, "longitude": 18.96}
    body = {"rule": rule, "zone": "Europe/Oslo", "begins_at": "2099-11-20T00:00Z", "count": 10}
    answer = post(viewer, "/schedules/preview", body).json()
    days = [due["due_at"][:10] for due in answer["next"]]
    assert answer["sentence"] == "At sunrise at 69.65° north, 18.96° east, on days that have one"
    assert days[:6] == [f"2099-11-{day}" for day in range(20, 26)] and days[-1] > "2100-01-10"


def test_a_preview_flags_the_clocks(viewer) -> None:
    body = {"rule": {"kind": "cron", "text": "30 2 28 3 *"}, "zone": "Europe/Berlin", "begins_at": "2027-03-01T00:00Z"}
    due = post(viewer, "/schedules/preview", body).json()["next"][0]
    assert due["due_at"] == "2027-03-28T01:00:00Z"
    assert [flag["sentence"] for flag in due["flags"]] == [
        "The clocks leave out its time: it is due at the first moment after, 03:00."
    ]


def test_it_is_paused_resumed_and_run(operator) -> None:
    row = make_schedule(at=clock.now())
    until = clock.now() + timedelta(days=2)
    address = f"/schedules/{row.pk}"
    paused = post(operator, f"{address}/pause", {"reason": "Holidays", "until": until.isoformat()}).json()
    assert paused["state"] == "paused" and "Holidays" in paused["reason"]
    assert paused["next_due_at"] > until.isoformat()
    assert post(operator, f"{address}/pause", {"until": "2020-01-01T00:00Z"}).status_code == 422
    assert post(operator, f"{address}/resume").json()["state"] == "on"
    assert post(operator, f"{address}/resume", {"at": 1}).status_code == 422
    started = post(operator, f"{address}/run")
    assert started.status_code == 201 and started.json()["pipeline_name"] == "report"
    assert [act.verb for act in Act.objects.filter(kind="schedule").order_by("id")][:2] == ["paused", "resumed"]


@pytest.mark.parametrize("call", ["pause", "resume", "run"])
def test_a_viewer_switches_nothing(viewer, call: str) -> None:
    row = make_schedule()
    answer = post(viewer, f"/schedules/{row.pk}/{call}")
    assert (answer.status_code, "needs at least the role operator" in answer.json()["detail"]) == (403, True)


def test_an_operator_writes_none(operator) -> None:
    make_pipeline()
    assert post(operator, "/schedules", ASKED).status_code == 403
    assert patch(operator, f"/schedules/{make_schedule().pk}", {"note": "x"}).status_code == 403


def test_ticks_come_the_newest_first_and_page(viewer) -> None:
    row, at = make_schedule(), clock.now()
    ticks = [
        make_tick(row, at - timedelta(days=days), TickDecision.REFUSED, reason=f"Refused {days}") for days in (3, 2, 1)
    ]
    found = get(viewer, f"/schedules/{row.pk}/ticks?limit=2").json()
    assert [tick["reason"] for tick in found] == ["Refused 1", "Refused 2"]
    assert (found[0]["decision"], found[0]["run"]) == ("refused", None)
    older = get(viewer, f"/schedules/{row.pk}/ticks?before={ticks[1].pk}").json()
    assert [tick["reason"] for tick in older] == ["Refused 3"]
    assert get(viewer, f"/schedules/{row.pk}/ticks?before=99999").status_code == 422
    one = get(viewer, f"/schedules/{row.pk}").json()
    assert (one["state"], one["reason"]) == ("refused", "Refused 1")


def test_next_due_times_are_those_that_count(viewer) -> None:
    row = make_schedule(at=clock.now())
    found = get(viewer, f"/schedules/{row.pk}/next?count=3").json()
    assert len(found) == 3 and found == sorted(found, key=lambda due: due["due_at"])
    assert found[0]["due_at"] == get(viewer, f"/schedules/{row.pk}").json()["next_due_at"]
