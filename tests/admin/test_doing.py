"""What the admin does: runs, pipelines, projects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from console.admin.projects import parse_variables
from jobs.batches.batches import put
from jobs.batches.parked import purge
from jobs.models import BatchQueue, Pipeline, Project, Run, Snapshot
from jobs.states import Cause, Status
from tests.admin.rows import make_artifact, make_schedule
from tests.factories import AT, content, make_pipeline, make_project, make_run


def act(page: Client, model: str, action: str, *rows: Any) -> str:
    chosen = {"action": action, "_selected_action": [row.pk for row in rows]}
    return page.post(reverse(f"admin:jobs_{model}_changelist"), chosen, follow=True).content.decode()


def end(run: Run) -> Run:
    run.steps.get().end(Status.CANCELLED, None, at=AT, by="test")
    return run.end(Status.CANCELLED, at=AT, by="test")


def test_cancel_ends_what_is_queued_and_says_why_it_does_not_end_the_rest(admin_page: Client) -> None:
    queued, ended = make_run(), end(make_run())
    page = act(admin_page, "run", "cancel_runs", queued, ended)
    queued.refresh_from_db()
    assert queued.status == Status.CANCELLED
    assert queued.cancel_requested_by == "boss"
    assert "is cancelled." in page
    assert "A cancelled run cannot become cancelled." in page


def test_a_run_that_waits_is_let_go_first_and_one_that_does_not_says_so(admin_page: Client) -> None:
    waiting, ended = make_run(), end(make_run())
    page = act(admin_page, "run", "go_first", waiting, ended)
    assert waiting.steps.get().priority == 0
    assert "goes before all others that wait." in page
    assert "so its priority changes nothing." in page


def test_run_again_makes_a_new_run_that_names_the_old_one(admin_page: Client, boss: User) -> None:
    ended, live = end(make_run(parameters={"options": {"top": 4}})), make_run()
    page = act(admin_page, "run", "run_again", ended, live)
    again = Run.objects.get(retry_of=ended)
    assert (again.cause, again.requested_by, again.parameters) == (Cause.RETRY, boss, {"options": {"top": 4}})
    assert f'href="{reverse("run", args=[again.pk])}"' in page
    assert "cannot become another attempt before it has ended" in page


def test_a_look_at_the_cancel_dialog_cancels_nothing(admin_page: Client) -> None:
    run = make_run()
    address = reverse("admin:jobs_run_cancel_this", args=[run.pk])
    assert "Cancel this run?" in admin_page.get(address).content.decode()
    run.refresh_from_db()
    assert run.status == Status.QUEUED
    answer = admin_page.post(address, {"_form_submitted": "on"}, headers={"HX-Request": "true"})
    assert answer.headers["HX-Redirect"] == reverse("admin:jobs_run_change", args=[run.pk])
    run.refresh_from_db()
    assert run.status == Status.CANCELLED


@pytest.mark.parametrize("role", ["viewer", "analyst"])
def test_who_may_only_look_is_offered_and_allowed_nothing(role: str, as_role: Callable[[str], Client]) -> None:
    run = make_run()
    page = as_role(role)
    act(page, "run", "cancel_runs", run)
    act(page, "pipeline", "run_with_defaults", run.pipeline)
    for action in ("cancel_this", "retry_this"):
        address = reverse(f"admin:jobs_run_{action}", args=[run.pk])
        assert page.post(address, {"_form_submitted": "on"}).status_code == 403
    run.refresh_from_db()
    assert run.status == Status.QUEUED
    assert Run.objects.count() == 1
    assert "Run again" not in page.get(reverse("admin:jobs_run_change", args=[run.pk])).content.decode()


def test_downloads_are_offered_to_those_who_may_download(as_role: Callable[[str], Client]) -> None:
    artifact = make_artifact(make_run())
    link = reverse("artifact_download", args=[artifact.uuid])
    pages = [
        reverse("admin:jobs_artifact_changelist"),
        reverse("admin:jobs_artifact_change", args=[artifact.pk]),
        reverse("admin:jobs_run_change", args=[artifact.run_id]),
    ]
    viewer = as_role("viewer")
    assert not any(link in viewer.get(page).content.decode() for page in pages)
    analyst = as_role("analyst")
    assert all(link in analyst.get(page).content.decode() for page in pages)


def test_run_with_defaults_starts_each_chosen_pipeline(admin_page: Client, boss: User) -> None:
    report, broken = make_pipeline(), make_pipeline("gone")
    page = act(admin_page, "pipeline", "run_with_defaults", report, broken)
    run = Run.objects.get()
    assert (run.pipeline, run.cause, run.requested_by) == (report, Cause.MANUAL, boss)
    assert f'href="{reverse("run", args=[run.pk])}"' in page
    assert "shop / gone was not started:" in page


def test_buttons_of_a_pipeline_lead_to_its_pages(admin_page: Client) -> None:
    pipeline = make_pipeline()
    for action, place in {
        "open_page": reverse("pipeline", args=[pipeline.pk]),
        "run_form": reverse("pipeline_run", args=[pipeline.pk]),
        "add_schedule": reverse("schedule_new_for", args=[pipeline.pk]),
    }.items():
        answer = admin_page.get(reverse(f"admin:jobs_pipeline_{action}", args=[pipeline.pk]))
        assert answer["Location"] == place


def settings_of(pipeline: Pipeline, **changes: Any) -> dict[str, Any]:
    names = ("runner", "max_workers", "queue", "priority", "time_limit_seconds", "memory_limit_mb", "crash_retries",
             "grace_seconds", "description", "overlap", "poison_after", "retries", "retry_wait_seconds", "retry_factor",
             "retry_jitter", "grouping", "node_time_limit_seconds", "copies_mb")  # fmt: skip
    lists = {"default_parameters": "{}", "retry_exceptions": "[]", "retry_nodes": "[]", "unshareable": "[]"}
    return {name: getattr(pipeline, name) for name in names} | lists | changes


def test_settings_of_a_pipeline_change_and_its_name_does_not(admin_page: Client) -> None:
    pipeline = make_pipeline()
    address = reverse("admin:jobs_pipeline_change", args=[pipeline.pk])
    sent = settings_of(pipeline, queue="reports", name="other", default_parameters='{"options": {"top": 5}}')
    assert admin_page.post(address, sent).status_code == 302
    pipeline.refresh_from_db()
    assert (pipeline.name, pipeline.queue) == ("report", "reports")
    assert pipeline.default_parameters == {"options": {"top": 5}}


def test_defaults_that_no_run_would_take_are_told_on_their_field(admin_page: Client) -> None:
    pipeline = make_pipeline()
    address = reverse("admin:jobs_pipeline_change", args=[pipeline.pk])
    for text in ('{"colour": 1}', '{"options": {"top": 99}}', "[1]"):
        answer = admin_page.post(address, settings_of(pipeline, default_parameters=text))
        assert list(answer.context["adminform"].form.errors) == ["default_parameters"], text


def test_the_names_of_a_retry_policy_are_a_list_of_words(admin_page: Client) -> None:
    pipeline = make_pipeline()
    address = reverse("admin:jobs_pipeline_change", args=[pipeline.pk])
    for text in ('"KeyError"', "[1]", "{}"):
        answer = admin_page.post(address, settings_of(pipeline, retry_exceptions=text, retry_nodes=text))
        wrong = set(answer.context["adminform"].form.errors) if answer.context else set()
        assert wrong == (set() if text == "{}" else {"retry_exceptions", "retry_nodes"}), text
    answer = admin_page.post(address, settings_of(pipeline, unshareable="1"))
    assert list(answer.context["adminform"].form.errors) == ["unshareable"]
    admin_page.post(address, settings_of(pipeline, retries=3, retry_exceptions='["KeyError"]', retry_nodes=""))
    pipeline.refresh_from_db()
    assert (pipeline.retries, pipeline.retry_exceptions, pipeline.retry_nodes) == (3, ["KeyError"], [])


def test_a_pipeline_or_project_with_runs_is_kept_and_the_page_says_why(admin_page: Client) -> None:
    run = make_run()
    for model, pk in (("pipeline", run.pipeline_id), ("project", run.pipeline.project_id)):
        address = reverse(f"admin:jobs_{model}_delete", args=[pk])
        page = admin_page.get(address).content.decode()
        assert "shop / report has runs, and runs are kept." in page
        assert admin_page.post(address, {"post": "yes"}).status_code in (200, 403)
    assert Run.objects.filter(pk=run.pk).exists()


def test_a_project_without_runs_goes_with_pipelines_and_schedules(admin_page: Client) -> None:
    run = make_run()
    schedule = make_schedule(run)
    run.delete()
    address = reverse("admin:jobs_project_delete", args=[run.pipeline.project_id])
    assert f"Schedule: {schedule.name}" in admin_page.get(address).content.decode()
    assert admin_page.post(address, {"post": "yes"}).status_code == 302
    assert not Project.objects.exists()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[tool.kedro]\n")
    return tmp_path


def project_form(folder: Path, **changes: str) -> dict[str, str]:
    return {
        "name": "mine",
        "path": str(folder),
        "interpreter": "/bin/false",
        "kedro_env": "",
        "variables": "",
    } | changes


def test_a_new_project_is_checked_at_once_and_a_bad_one_is_kept_with_the_reason(
    admin_page: Client, folder: Path
) -> None:
    sent = project_form(folder, variables="TOKEN=hunter2\nURL=http://x/?a=b")
    page = admin_page.post(reverse("admin:jobs_project_add"), sent, follow=True).content.decode()
    project = Project.objects.get()
    assert project.environment == {"TOKEN": "hunter2", "URL": "http://x/?a=b"}
    assert "The Kedro project mine could not be read: exit code 1" in page
    assert project.errors == ["The Kedro project mine could not be read: exit code 1"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"path": "relative/path"}, "path"),
        ({"path": "/nowhere/at/all"}, "path"),
        ({"path": "/usr"}, "path"),
        ({"interpreter": "/nowhere/python"}, "interpreter"),
        ({"interpreter": ""}, "interpreter"),
        ({"name": "not a slug"}, "name"),
        ({"variables": "NAME"}, "variables"),
        ({"variables": "1A=x"}, "variables"),
    ],
)
def test_a_project_that_cannot_be_is_told_on_its_field(
    changes: dict[str, str], field: str, admin_page: Client, folder: Path
) -> None:
    answer = admin_page.post(reverse("admin:jobs_project_add"), project_form(folder, **changes))
    assert list(answer.context["adminform"].form.errors) == [field]
    assert not Project.objects.exists()


def test_one_folder_is_one_project(admin_page: Client, folder: Path) -> None:
    make_project("first", folder)
    answer = admin_page.post(reverse("admin:jobs_project_add"), project_form(folder))
    assert answer.context["adminform"].form.errors["path"] == ["The project first is already there."]


def test_one_folder_may_be_two_projects_with_two_kedro_environments(admin_page: Client, folder: Path) -> None:
    make_project("first", folder)
    admin_page.post(reverse("admin:jobs_project_add"), project_form(folder, kedro_env="prod"))
    assert set(Project.objects.values_list("path", "kedro_env")) == {(str(folder), ""), (str(folder), "prod")}


def test_a_link_to_a_folder_stays_a_link(admin_page: Client, folder: Path) -> None:
    link = folder.with_name("current")
    link.symlink_to(folder)
    admin_page.post(reverse("admin:jobs_project_add"), project_form(link))
    assert Project.objects.get().path == str(link)


def test_secrets_are_replaced_kept_or_forgotten_and_never_shown(admin_page: Client, folder: Path) -> None:
    project = make_project("mine", folder, environment={"TOKEN": "hunter2"})
    address = reverse("admin:jobs_project_change", args=[project.pk])

    def kept(**changes: str) -> dict[str, str]:
        admin_page.post(address, project_form(folder, **changes))
        return dict(Project.objects.get().environment)

    page = admin_page.get(address).content.decode()
    assert "TOKEN" in page and "hunter2" not in page
    assert kept() == {"TOKEN": "hunter2"}
    assert kept(variables="OTHER=s3cret") == {"OTHER": "s3cret"}
    bad = admin_page.post(address, project_form(folder, variables="A=s3cret", path="/nowhere"))
    assert "s3cret" not in bad.content.decode()
    assert "s3cret" not in admin_page.get(reverse("admin:jobs_project_history", args=[project.pk])).content.decode()
    assert kept(forget_variables="on") == {}


def test_secrets_that_cannot_be_decrypted_do_not_hide_the_project(admin_page: Client, settings: Any) -> None:
    project = make_project(environment={"TOKEN": "x"})
    settings.CONSOLE_ENCRYPTION_KEYS = ["a" * 43 + "="]
    assert admin_page.get(reverse("admin:jobs_project_changelist")).status_code == 200
    page = admin_page.get(reverse("admin:jobs_project_change", args=[project.pk])).content.decode()
    assert "could not be read with the present CONSOLE_ENCRYPTION_KEYS" in page


def test_problems_of_a_project_stand_on_its_page(admin_page: Client) -> None:
    project = make_project()
    problem = {"severity": "error", "subject": "dependency:x", "sentence": "The module openpyxl is missing."}
    Snapshot.objects.create(project=project, revision="1", content=content(problems=[problem]), taken_at=AT)
    page = admin_page.get(reverse("admin:jobs_project_change", args=[project.pk])).content.decode()
    assert "error: The module openpyxl is missing." in page
    assert "problems" in admin_page.get(reverse("admin:jobs_project_changelist")).content.decode()


def test_check_now_says_what_is_wrong(admin_page: Client) -> None:
    project = make_project(folder="/nowhere/at/all")
    assert "folder /nowhere/at/all does not exist" in act(admin_page, "project", "check_projects", project)
    address = reverse("admin:jobs_project_check_now", args=[project.pk])
    assert "Read this project again?" in admin_page.get(address).content.decode()
    page = admin_page.post(address, {"_form_submitted": "on"}, follow=True).content.decode()
    assert "folder /nowhere/at/all does not exist" in page


def test_a_variable_is_what_follows_the_first_equals_sign() -> None:
    assert parse_variables("A=b=c\n\n  B=d e  \nC=") == {"A": "b=c", "B": "d e", "C": ""}


def test_the_store_of_a_project_s_runs_is_a_folder_or_an_address_without_a_login(
    admin_page: Client, folder: Path
) -> None:
    project = make_project("mine", folder)
    address = reverse("admin:jobs_project_change", args=[project.pk])
    for wrong in ("mnt/runs", "s3://key:secret@bucket/runs", "simplecache::s3://bucket", "s3://a b"):
        answer = admin_page.post(address, project_form(folder, store_url=wrong))
        assert list(answer.context["adminform"].form.errors) == ["store_url"], wrong
    for right in ("/mnt/runs", "s3://bucket/runs"):
        assert admin_page.post(address, project_form(folder, store_url=right)).status_code == 302
        project.refresh_from_db()
        assert project.store_url == right


def test_the_counters_of_a_batch_queue_are_counted_again(admin_page: Client) -> None:
    put("words", [("a", 1)], at=AT)
    BatchQueue.objects.update(waiting=7)
    (queue,) = BatchQueue.objects.all()
    chosen = {"action": "count_again", "_selected_action": [queue.pk]}
    page = admin_page.post(reverse("admin:jobs_batchqueue_changelist"), chosen, follow=True).content.decode()
    assert "words: corrected." in page
    assert BatchQueue.objects.get().waiting == 1


def test_a_batch_queue_keeps_its_name_and_is_deleted_only_when_it_is_empty(admin_page: Client) -> None:
    put("words", [("a", 1)], at=AT)
    (queue,) = BatchQueue.objects.all()
    address = reverse("admin:jobs_batchqueue_change", args=[queue.pk])
    admin_page.post(address, {"name": "other", "description": "x", "max_attempts": 9, "keep_days": 1})
    queue.refresh_from_db()
    assert (queue.name, queue.max_attempts) == ("words", 9)
    delete = reverse("admin:jobs_batchqueue_delete", args=[queue.pk])
    assert admin_page.post(delete, {"post": "yes"}).status_code == 403
    purge(queue, "waiting")
    admin_page.post(delete, {"post": "yes"})
    assert not BatchQueue.objects.exists()
