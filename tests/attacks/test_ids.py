"""Addresses and bodies that name two things which do not belong together: neither is shown, changed or told of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from jobs import clock
from jobs.library.share import USUAL, ShareOrder, share
from jobs.models import Channel, Notice, Run, Schedule, Share, Subscription, Tick
from jobs.models.channel import Asker
from jobs.states import TickDecision
from jobs.telling.edit import save_channel
from tests.factories import AT, make_pipeline, make_project, make_run, make_schedule, make_tick, make_user
from tests.records import a_request
from tests.views.artifacts import an_artifact
from tests.views.scenes import ended, logged_in, with_log
from tests.views.test_notifications import told

pytestmark = pytest.mark.django_db

SECRET = "canary-4711"


@dataclass
class Two:
    """A run of each of two projects that look alike; what `theirs` has bears a word of its own."""

    mine: Run
    theirs: Run


@pytest.fixture
def two() -> Two:
    mine = ended(pipeline=make_pipeline())
    other = make_pipeline("report", make_project("other", "/srv/other"))
    theirs = with_log(ended(pipeline=other), [SECRET])
    an_artifact(mine)
    an_artifact(theirs, f"{SECRET}.csv", f"{SECRET},b\n1,2\n".encode())
    a_request(theirs, url=f"https://api.example.com/{SECRET}")
    return Two(mine, theirs)


def read(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code in (200, 404, 422), (address, answer.status_code)
    return (b"".join(answer.streaming_content) if answer.streaming else answer.content).decode("utf-8", "replace")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "address",
    [
        "/runs/{mine}/?tab=artifacts&file={artifact}",
        "/runs/{mine}/?tab=artifacts&file={artifact}&poll=1",
        "/runs/{mine}/?tab=requests&before={far}",
        "/runs/{mine}/logs/?lines=1&around=1",
        "/runs/{mine}/logs/?download=1",
        "/runs/{mine}/artifacts.zip",
        "/runs/{mine}/compare/?with={theirs}",
        "/artifacts/latest/{pipeline}/{secret}.csv/",
        "/pipelines/{pipeline}/run/?from={theirs}",
        "/schedules/new/{pipeline}/?from={theirs}",
        "/api/v1/jobs/{job}/logs",
        "/api/v1/jobs/{job}/logs/text",
        "/api/v1/jobs/{job}/events",
        "/api/v1/jobs/{job}/artifacts",
        "/api/v1/jobs/{job}/requests",
        "/api/v1/artifacts/latest?name={secret}.csv&pipeline=shop/report",
        "/api/v1/artifacts?pipeline=shop/report",
        "/api/v1/pipelines/shop/nothing",
    ],
)
def test_what_belongs_to_another_run_or_project_is_not_shown_under_this_one(two: Two, address: str) -> None:
    names = {
        "mine": two.mine.pk, "theirs": two.theirs.pk, "job": two.mine.uuid, "pipeline": two.mine.pipeline_id,
        "artifact": two.theirs.artifacts.get().uuid, "secret": SECRET, "far": 10**9,
    }  # fmt: skip
    found = read(logged_in("admin"), address.format(**names))
    asked = SECRET if "{secret}" in address else ""
    assert SECRET not in found.replace(f"file {asked}.csv", "").replace(f"name={asked}.csv", "")


# ---- a due time under another schedule


def ticks_of_two() -> tuple[Schedule, Tick]:
    mine = make_schedule(make_pipeline())
    other = make_schedule(mine.pipeline, name="Evenings", note=SECRET)
    return mine, make_tick(other, AT, TickDecision.REFUSED)


@pytest.mark.parametrize("act", ["", "run/", "dismiss/"])
def test_a_due_time_under_another_schedule_is_not_there(act: str) -> None:
    mine, tick = ticks_of_two()
    client, address = logged_in("admin"), f"/schedules/{mine.pk}/ticks/{tick.pk}/{act}"
    assert (client.post(address) if act else client.get(address)).status_code == 404
    tick.refresh_from_db()
    assert tick.dismissed_at is None and not Run.objects.exists()


def test_a_due_time_of_another_schedule_opens_no_drawer_and_is_no_place_to_go_on_from() -> None:
    mine, tick = ticks_of_two()
    client = logged_in("admin")
    assert client.get(f"/schedules/{mine.pk}/?tick={tick.pk}").context["tick"] is None
    assert client.get(f"/schedules/{mine.pk}/?before={tick.pk}").status_code == 200
    answer = client.get(f"/api/v1/schedules/{mine.pk}/ticks?before={tick.pk}")
    assert answer.status_code == 422 and "has no tick" in answer.json()["errors"]["before"]


# ---- what belongs to another person


def a_subscription(owner: Any, **facts: Any) -> Subscription:
    given = {"kinds": ["failing"], "zone": "UTC", "created_at": clock.now(), **facts}
    return Subscription.objects.create(owner=owner, **given)


@pytest.mark.parametrize("act", ["", "mute/", "delete/"])
def test_a_subscription_of_another_person_is_not_there(act: str) -> None:
    row = a_subscription(make_user("mia", "operator"), subject=SECRET)
    client, address = logged_in("admin"), f"/notifications/subscriptions/{row.pk}/{act}"
    assert (client.post(address) if act else client.get(address)).status_code == 404
    for method in ("GET", "PATCH", "DELETE"):
        answer = client.generic(method, f"/api/v1/subscriptions/{row.pk}", "{}", "application/json")
        assert answer.status_code == 404 and SECRET not in answer.content.decode()
    assert Subscription.objects.get() == row


def mails_of(name: str, role: str = "analyst") -> Channel:
    owner = make_user(name, role, email=f"{name}@example.org")
    row = Channel(name="mail", kind="mail", owner=owner)
    save_channel(row, by=Asker(owner), at=clock.now(), address=owner.email)
    return row


def test_nobody_is_told_over_the_channel_of_another_person() -> None:
    row = mails_of("mia")
    client = logged_in("operator")
    body = {"kinds": ["failing"], "channels": [row.pk]}
    answer = client.post("/api/v1/subscriptions", body, content_type="application/json")
    assert answer.status_code == 422 and "mia" not in answer.content.decode()
    form = {"kinds": ["failing"], "channels": [row.pk], "every": 10, "waits_minutes": 15, "zone": "UTC"}
    assert client.post("/notifications/subscriptions/new/", form).status_code == 422
    assert not Subscription.objects.exists()


@pytest.mark.parametrize("act", ["", "test/", "delete/"])
def test_a_channel_of_another_person_is_not_there(act: str) -> None:
    row = mails_of("mia")
    client, address = logged_in("analyst"), f"/notifications/channels/{row.pk}/{act}"
    assert (client.post(address) if act else client.get(address)).status_code in (403, 404)
    for method in ("GET", "PATCH", "DELETE"):
        answer = client.generic(method, f"/api/v1/channels/{row.pk}", "{}", "application/json")
        assert answer.status_code == 404 and "mia@" not in answer.content.decode()
    assert Channel.objects.filter(pk=row.pk).exists()


def test_the_news_of_another_person_are_not_there() -> None:
    told("viewer")
    notice = Notice.objects.get()
    assert logged_in("admin").get(f"/notifications/news/{notice.pk}/").status_code == 404
    notice.refresh_from_db()
    assert notice.read_at is None


# ---- links


def a_link(two: Two, by: str) -> tuple[Share, str]:
    order = ShareOrder(two.theirs.artifacts.get(), clock.now() + USUAL)
    user = make_user(by, "analyst")
    return share(order, at=clock.now(), by=user, by_name=by)


def test_a_link_of_another_person_cannot_be_taken_back(two: Two) -> None:
    row, _ = a_link(two, "mia")
    client = logged_in("analyst")
    assert client.post(f"/shares/{row.uuid}/revoke/").status_code == 404
    assert client.delete(f"/api/v1/shares/{row.uuid}").status_code == 404
    row.refresh_from_db()
    assert row.revoked_at is None


@pytest.mark.parametrize("part", ["uuid", "pk", "artifact", "short", "longer"])
def test_a_link_is_found_by_its_secret_alone(two: Two, part: str) -> None:
    row, token = a_link(two, "mia")
    guesses = {
        "uuid": str(row.uuid), "pk": str(row.pk), "artifact": str(two.theirs.artifacts.get().uuid),
        "short": token[:-1], "longer": f"{token}a",
    }  # fmt: skip
    for end in ("", "download/"):
        answer = Client().get(f"/share/{guesses[part]}/{end}")
        assert answer.status_code == 404 and SECRET not in answer.content.decode()


# ---- bodies


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/jobs", {"pipeline_name": "shop/report", "project": "other"}),
        ("/jobs", {"pipeline_name": "other/nothing"}),
        ("/jobs", {"pipeline_name": "report", "project": "../other"}),
        ("/requests/replay", {"requests": [2**40]}),
    ],
)
def test_a_body_that_names_two_things_which_do_not_belong_together_does_nothing(
    two: Two, path: str, body: dict[str, Any]
) -> None:
    before = Run.objects.count()
    answer = logged_in("admin").post(f"/api/v1{path}", body, content_type="application/json")
    assert answer.status_code in (404, 409, 422) and answer.json()["detail"]
    assert Run.objects.count() == before


@pytest.mark.parametrize("wrong", [lambda run: run.pk + 10**6, lambda run: 0, lambda run: 2**63 - 1])
def test_a_run_that_is_not_there_is_not_there_at_any_door(wrong: Callable[[Run], int]) -> None:
    number = wrong(make_run())
    client = logged_in("admin")
    for act in ("", "logs/", "compare/", "resume/", "artifacts.zip", "follow-up/"):
        assert client.get(f"/runs/{number}/{act}").status_code == 404, act
    for act in ("cancel/", "force/", "retry/", "priority/", "follow-up/"):
        assert client.post(f"/runs/{number}/{act}").status_code == 404, act
    for act in ("", "/nodes", "/logs", "/events", "/artifacts", "/requests"):
        assert client.get(f"/api/v1/jobs/{number}{act}").status_code == 404, act
