from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client

from console.views import runs as views
from jobs import clock
from jobs.models import Run
from jobs.states import Cause, Status
from tests.factories import make_pipeline, make_run
from tests.views.scenes import HTMX, ended, logged_in, running

pytestmark = pytest.mark.django_db


def numbers(client: Client, query: str = "") -> list[int]:
    body = client.get(f"/runs/{query}").content.decode()
    return [int(number) for number in re.findall(r'<tr id="run-(\d+)"', body)]


def lately(**facts):  # type: ignore[no-untyped-def]
    return make_run(at=clock.now() - timedelta(minutes=5), **facts)


def test_the_newest_runs_of_the_last_seven_days_come_first() -> None:
    make_run(at=clock.now() - timedelta(days=8))
    young = [lately().pk, lately().pk]
    assert numbers(logged_in("viewer")) == young[::-1]


def test_an_empty_list_says_so_and_offers_what_to_do() -> None:
    body = logged_in("viewer").get("/runs/").content.decode()
    assert "Nothing ran in the last seven days." in body
    assert "Choose a pipeline to run" in body


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status:failed", ["failed"]),
        ("status:failed,crashed", ["crashed", "failed"]),
        ("status:live", ["running", "queued"]),
        ("cause:api", ["queued"]),
        ("by:ben", ["queued"]),
        ('error:"disk is full"', ["failed"]),
        ("disk", ["failed"]),
        ("status:failed by:ben", []),
        ("pipeline:report status:succeeded", ["succeeded"]),
        ("project:shop status:succeeded", ["succeeded"]),
        ("project:elsewhere", []),
        ("pipeline:nothing", []),
        ("since:1m", []),
    ],
)
def test_the_search_finds(query: str, expected: list[str]) -> None:
    lately(cause=Cause.API, by_name="ben")
    running(at=clock.now() - timedelta(minutes=5))
    ended(Status.FAILED, at=clock.now() - timedelta(minutes=5), error="The disk is full.")
    ended(Status.CRASHED, at=clock.now() - timedelta(minutes=5))
    ended(Status.SUCCEEDED, at=clock.now() - timedelta(minutes=5))
    found = numbers(logged_in("viewer"), f"?q={query}")
    assert [Run.objects.get(pk=number).status for number in found] == expected


def test_a_number_finds_its_run_however_old_it_is() -> None:
    old = make_run(at=clock.now() - timedelta(days=400))
    assert numbers(logged_in("viewer"), f"?q=%23{old.pk}") == [old.pk]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("status:done", "There is no status “done”"),
        ("since:yesterday", "“yesterday” is not a time"),
        ("colour:red", "There is no “colour:”"),
    ],
)
def test_what_the_search_does_not_understand_is_told(query: str, sentence: str) -> None:
    assert sentence in logged_in("viewer").get(f"/runs/?q={query}").content.decode()


@pytest.mark.parametrize("query", ['"open quote', "status:", ":::", "' OR 1=1 --", "since:99999999d", "🦊 pipeline:%"])
def test_no_search_breaks_the_page(query: str) -> None:
    lately()
    assert logged_in("viewer").get("/runs/", {"q": query}).status_code == 200


def test_what_was_searched_for_comes_back_escaped() -> None:
    body = logged_in("viewer").get("/runs/", {"q": '"><script>alert(1)</script>'}).content.decode()
    assert "<script>alert" not in body


def test_pages_lead_back_and_forth_over_every_run_once() -> None:
    pipeline = make_pipeline()
    made = [lately(pipeline=pipeline).pk for _ in range(120)]
    client = logged_in("viewer")
    first = numbers(client)
    second = numbers(client, f"?before={first[-1]}")
    third = numbers(client, f"?before={second[-1]}")
    assert first + second + third == made[::-1]
    assert numbers(client, f"?after={second[0]}") == first
    assert numbers(client, f"?after={third[0]}") == second
    assert "Newer" not in client.get("/runs/").content.decode()
    assert "Older" not in client.get(f"/runs/?before={second[-1]}").content.decode()


def test_what_no_index_answers_is_looked_for_step_by_step_until_all_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "LOOK", 5)
    monkeypatch.setattr(views, "LOOK_ON", 7)
    wanted = [ended(Status.FAILED, at=clock.now() - timedelta(hours=1), error="disk is full").pk for _ in range(2)]
    for _ in range(30):
        lately()
    wanted.append(ended(Status.FAILED, at=clock.now(), error="disk is full").pk)
    client, seen, looks = logged_in("viewer"), list[int](), 0
    body = client.get("/runs/?q=disk").content.decode()
    while True:
        seen += [int(number) for number in re.findall(r'<tr id="run-(\d+)"', body)]
        further = re.search(r'hx-get="([^"]*further=[^"]*)"', body)
        if further is None:
            break
        assert "Looked at runs down to" in body
        looks += 1
        body = client.get(f"/runs/{further[1].replace('&amp;', '&')}", **HTMX).content.decode()
    assert seen == wanted[::-1]
    assert looks >= 4
    assert "No run matches" not in body


def test_a_search_that_finds_nothing_says_so_when_all_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "LOOK", 5)
    for _ in range(8):
        lately()
    client = logged_in("viewer")
    body = client.get("/runs/?q=nosuchword").content.decode()
    assert "looking further" in body
    assert "No run matches" not in body
    further = re.search(r'hx-get="([^"]*further=[^"]*)"', body)
    assert further
    body = client.get(f"/runs/{further[1].replace('&amp;', '&')}", **HTMX).content.decode()
    assert "No run matches this search" in body


def test_statuses_of_a_pipeline_are_answered_without_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "LOOK", 1)
    wanted = [ended(status, at=clock.now()).pk for status in (Status.FAILED, Status.CRASHED)]
    for _ in range(5):
        ended(Status.SUCCEEDED, at=clock.now())
    assert numbers(logged_in("viewer"), "?q=pipeline:report status:failed,crashed") == wanted[::-1]


def test_a_filter_survives_the_paging() -> None:
    pipeline = make_pipeline()
    for _ in range(60):
        lately(pipeline=pipeline)
    body = logged_in("viewer").get("/runs/?q=status:queued").content.decode()
    assert re.search(r'rel="next" href="\?q=status(:|%3A)queued&amp;before=\d+"', body)


def test_the_number_of_queries_does_not_grow_with_the_rows(django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    pipeline, client = make_pipeline(), logged_in("viewer")
    for _ in range(40):
        lately(pipeline=pipeline)
    with django_assert_max_num_queries(10):
        client.get("/runs/")


def test_only_live_rows_are_asked_for_again_and_in_one_request() -> None:
    live, other, _done = running().pk, running().pk, ended()
    body = logged_in("viewer").get("/runs/").content.decode()
    assert re.findall(r'hx-get="/runs/\?rows=([\d,]+)"', body) == [f"{other},{live}"]


def test_asking_again_ends_with_the_last_live_run() -> None:
    client, run = logged_in("viewer"), running()
    assert "hx-trigger" in client.get(f"/runs/?rows={run.pk}", **HTMX).content.decode()
    run.end(Status.SUCCEEDED, at=clock.now(), by="t")
    last = client.get(f"/runs/?rows={run.pk}", **HTMX).content.decode()
    assert "succeeded" in last and 'hx-swap-oob="morph"' in last
    assert "hx-trigger" not in last


def test_error_sentences_and_parameters_are_escaped() -> None:
    ended(Status.FAILED, error="<script>alert(1)</script>", parameters={"api_url": "<img src=x onerror=alert(2)>"})
    body = logged_in("viewer").get("/runs/").content.decode()
    assert "<script>alert" not in body and "<img src=x" not in body


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("analyst", 403), ("operator", 302), ("admin", 302)])
@pytest.mark.parametrize("path", ["/runs/cancel/", "/runs/retry/"])
def test_only_operators_change_many_at_once(role: str, status: int, path: str) -> None:
    run = running()
    assert logged_in(role).post(path, {"run": run.pk}).status_code == status


def test_strangers_change_nothing(client: Client) -> None:
    run = running()
    assert client.post("/runs/cancel/", {"run": run.pk})["Location"].startswith("/login/")
    run.refresh_from_db()
    assert run.cancel_requested_at is None


def test_many_are_cancelled_and_those_that_refuse_say_why() -> None:
    live, done = running(), ended()
    client = logged_in("operator")
    body = client.post("/runs/cancel/", {"run": [live.pk, done.pk]}, follow=True).content.decode()
    live.refresh_from_db()
    assert live.cancel_requested_by == "operator"
    assert "1 run asked to stop." in body
    assert f"Run #{done.pk}: A succeeded run cannot become cancelled." in body


def test_many_are_run_again_and_each_names_its_predecessor() -> None:
    done = [ended(), ended(Status.FAILED, error="x")]
    logged_in("operator").post("/runs/retry/", {"run": [run.pk for run in done]})
    assert sorted(Run.objects.filter(retry_of__isnull=False).values_list("retry_of", flat=True)) == [
        run.pk for run in done
    ]


def test_after_an_action_one_is_back_on_the_same_page_but_never_on_another_site() -> None:
    client = logged_in("operator")
    assert client.post("/runs/cancel/", {"next": "/runs/?q=status:live"})["Location"] == "/runs/?q=status:live"
    assert client.post("/runs/cancel/", {"next": "https://evil.example/"})["Location"] == "/runs/"


# ---- qualifiers


def set_up_qualifiers() -> dict[str, int]:
    good, other = lately(), lately()
    Run.objects.filter(pk=good.pk).update(
        resolved_parameters={"top": 5, "a": {"b": "x y"}, "c.d": True, "date": "2026-01-02"}, tags=["nightly", "a,b"]
    )
    Run.objects.filter(pk=other.pk).update(resolved_parameters={"top": 50, "a": {"b": "x"}}, tags=["nightly-2"])
    other.node_runs.filter(position=0).update(name="other.node")
    good.node_runs.filter(position=0).update(name="clean, twice")
    return {"good": good.pk, "other": other.pk}


@pytest.mark.parametrize(
    ("query", "who"),
    [
        ("param.top:5", ["good"]),
        ("param.top:50", ["other"]),
        ("param.top:500", []),
        ('param.a.b:"x y"', ["good"]),
        ("param.a.b:x", ["other"]),
        ("param.c.d:true", ["good"]),
        ("param.c.d:True", ["good"]),
        ("param.date:2026-01-02", ["good"]),
        ("param.nothing:1", []),
        ("PARAM.top:5", ["good"]),
        ("param.top:5 param.a.b:x", []),
        ("node:other", ["other"]),
        ('node:"clean, twice"', ["good"]),
        ("node:nowhere", []),
        ("tag:nightly", ["good"]),
        ("tag:a,b", ["good"]),
        ("param.top:99999999999999999999", []),
        ("param.contains:1", []),
        ("param.a.0:1", []),
    ],
)
def test_runs_are_found_by_parameters_nodes_and_tags(query: str, who: list[str]) -> None:
    known = set_up_qualifiers()
    client = logged_in("viewer")
    body = client.get("/runs/", {"q": query}).content.decode()
    assert [int(number) for number in re.findall(r'<tr id="run-(\d+)"', body)] == [known[name] for name in who]
    assert "kc-message-warning" not in body


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("pipline:report", "There is no “pipline:”; did you mean “pipeline:”?"),
        ("nodes:x", "did you mean “node:”?"),
        ("params.top:5", "did you mean “param.NAME:”?"),
        ("xyzzy:5", "for a parameter write “param.xyzzy:”."),
        ("status:", "Write a value after “status:”."),
        ("param.top:", "Write a value after “param.top:”."),
    ],
)
def test_a_key_that_is_not_known_is_refused_with_the_nearest(query: str, sentence: str) -> None:
    lately()
    assert sentence in logged_in("viewer").get("/runs/", {"q": query}).content.decode()


@pytest.mark.parametrize("query", ["http://example.com/x", "12:30:00", "ValueError:", "::", ":x", "C:"])
def test_what_only_looks_like_a_key_is_a_word(query: str) -> None:
    assert "kc-message-warning" not in logged_in("viewer").get("/runs/", {"q": query}).content.decode()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("sta", "status:"),
        ("status:fa", "status:failed"),
        ("status:failed,cr", "status:failed,crashed"),
        ("status:failed pipel", "status:failed pipeline:"),
        ("pipeline:rep", "pipeline:report"),
        ("project:", "project:shop"),
        ("node:cle", "node:&quot;clean, twice&quot;"),
        ("tag:ni", "tag:nightly"),
        ("param.t", "param.top:"),
        ("param.top:5", "param.top:50"),
        ("param.c.d:t", "param.c.d:true"),
    ],
)
def test_names_and_values_are_offered_while_typing(typed: str, offered: str) -> None:
    set_up_qualifiers()
    body = logged_in("viewer").get("/runs/complete/", {"q": typed}, **HTMX).content.decode()
    assert f'<option value="{offered}">' in body


def test_strangers_are_offered_nothing() -> None:
    assert Client().get("/runs/complete/", {"q": "sta"}).status_code == 302
