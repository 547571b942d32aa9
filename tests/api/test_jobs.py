from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from jobs import clock
from jobs.models import Pipeline, Project, Run, Step, Upload
from jobs.states import NodeStatus, Status
from tests.api.conftest import get, post
from tests.factories import AT, make_pipeline, make_project, make_run
from tests.views.artifacts import an_artifact


def end(run: Run, status: Status, **facts: object) -> Run:
    """Move a run through its life by hand, three seconds long."""
    run.start(at=AT, by="test")
    return run.end(status, at=AT + timedelta(seconds=3), by="test", **facts)


def test_a_submitted_job_is_answered_with_every_field_that_clients_read(operator) -> None:
    make_pipeline()
    answer = post(operator, "/jobs", {"pipeline_name": "report", "parameters": {"options": {"top": 3}}})
    job = answer.json()
    assert answer.status_code == 201
    assert uuid.UUID(job["id"]) == Run.objects.get().uuid
    assert job["pipeline_name"] == "report"
    assert job["user_id"] == User.objects.get().username
    assert job["status"] == "pending"
    assert job["parameters"] == {"options": {"top": 3}}
    for unknown_yet in ("results", "error_message", "started_at", "completed_at", "execution_time"):
        assert job[unknown_yet] is None
    assert job["created_at"].endswith("Z")
    assert job["progress"] == {"nodes_done": 0, "nodes_total": 3}
    assert job["cause"] == "api"
    assert job["url"] == f"http://testserver/runs/{Run.objects.get().pk}/"


def test_parameters_may_be_left_out_or_null(operator) -> None:
    make_pipeline()
    for body in ({"pipeline_name": "report"}, {"pipeline_name": "report", "parameters": None}):
        assert post(operator, "/jobs", body).json()["parameters"] == {}


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (Status.SUCCEEDED, "completed"),
        (Status.FAILED, "failed"),
        (Status.CRASHED, "failed"),
        (Status.CANCELLED, "cancelled"),
    ],
)
def test_each_end_has_the_word_that_clients_wait_for(viewer, status: Status, word: str) -> None:
    run = end(make_run(), status)
    job = get(viewer, f"/jobs/{run.uuid}").json()
    assert job["status"] == word
    assert job["execution_time"] == 3.0
    assert job["completed_at"] == "2026-03-01T08:00:03Z"


def test_a_failed_job_says_why_and_a_completed_one_what_it_made(viewer) -> None:
    failed = end(make_run(), Status.FAILED, error="Node fetch: ValueError: no rows")
    done = end(make_run(), Status.SUCCEEDED, results={"zip_file": {"type": "str", "value": "x.zip"}})
    assert get(viewer, f"/jobs/{failed.uuid}").json()["error_message"] == "Node fetch: ValueError: no rows"
    shown = get(viewer, f"/jobs/{done.uuid}").json()
    assert shown["error_message"] is None
    assert shown["results"]["zip_file"]["value"] == "x.zip"


def test_a_job_is_found_by_its_id_and_by_its_number(viewer) -> None:
    run = make_run()
    assert get(viewer, f"/jobs/{run.pk}").json() == get(viewer, f"/jobs/{run.uuid}").json()


@pytest.mark.parametrize(
    "name", ["0", "999", "9" * 18, "9" * 40, "-1", "x", "٣", "00000000-0000-4000-8000-000000000000", "{}", ".."]
)
def test_a_job_that_is_none_is_not_found(viewer, name: str) -> None:
    answer = get(viewer, f"/jobs/{name}")
    assert answer.status_code == 404
    assert "detail" in answer.json()


@pytest.mark.parametrize("address", ["/jobs/%00", "/jobs?pipeline=%00"])
def test_an_address_with_a_null_character_is_refused_in_words(viewer, address: str) -> None:
    answer = get(viewer, address)
    assert answer.status_code == 400
    assert "detail" in answer.json()


def test_the_list_is_plain_newest_first_and_leads_on_by_key(viewer) -> None:
    runs = [make_run() for _ in range(5)]
    first = get(viewer, "/jobs?limit=2")
    assert [job["number"] for job in first.json()] == [runs[4].pk, runs[3].pk]
    link = first["Link"].split(">")[0].lstrip("<")
    second = viewer.get(link.removeprefix("http://testserver"))
    assert [job["number"] for job in second.json()] == [runs[2].pk, runs[1].pk]
    last = viewer.get(second["Link"].split(">")[0].lstrip("<").removeprefix("http://testserver"))
    assert [job["number"] for job in last.json()] == [runs[0].pk]
    assert "Link" not in last


def test_the_list_is_narrowed_by_pipeline_and_by_status(viewer) -> None:
    other = make_pipeline("__default__", project=make_pipeline().project)
    kept, crashed = make_run(), end(make_run(other), Status.CRASHED)
    numbers = lambda query: [job["number"] for job in get(viewer, f"/jobs?{query}").json()]  # noqa: E731
    assert numbers("pipeline=report") == numbers("pipeline=shop/report") == numbers("status=pending") == [kept.pk]
    assert numbers("status=failed") == [crashed.pk]
    assert numbers("pipeline=elsewhere/report") == numbers("status=completed") == []


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "before=0", f"before={2**63}", "status=queued"])
def test_a_list_that_cannot_be_asked_for_is_refused_by_field(viewer, query: str) -> None:
    answer = get(viewer, f"/jobs?{query}")
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [query.split("=")[0]]


def test_a_list_asks_the_same_number_of_questions_for_any_length(viewer, django_assert_num_queries) -> None:
    first = end(make_run(), Status.FAILED)
    for _ in range(20):
        make_run(retry_of=first)
    with django_assert_num_queries(5):  # token, its user's permissions, numbers, jobs, what these did not keep
        jobs = get(viewer, "/jobs").json()
    assert jobs[0]["retry_of"] == str(first.uuid)


def test_a_job_names_what_is_kept_and_not_yet_in_the_store(viewer) -> None:
    run, other = end(make_run(), Status.SUCCEEDED), end(make_run(), Status.SUCCEEDED)
    at = clock.now()
    an_artifact(other, "b.csv", b"b")
    artifact = an_artifact(run, "a.csv", b"a")
    facts = {"sha256": artifact.sha256, "name": "a.csv", "size_bytes": 1, "path": "/var/unsent/x", "host": "w1"}
    Upload.objects.create(due_at=at, created_at=at, error="Nobody listens.", attempts=2, **facts)
    listed = {job["number"]: job["not_in_store"] for job in get(viewer, "/jobs").json()}
    assert listed[other.pk] == []
    (told,) = listed[run.pk]
    assert (told["name"], told["host"], told["attempts"]) == ("a.csv", "w1", 2)
    assert told["reason"].startswith("The store did not take it, 2 times: Nobody listens.")
    assert "path" not in told
    (file,) = get(viewer, f"/jobs/{run.uuid}/artifacts").json()
    assert file["waits"] == told["reason"]


def test_a_submit_asks_few_questions(operator, django_assert_max_num_queries) -> None:
    make_pipeline()
    with django_assert_max_num_queries(14):
        assert post(operator, "/jobs", {"pipeline_name": "report"}).status_code == 201


def test_an_unknown_pipeline_is_answered_with_the_nearest_names(operator) -> None:
    make_pipeline()
    answer = post(operator, "/jobs", {"pipeline_name": "reprot"})
    assert answer.status_code == 404
    assert answer.json()["nearest"] == ["report"]
    assert "Did you mean report?" in answer.json()["detail"]


def test_the_project_chooses_among_pipelines_of_one_name(operator) -> None:
    make_pipeline()
    second = make_pipeline(project=make_project("mine", "/srv/mine"))
    for body in ({"pipeline_name": "mine/report"}, {"pipeline_name": "report", "project": "mine"}):
        assert post(operator, "/jobs", body).json()["project"] == "mine"
    assert Run.objects.filter(pipeline=second).count() == 2
    assert post(operator, "/jobs", {"pipeline_name": "report", "project": "none"}).status_code == 404


def test_bad_parameters_get_a_sentence_for_each_field_and_start_nothing(operator) -> None:
    make_pipeline()
    answer = post(
        operator, "/jobs", {"pipeline_name": "report", "parameters": {"options": {"top": 99}, "dry": "x", "no": 1}}
    )
    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == {"options.top", "no", "dry"}
    assert Run.objects.count() == 0


def test_nodes_and_runner_are_chosen(operator) -> None:
    make_pipeline()
    body = {"pipeline_name": "report", "from_nodes": ["process"], "to_nodes": ["process"], "runner": "threads"}
    job = post(operator, "/jobs", body).json()
    assert (job["nodes"], job["runner"]) == (["process"], "threads")
    assert post(operator, "/jobs", {"pipeline_name": "report", "tags": ["io"]}).json()["nodes"] == ["fetch", "write"]
    wrong = post(operator, "/jobs", {"pipeline_name": "report", "from_nodes": ["proces"]})
    assert "Did you mean process?" in wrong.json()["errors"]["from_nodes"]
    assert "runner" in post(operator, "/jobs", {"pipeline_name": "report", "runner": "gpu"}).json()["errors"]


def test_a_project_that_was_never_read_says_what_to_do(operator) -> None:
    Pipeline.objects.create(project=make_project(), name="report")
    answer = post(operator, "/jobs", {"pipeline_name": "report"})
    assert answer.status_code == 409
    assert "project check shop" in answer.json()["detail"]


def test_the_same_key_answers_the_same_job(operator) -> None:
    make_pipeline()
    body = {"pipeline_name": "report", "parameters": {"options.top": 3}}
    first = post(operator, "/jobs", body, headers={"Idempotency-Key": "k-1"})
    again = post(operator, "/jobs", body, headers={"Idempotency-Key": "k-1"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert Run.objects.count() == 1


def test_a_key_is_not_good_for_a_different_job(operator) -> None:
    make_pipeline()
    key = {"Idempotency-Key": "k-1"}
    post(operator, "/jobs", {"pipeline_name": "report"}, headers=key)
    answer = post(operator, "/jobs", {"pipeline_name": "report", "parameters": {"dry": True}}, headers=key)
    assert answer.status_code == 409
    assert "new key" in answer.json()["detail"]


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "k" * 201])
def test_a_key_that_is_none_is_refused(operator, key: str) -> None:
    make_pipeline()
    assert post(operator, "/jobs", {"pipeline_name": "report"}, headers={"Idempotency-Key": key}).status_code == 422


def test_what_only_the_console_decides_cannot_be_sent_along(operator) -> None:
    make_pipeline()
    forged = {"status": "completed", "cause": "schedule", "user_id": "root", "id": str(uuid.UUID(int=1)), "number": 7}
    answer = post(operator, "/jobs", {"pipeline_name": "report", **forged, "requested_by": 1, "results": {}})
    assert (answer.status_code, set(answer.json()["errors"])) == (422, {*forged, "requested_by", "results"})
    assert not Run.objects.exists()


def test_cancelling_a_queued_job_ends_it_and_once_it_has_ended_is_a_conflict(operator) -> None:
    run = make_run()
    asked = post(operator, f"/jobs/{run.uuid}/cancel")
    assert asked.status_code == 200
    assert asked.json()["status"] == "cancelled"
    run.refresh_from_db()
    assert run.cancel_requested_by == User.objects.get().username
    again = post(operator, f"/jobs/{run.uuid}/cancel")
    assert (again.status_code, again.json()["detail"]) == (409, "A cancelled run cannot become cancelled.")


def test_a_running_job_is_asked_to_stop(operator) -> None:
    run = make_run()
    Step.objects.get().claim(at=AT, worker_name="w", lease=timedelta(seconds=30))
    run.start(at=AT, by="w")
    job = post(operator, f"/jobs/{run.uuid}/cancel").json()
    assert job["status"] == "running"
    assert job["cancel_requested_at"] is not None


def test_a_retry_is_a_new_job_that_names_the_old_one(operator) -> None:
    run = make_run(parameters={"dry": True})
    assert post(operator, f"/jobs/{run.uuid}/retry").status_code == 409
    end(run, Status.FAILED)
    answer = post(operator, f"/jobs/{run.uuid}/retry")
    assert answer.status_code == 201
    assert answer.json()["retry_of"] == str(run.uuid)
    assert answer.json()["parameters"] == {"dry": True}
    assert answer.json()["id"] != str(run.uuid)


def test_a_project_s_secrets_are_in_no_answer(caller) -> None:
    project = make_project(environment={"DB_PASSWORD": "s3cr3t-value"})
    run = make_run(make_pipeline(project=project))
    admin = caller("admin")
    for path in (
        "/projects",
        "/pipelines",
        "/pipelines/shop/report",
        "/jobs",
        f"/jobs/{run.pk}",
        f"/jobs/{run.pk}/nodes",
    ):
        answer = get(admin, path)
        assert answer.status_code == 200
        assert b"s3cr3t" not in answer.content
        assert b"DB_PASSWORD" not in answer.content
    assert Project.objects.get().environment == {"DB_PASSWORD": "s3cr3t-value"}


def test_resuming_is_a_new_job_that_reuses_what_the_old_one_left(operator, viewer) -> None:
    run = make_run(parameters={"dry": True})
    assert post(operator, f"/jobs/{run.uuid}/resume").status_code == 409
    end(run, Status.FAILED)
    assert post(viewer, f"/jobs/{run.uuid}/resume").status_code == 403
    refused = post(operator, f"/jobs/{run.uuid}/resume", {"parameters": {"options": {"top": 99}}})
    assert (refused.status_code, list(refused.json()["errors"])) == (422, ["options.top"])
    answer = post(operator, f"/jobs/{run.uuid}/resume", {"parameters": {"options.top": 5}})
    assert answer.status_code == 201
    assert answer.json()["retry_of"] == str(run.uuid)
    assert answer.json()["parameters"] == {"dry": True, "options": {"top": 5}}


def test_a_job_all_of_whose_nodes_succeeded_has_nothing_to_resume(operator) -> None:
    run = make_run()
    run.node_runs.update(status=NodeStatus.SUCCEEDED)
    end(run, Status.SUCCEEDED)
    answer = post(operator, f"/jobs/{run.uuid}/resume")
    assert (answer.status_code, answer.json()["detail"][:30]) == (409, "There is nothing to resume: al")


def test_what_waits_of_a_job_goes_first_when_asked_and_a_job_that_waits_for_nothing_refuses(operator, viewer) -> None:
    run = make_run()
    ask = {"content_type": "application/json"}
    path = f"/api/v1/jobs/{run.uuid}"
    assert viewer.patch(path, {"priority": 0}, **ask).status_code == 403
    assert operator.patch(path, {"priority": 10}, **ask).status_code == 422
    assert operator.patch(path, {"priority": 0}, **ask).json()["id"] == str(run.uuid)
    assert run.steps.get().priority == 0
    run.steps.get().claim(at=AT, worker_name="w1", lease=timedelta(minutes=1))
    assert operator.patch(path, {"priority": 1}, **ask).status_code == 409


def test_a_project_that_cannot_be_read_is_a_409_with_its_error(operator) -> None:
    make_pipeline()
    problem = {"severity": "error", "subject": "import", "sentence": "No module named not_there_yet."}
    Project.objects.update(trouble=[problem], unread=["*"])
    answer = post(operator, "/jobs", {"pipeline_name": "report"})
    assert answer.status_code == 409
    assert "not_there_yet" in answer.json()["detail"]
    assert not Run.objects.exists()
