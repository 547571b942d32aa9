"""What somebody hostile wrote, wherever it comes out: it is text, on every page, in every file and in our own log."""

from __future__ import annotations

import io
import logging
import re
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from console.access.hide import Line
from jobs import clock
from jobs.models import Pipeline, Rule, Run, Snapshot
from jobs.states import NodeStatus, Status
from tests.factories import AT, content, make_pipeline, make_quota, make_schedule, make_user, node
from tests.records import a_request
from tests.test_attack_matrix import doors
from tests.views.artifacts import an_artifact
from tests.views.scenes import a_worker, logged_in, running, with_log

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>"
PICTURE = '"><img src=x onerror=alert(2)>'
EVIL = f"{SCRIPT}{PICTURE}{{{{7*191}}}}'`"
DULL = re.compile(r"logout|/(add|history|delete)/|autocomplete|jsi18n|password")
LINK = "\x1b]8;;javascript:alert(3)\x07click\x1b]8;;\x07"


@pytest.fixture
def scene() -> Run:
    """Every text that a project, a worker, an outside API or a person may choose is hostile."""
    nodes = [node(EVIL, ["params:api_url"], [EVIL], tags=[EVIL]), node("write", [EVIL], ["zip_file"], namespace="")]
    report = {"name": "report", "nodes": nodes, "inputs": [], "outputs": ["zip_file"], "parameters": ["api_url"]}
    pipeline = make_pipeline()
    Snapshot.objects.update(content=content(pipelines=[report], parameters={"api_url": EVIL}, problems=[]))
    pipeline = Pipeline.objects.get(pk=pipeline.pk)
    run = running(pipeline=pipeline, parameters={"api_url": f"{EVIL} x"}, requested_by_name=EVIL[:150])
    with_log(run, [EVIL, LINK, f"\x1b[31m{EVIL}", f"\r100%|{EVIL}"], node=EVIL, level="ERROR")
    at = clock.now()
    failure = {"exception": EVIL, "message": EVIL, "traceback": EVIL, "frames": [
        {"file": EVIL, "line": 1, "function": EVIL, "code": EVIL, "is_project": True},
    ]}  # fmt: skip
    run.node_runs.update(status=NodeStatus.FAILED, failure=failure, error=EVIL, started_at=at, finished_at=at)
    run.steps.get().end(Status.FAILED, None, at=at, by=EVIL[:100])
    run.end(Status.FAILED, at=at, by=EVIL[:100], error=EVIL)
    an_artifact(run, f"{EVIL.replace('/', '')}.csv", f"{EVIL},b\n{EVIL},2\n".encode(), dataset=EVIL[:80])
    a_request(run, node=EVIL[:80], url=f"https://api.example.com/{EVIL}", response=EVIL, headers={EVIL: EVIL})
    make_quota(name="chat", description=EVIL)
    a_worker(name="<b>x</b>", host=EVIL[:60])
    rule = Rule.objects.create(name=EVIL[:80], target=pipeline, created_at=AT, edited_at=AT, condition="`true`")
    rule.sources.add(pipeline)
    make_schedule(pipeline, name=EVIL[:80], note=EVIL)
    make_user("mallory", "viewer", first_name=SCRIPT, last_name=PICTURE)
    return Run.objects.get(pk=run.pk)


def texts(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code < 500, address
    if "text/html" not in answer.get("Content-Type", "") or answer.streaming:
        return ""
    return answer.content.decode()


def faults(text: str) -> list[str]:
    """What a browser would take for more than text."""
    return re.findall(r"""<script>alert|<img src=x|="javascript:|\b1337\b""", text)


def test_no_page_takes_a_text_for_more_than_a_text(scene: Run) -> None:
    client, found, seen = logged_in("admin"), [], 0
    plain = [door for door in doors() if door.area != "api" and not DULL.search(door.route)]
    places = [door.address(scene) for door in plain]
    places += [f"/runs/{scene.pk}/?tab={tab}" for tab in ("logs", "artifacts", "requests", "events", "parameters")]
    places += [f"/runs/{scene.pk}/?node={quote(EVIL)}", f"/runs/{scene.pk}/logs/?lines=1", "/palette/?q=alert"]
    for place in places:
        text = texts(client, place)
        seen += "&lt;script&gt;alert" in text
        found += [f"{place}: {fault}" for fault in faults(text)]
    assert found == [] and seen > 15, "the texts are there, and are texts"


def test_no_answer_of_the_api_is_a_page(scene: Run) -> None:
    client = logged_in("admin")
    for door in doors():
        if door.area == "api" and door.name not in ("docs", "artifact_download"):
            answer = client.get(door.address(scene))
            assert "html" not in answer.get("Content-Type", ""), door.route
            assert answer["X-Content-Type-Options"] == "nosniff"


def test_the_log_as_text_has_no_sequence_that_steers_a_terminal(scene: Run) -> None:
    answer: Any = logged_in("viewer").get(f"/api/v1/jobs/{scene.uuid}/logs/text")
    text = b"".join(answer.streaming_content).decode()
    assert answer["Content-Type"].startswith("text/plain") and answer["X-Content-Type-Options"] == "nosniff"
    assert "\x1b" not in text and "javascript:alert(3)" not in text and "\x07" not in text


# ---- our own log


def written(message: str, *given: object) -> str:
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(Line("%(levelname)s %(name)s: %(message)s"))
    handler.handle(logging.LogRecord("console", logging.WARNING, __file__, 1, message, given, None))
    return said.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "/a\n2026-01-01 ERROR console: a line that nobody wrote",
        "/a\r\nWARNING console: x",
        "\x1b[2Jgone",
        "a\u2028b\u2029c\x85d",
        "\x1b]8;;http://evil.example\x07click",
    ],
)
def test_no_text_of_a_stranger_makes_a_line_of_our_log(text: str) -> None:
    named = written("Refused %(path)s", {"path": text})
    for line in (written("Refused %s: %s", text, "x"), written("Refused %s", ValueError(text)), named):
        assert len(line.splitlines()) == 1 and line.rstrip("\n").isprintable(), line
        assert line.startswith("WARNING console: ")


def test_a_traceback_keeps_its_lines() -> None:
    try:
        raise RuntimeError("first\nsecond")
    except RuntimeError as error:
        record = logging.LogRecord("c", logging.ERROR, __file__, 1, "It failed: %s", ("x",), (type(error), error, None))
    assert Line("%(message)s").format(record).splitlines() == ["It failed: x", "RuntimeError: first", "second"]


def test_an_address_with_a_line_end_is_one_line_of_our_log(caplog: pytest.LogCaptureFixture) -> None:
    client = Client(raise_request_exception=False)
    formatter = Line("%(message)s")
    with caplog.at_level(logging.INFO):
        for path in ("/runs/%0aERROR%20forged/", "/%0d%0aforged", "/admin/%0aforged/", "/api/v1/jobs/%0aforged"):
            client.get(path)
            client.post(path)
    assert all(len(formatter.format(record).splitlines()) == 1 for record in caplog.records if not record.exc_info)
