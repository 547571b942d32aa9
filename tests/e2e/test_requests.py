"""From a node's request to its record, its page, its replay and the run that uses the answer; no secret on the way."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.core import serializers
from django.test import Client
from django.urls import reverse

from jobs import clock
from jobs.errors import IllegalMove, LeaseLost
from jobs.interpreters.artifacts import store
from jobs.interpreters.hosts import HOSTS
from jobs.interpreters.snapshots import add_project
from jobs.models import Pipeline, Project, Replay, RequestRecord, Resend, Run
from jobs.resends import replay as story
from jobs.resends.grants import Permission
from jobs.resends.replay import replay, send_unheard_replays, start_replay
from jobs.runs.find import find_pipeline
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.states import Cause, ReplayStatus, RequestStatus, ResendStatus, Status
from tests import live
from tests.factories import make_user
from tests.flaky_api import Api, flaky_api
from tests.records import a_request
from tests.toys import write_toy

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

TOKEN, PASSWORD, KEY = "tok-abcdef-123456", "pw-in-url-778899", "query-key-998877"
CREDENTIALS = f"vendor:\n  user: olga\n  token: {TOKEN}\n  password: {PASSWORD}\n  api_key: {KEY}\n"

NODES = """
import json, logging
import httpx2, requests, yaml
from kedro_console import replay

logger = logging.getLogger(__name__)


def secrets():
    return yaml.safe_load(open("conf/local/credentials.yml"))["vendor"]


def swallows(url):
    logging.getLogger().setLevel(logging.DEBUG)
    known = secrets()
    headers = {"Authorization": "Bearer " + known["token"]}
    address = url.replace("://", "://olga:" + known["password"] + "@") + "/500?api_key=" + known["api_key"]
    try:
        requests.get("http://127.0.0.1:9/x?api_key=" + known["api_key"], headers=headers)
    except requests.ConnectionError as error:
        logger.warning("No answer from %s with %s: %s", address, headers, error)
    httpx2.get(address)
    httpx2.post(url + "/500", headers=headers, json={"password": known["password"], "q": 1})
    return {"done": True}


def leaks(url):
    known = secrets()
    address = url.replace("://", "://olga:" + known["password"] + "@")
    raise RuntimeError("no luck at " + address + " with " + known["token"])


def asks(url):
    kept = replay.answers()
    if kept:
        return json.loads(kept[0]["text"])
    answer = httpx2.post(url + "/503", headers={"Authorization": "Bearer " + secrets()["token"]}, json={"q": 1})
    return {"rows": None, "status": answer.status_code}


def counts(rows):
    return {"count": len(rows.get("rows") or [])}
"""

PIPELINES = """
from kedro.pipeline import node, pipeline
from . import nodes as f

def register_pipelines():
    two = [node(f.asks, "params:url", "rows", name="asks"), node(f.counts, "rows", "counted", name="counts")]
    return {
        "__default__": pipeline(two),
        "asks": pipeline(two),
        "swallows": pipeline([node(f.swallows, "params:url", "out", name="swallows")]),
        "leaks": pipeline([node(f.leaks, "params:url", "out", name="leaks")]),
    }
"""


@pytest.fixture
def api() -> Iterator[Api]:
    with flaky_api() as found:
        yield found


@pytest.fixture
def shop(transactional_db: None, tmp_path: Path, api: Api) -> Project:
    folder = write_toy(tmp_path / "toy")
    (folder / "src/toy/nodes.py").write_text(NODES)
    (folder / "src/toy/pipeline_registry.py").write_text(PIPELINES)
    (folder / "conf/base/parameters.yml").write_text(f"url: {api.url}\n")
    (folder / "conf/local/credentials.yml").write_text(CREDENTIALS)
    return add_project(folder, at=clock.now())


@pytest.fixture
def hosts() -> Iterator[None]:
    """This process asks hosts of its own; they end with the test."""
    yield
    HOSTS.stop_all()


def ran(shop: Project, name: str) -> Run:
    run = launch(Order(find_pipeline(name, shop.name), Cause.MANUAL), at=clock.now())
    live.until(lambda: Run.objects.filter(pk=run.pk).final().exists(), what=f"the end of {name}")
    run.refresh_from_db()
    return run


def every_row() -> str:
    models = [model for model in apps.get_models() if model._meta.app_label in ("jobs", "django_celery_results")]
    return "\n".join(serializers.serialize("json", model.objects.all()) for model in models)


def every_page(runs: list[Run]) -> str:
    client = Client()
    client.force_login(make_user("root", "admin"))
    addresses = [reverse("requests"), *(record.get_absolute_url() for record in RequestRecord.objects.all())]
    for run in runs:
        tabs = ("nodes", "timeline", "requests", "parameters", "events")
        addresses += [f"{run.get_absolute_url()}?tab={tab}" for tab in tabs]
        addresses += [reverse("run_logs", args=[run.pk]), f"/api/v1/jobs/{run.pk}"]
        addresses += [f"/api/v1/jobs/{run.pk}/{what}" for what in ("requests", "logs", "events", "nodes")]
    addresses += [f"/api/v1/requests/{record.pk}" for record in RequestRecord.objects.all()]
    answers = [client.get(address) for address in addresses]
    assert {answer.status_code for answer in answers} == {200}
    return "\n".join(answer.content.decode() for answer in answers)


def test_swallowed_failures_are_recorded_and_no_secret_reaches_a_row_a_line_or_a_page(
    worker: subprocess.Popen[bytes], shop: Project, api: Api
) -> None:
    swallowed, failed = ran(shop, "swallows"), ran(shop, "leaks")
    assert (swallowed.status, failed.status) == (Status.SUCCEEDED, Status.FAILED), swallowed.error
    first, second, third = RequestRecord.objects.order_by("pk")
    assert (first.reason, first.node, first.run) == ("ConnectionError", "swallows", swallowed)
    assert (second.status_code, third.method, third.status_code) == (500, "POST", 500)
    assert json.loads(third.body)["q"] == 1
    rows, pages = every_row(), every_page([swallowed, failed])
    assert "No answer from http://olga:***@127.0.0.1" in rows and "no luck at http://olga:***@" in rows
    for secret in (TOKEN, PASSWORD, KEY):
        assert secret not in rows and secret not in pages


def test_a_replay_puts_the_secrets_back_and_a_run_goes_on_with_its_answer(
    worker: subprocess.Popen[bytes], shop: Project, api: Api
) -> None:
    run = ran(shop, "asks")
    assert run.status == Status.SUCCEEDED and run.results["counted"]["value"] == {"count": 0}
    record = RequestRecord.objects.get()
    api.answer, api.turns["/503"] = {"rows": list(range(9_000)), "access_token": "fresh-token-1"}, 0
    api.fixed.add("/503")
    client = Client()
    client.force_login(make_user("olga", "operator"))
    client.post(reverse("requests_replay"), {"request": record.pk})
    live.until(lambda: Replay.objects.filter(status=ReplayStatus.FINISHED).exists(), what="the end of the replay")
    turn = Resend.objects.get()
    assert (turn.status, turn.status_code, turn.replay.done) == (ResendStatus.SUCCEEDED, 200, 1), turn.error
    method, path, headers, body = api.seen[-1]
    assert (method, path, json.loads(body)) == ("POST", "/503", {"q": 1})
    assert {name.lower(): value for name, value in headers.items()}["authorization"] == f"Bearer {TOKEN}"
    record.refresh_from_db()
    assert (record.status, record.settled_by) == (RequestStatus.REPLAYED, "olga")
    assert "fresh-token-1" not in turn.response
    with store().open(turn.store_key, "rb") as file:
        assert len(json.loads(file.read())["rows"]) == 9_000
    answer = client.post(reverse("run_follow_up", args=[run.pk]))
    new = Run.objects.get(pk=int(answer["Location"].strip("/").rpartition("/")[2]))
    live.until(lambda: Run.objects.filter(pk=new.pk).final().exists(), what="the end of the run that goes on")
    new.refresh_from_db()
    assert new.results["counted"]["value"] == {"count": 9_000}, new.error
    assert len(api.seen) == 2


def failing(shop: Project, api: Api, **facts: object) -> RequestRecord:
    Pipeline.objects.filter(project=shop).update(queue="nobody")  # the shared worker leaves it to the test
    run = launch(Order(find_pipeline("asks", shop.name), Cause.MANUAL), at=clock.now())
    return a_request(run, **{"url": f"{api.url}/200", "headers": {}, "host": api.url[7:], **facts})


def test_a_secret_that_is_not_among_the_credentials_is_said_and_nothing_is_sent(
    shop: Project, api: Api, hosts: None
) -> None:
    started = start_replay([failing(shop, api, headers={"X-Api-Key": "***0123456789abcdef***"})], at=clock.now())
    assert replay(started.pk, worker_name="w1")
    turn = started.resends.get()
    assert turn.status == ResendStatus.FAILED and "the header X-Api-Key is not among the project's" in turn.error
    assert not api.seen
    started.refresh_from_db()
    assert (started.status, started.done, started.failed) == (ReplayStatus.FINISHED, 0, 1)
    assert RequestRecord.objects.get().is_open


def test_a_replay_goes_on_where_its_worker_was_lost_and_sends_nothing_twice_that_may_do_harm(
    shop: Project, api: Api, hosts: None
) -> None:
    records = [failing(shop, api, method=method) for method in ("POST", "GET", "GET")]
    started = start_replay(records, at=clock.now())
    long_ago = clock.now() - timedelta(hours=1)
    started.claim(at=long_ago, worker_name="lost", lease=story.LEASE)
    started.resends.filter(position__lt=2).update(status=ResendStatus.SENDING)
    Replay.objects.update(sent_at=long_ago)
    assert send_unheard_replays(long_ago) == 0
    assert Replay.objects.unheard(clock.now(), story.PATIENCE).exists()
    assert replay(started.pk, worker_name="w2")
    unknown, again, last = started.resends.order_by("position")
    assert unknown.status == ResendStatus.UNKNOWN and "whether it arrived is not known" in unknown.error
    assert (again.status, last.status) == (ResendStatus.SUCCEEDED, ResendStatus.SUCCEEDED)
    assert [method for method, *_ in api.seen] == ["GET", "GET"]


def test_of_two_workers_one_has_a_replay_and_a_cancelled_one_is_nobodys(shop: Project, api: Api) -> None:
    started = start_replay([failing(shop, api)], at=clock.now())
    token = started.claim(at=clock.now(), worker_name="w1", lease=story.LEASE)
    assert not replay(started.pk, worker_name="w2")
    with pytest.raises(IllegalMove):
        started.claim(at=clock.now(), worker_name="w2", lease=story.LEASE)
    started.cancel(at=clock.now())
    with pytest.raises(LeaseLost):
        started.hold(token, done=1)
    assert not api.seen


def test_a_long_wait_for_the_quota_gives_the_worker_back(
    shop: Project, api: Api, hosts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = start_replay([failing(shop, api)], at=clock.now())
    due = clock.now() + timedelta(hours=1)
    monkeypatch.setattr(story, "ask", lambda turn, at: Permission(False, due, "The quota chat opens at 14:05."))
    assert replay(started.pk, worker_name="w1")
    started.refresh_from_db()
    assert (started.status, started.eligible_at, started.wait_reason) == (
        ReplayStatus.QUEUED,
        due,
        "The quota chat opens at 14:05.",
    )
    assert not replay(started.pk, worker_name="w1") and not api.seen
    assert not Replay.objects.unheard(clock.now() + timedelta(minutes=5), story.PATIENCE).exists()
    assert Replay.objects.unheard(due + story.PATIENCE * 2, story.PATIENCE).exists()
