from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from django.core.files.base import ContentFile

from jobs import clock
from jobs.interpreters.artifacts import key_of, store
from jobs.models import Artifact, Event, LogChunk, NodeRun, Run, UnkeptFile, Worker
from jobs.states import NodeStatus, Status
from tests.api.conftest import get
from tests.factories import AT, make_pipeline, make_run


def keep(run: Run, content: bytes = b"a,b\n1,2\n", name: str = "report.csv") -> Artifact:
    digest = hashlib.sha256(content).hexdigest()
    if not store().exists(key_of(digest)):
        store().save(key_of(digest), ContentFile(content))
    return Artifact.objects.create(
        run=run,
        dataset="table",
        node="write",
        name=name,
        media_type="text/csv",
        size_bytes=len(content),
        sha256=digest,
        rows=1,
        columns=2,
        created_at=AT,
    )


def write_log(run: Run, first: int, texts: list[str]) -> None:
    lines = [[first + place, 1.5, "INFO", "stdout", "fetch", text] for place, text in enumerate(texts)]
    LogChunk.objects.create(
        run=run, step=run.steps.get(), first_seq=first, last_seq=first + len(texts) - 1, content=lines
    )
    Run.objects.filter(pk=run.pk).update(seq=first + len(texts) - 1)


def succeed(run: Run) -> Run:
    return run.start(at=AT, by="t").end(Status.SUCCEEDED, at=AT, by="t")


@pytest.fixture
def analyst(caller):
    return caller("analyst")


def test_nodes_come_in_topological_order_with_their_progress(viewer) -> None:
    run = make_run()
    NodeRun.objects.filter(name="fetch").update(
        status=NodeStatus.RUNNING, progress={"label": "pages", "done": 3, "total": 9, "unit": "it"}
    )
    nodes = get(viewer, f"/jobs/{run.uuid}/nodes").json()
    assert [node["name"] for node in nodes] == ["fetch", "process", "write"]
    assert nodes[0]["progress"]["done"] == 3
    assert nodes[1]["status"] == "waiting"


def test_log_lines_are_followed_by_their_number(viewer) -> None:
    run = make_run()
    write_log(run, 1, ["one", "two"])
    write_log(run, 3, ["three"])
    first = get(viewer, f"/jobs/{run.uuid}/logs?limit=2").json()
    assert [line["text"] for line in first["lines"]] == ["one", "two"]
    assert (first["last_seq"], first["has_more"], first["status"]) == (2, True, "pending")
    rest = get(viewer, f"/jobs/{run.uuid}/logs?after={first['last_seq']}").json()
    assert [line["seq"] for line in rest["lines"]] == [3]
    assert not rest["has_more"]
    assert get(viewer, f"/jobs/{run.uuid}/logs?after={2**63 - 1}").json()["lines"] == []


def test_any_text_that_a_project_wrote_can_be_sent(viewer) -> None:
    run = make_run()
    write_log(run, 1, ["half \ud800 a pair", "\u2028 <script>"])
    answer = get(viewer, f"/jobs/{run.uuid}/logs")
    assert answer.json()["lines"][0]["text"] == "half \ud800 a pair"
    assert answer["Content-Type"] == "application/json"
    assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("records", ["logs", "events"])
@pytest.mark.parametrize("query", ["after=-1", "after=x", f"after={2**63}", "limit=0", "limit=5001"])
def test_records_that_cannot_be_asked_for_are_refused(viewer, records: str, query: str) -> None:
    assert get(viewer, f"/jobs/{make_run().pk}/{records}?{query}").status_code == 422


def test_events_are_followed_by_their_number(viewer) -> None:
    run = make_run()
    for seq in (1, 4):
        Event.objects.create(
            run=run, step=run.steps.get(), seq=seq, at=AT, kind="node_started", node="fetch", data={"node": "fetch"}
        )
    events = get(viewer, f"/jobs/{run.uuid}/events?after=1").json()
    assert [(event["seq"], event["kind"], event["at"]) for event in events] == [
        (4, "node_started", "2026-03-01T08:00:00Z")
    ]


def test_an_artifact_is_listed_and_downloaded_whole_and_in_parts(analyst) -> None:
    run = make_run()
    artifact = keep(run)
    (listed,) = get(analyst, f"/jobs/{run.uuid}/artifacts").json()
    assert (listed["id"], listed["name"], listed["rows"]) == (str(artifact.uuid), "report.csv", 1)
    path = listed["url"].removeprefix("http://testserver")
    whole = analyst.get(path)
    assert whole.getvalue() == b"a,b\n1,2\n"
    assert whole["Content-Disposition"].startswith('attachment; filename="report.csv"')
    part = analyst.get(path, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.getvalue()) == (206, b"b\n1")
    assert analyst.get(path, headers={"Range": "bytes=99-"}).status_code == 416


def test_a_job_says_what_it_left_behind_and_is_not_kept(viewer) -> None:
    run = make_run().start(at=AT, by="t")
    facts = {
        "name": "a.tsv",
        "dataset": "d",
        "node": "n",
        "path": "/srv/a.tsv",
        "reason": "Not kept.",
    }
    UnkeptFile.objects.create(run=run, created_at=AT, **facts)
    assert get(viewer, f"/jobs/{run.uuid}").json()["not_kept"] == [facts]
    (listed,) = get(viewer, "/jobs").json()
    assert listed["not_kept"] == [facts]


def test_a_viewer_sees_artifacts_but_does_not_download_them(viewer) -> None:
    artifact = keep(make_run())
    assert get(viewer, f"/jobs/{artifact.run.pk}/artifacts").status_code == 200
    refused = get(viewer, f"/artifacts/{artifact.uuid}/download")
    assert refused.status_code == 403
    assert "the role analyst" in refused.json()["detail"]


def test_a_file_that_the_store_has_lost_is_the_platform_s_fault(analyst) -> None:
    artifact = keep(make_run(), b"soon gone")
    store().delete(artifact.store_key)
    answer = get(analyst, f"/artifacts/{artifact.uuid}/download")
    assert answer.status_code == 503
    assert "report.csv" in answer.json()["detail"]


def test_the_latest_artifact_is_of_a_completed_job(analyst) -> None:
    old, new, failed = (make_run() for _ in range(3))
    keep(old, b"old")
    wanted = keep(new, b"new")
    keep(failed, b"bad")
    succeed(old), succeed(new)
    failed.start(at=AT, by="t").end(Status.FAILED, at=AT, by="t")
    for query in ("name=report.csv", "name=report.csv&pipeline=report", "name=report.csv&pipeline=shop/report"):
        assert get(analyst, f"/artifacts/latest?{query}").json()["id"] == str(wanted.uuid)
    assert get(analyst, "/artifacts/latest?name=other.csv").status_code == 404
    assert get(analyst, "/artifacts/latest?name=report.csv&pipeline=else").status_code == 404
    assert get(analyst, "/artifacts/latest").json()["errors"] == {"name": "This field is required."}


def test_pipelines_tell_what_can_be_run_and_with_what(viewer) -> None:
    make_pipeline()
    make_pipeline("gone", is_registered=False)
    (pipeline,) = get(viewer, "/pipelines").json()
    assert (pipeline["project"], pipeline["name"], pipeline["runner"]) == ("shop", "report", "sequential")
    assert pipeline["nodes"] == ["fetch", "process", "write"]
    assert set(pipeline["parameters"]) == {"api_url", "options"}
    assert pipeline["schemas"]["options"]["properties"]["top"]["maximum"] == 30
    whole = get(viewer, "/pipelines/shop/report").json()
    assert whole["graph"][1]["inputs"] == ["raw_data", "params:options"]
    assert get(viewer, "/pipelines/shop/reprot").json()["nearest"] == ["report"]


def test_projects_tell_their_problems(viewer) -> None:
    pipeline = make_pipeline()
    snapshot = pipeline.project.snapshot
    snapshot.content["problems"] = [{"severity": "error", "subject": "import", "sentence": "No module named x."}]
    snapshot.save()
    (project,) = get(viewer, "/projects").json()
    assert project["problems"] == [{"severity": "error", "subject": "import", "sentence": "No module named x."}]
    assert project["pipelines"] == ["report"]


def test_workers_tell_whether_they_are_alive(viewer) -> None:
    from jobs import clock

    at = clock.now()
    for name, age in (("here", 1), ("lost", 60)):
        Worker.objects.create(
            name=name,
            host="h",
            pid=1,
            slots=4,
            started_at=at,
            heartbeat_at=at - timedelta(seconds=age),
            queues=["default"],
        )
    assert {row["name"]: row["is_alive"] for row in get(viewer, "/workers").json()} == {"here": True, "lost": False}


def test_an_operator_controls_a_worker(operator, viewer) -> None:
    at = clock.now()
    facts = {"queues": ["default"], "slots": 4, "started_at": at, "pid": 1, "host": "h"}
    Worker.objects.create(name="w1@here", heartbeat_at=at, **facts)
    Worker.objects.create(name="w2@here", heartbeat_at=at - timedelta(minutes=9), **facts)
    wish = {"wanted_state": "paused", "wanted_slots": 2}
    answer = operator.patch("/api/v1/workers/w1@here", wish, content_type="application/json")
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["wanted_slots"]) == ("pausing", 2)
    assert viewer.patch("/api/v1/workers/w1@here", wish, content_type="application/json").status_code == 403
    for name, body, code in (
        ("w1@here", {}, 422),
        ("w1@here", {"wanted_state": "asleep"}, 422),
        ("w1@here", {"wanted_slots": 0}, 422),
        ("w2@here", wish, 409),
        ("w3@here", wish, 404),
    ):
        assert operator.patch(f"/api/v1/workers/{name}", body, content_type="application/json").status_code == code


def test_a_run_that_is_skipped_is_a_conflict(operator) -> None:
    line = make_pipeline(overlap="skip")
    first = make_run(line)
    answer = operator.post("/api/v1/jobs", {"pipeline_name": "report"}, content_type="application/json")
    assert answer.status_code == 409
    assert answer.json()["detail"] == f"Not started: run #{first.pk} of the same pipeline is queued, policy: skip."
