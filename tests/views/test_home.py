from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import override_settings
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask

from jobs import clock
from jobs.insight.examine import examine
from jobs.insight.examine_waits import examine_waits
from jobs.models import Grant, Lead, Pipeline, Project, Schedule, Snapshot, Worker
from jobs.quotas.quotas import hold, pause
from jobs.quotas.turns import Amount
from jobs.schedules.due import by_pipeline, next_fires, upcoming
from jobs.schedules.lead import Leader
from jobs.states import Status
from tests.factories import AT, content, make_pipeline, make_project, make_quota, make_run
from tests.views.scenes import HTMX, a_worker, ended, logged_in, running

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _forget_findings() -> None:
    cache.clear()


def found(subject: str) -> tuple[bool, str, str]:
    finding = next(f for f in [*examine(clock.now()), *examine_waits(clock.now())] if f.subject == subject)
    return finding.is_ok, finding.sentence, finding.mend


def beat_decided(ago: timedelta) -> None:
    Leader("1@test").turn(clock.now() - ago)


def test_without_a_project_the_command_that_adds_one_is_named() -> None:
    assert found("projects") == (False, "No Kedro project is known yet.", "python manage.py project add PATH")


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    project = make_project(folder=tmp_path)
    make_pipeline(project=project)
    return project


def test_a_project_is_good_when_its_snapshot_has_no_errors(shop: Project) -> None:
    assert found("project shop") == (True, "shop has 1 pipeline.", "")


def test_a_project_with_errors_says_the_first_of_them(shop: Project) -> None:
    problem = {"severity": "error", "subject": "import", "sentence": "No module named “numpyy”."}
    Snapshot.objects.create(project=shop, revision="r", content=content(problems=[problem]), taken_at=AT)
    assert found("project shop") == (
        False,
        "shop: No module named “numpyy”.",
        "python manage.py project check shop",
    )


def test_a_project_whose_newest_reading_went_wrong_says_why_beside_its_good_picture(shop: Project) -> None:
    problem = {"severity": "error", "subject": "import", "sentence": "No module named “numpyy”."}
    Project.objects.update(trouble=[problem], unread=["*"])
    assert found("project shop")[:2] == (False, "shop: No module named “numpyy”.")


@pytest.mark.parametrize("gone", ["path", "interpreter"])
def test_a_project_that_is_not_there_is_no_good_one(shop: Project, gone: str) -> None:
    Project.objects.update(**{gone: "/nowhere/at/all"})
    is_ok, sentence, mend = found("project shop")
    assert not is_ok
    assert "/nowhere/at/all" in sentence and "does not exist" in sentence
    assert mend == "python manage.py project check shop"


def test_workers_of_other_machines_know_better_what_is_there(shop: Project) -> None:
    Project.objects.update(path="/only/over/there")
    Worker.objects.update_or_create(pk=a_worker().pk, defaults={"host": "another machine"})
    assert found("project shop")[0]


def test_a_worker_that_is_silent_does_not_count_as_alive() -> None:
    a_worker(clock.now() - timedelta(minutes=5))
    assert found("workers")[0] is False


def test_a_queue_that_no_living_worker_hears_is_named_with_the_command_for_one() -> None:
    make_pipeline(queue="reports")
    a_worker()
    is_ok, sentence, mend = found("queue reports")
    assert not is_ok
    assert "reports" in sentence and "reports" in mend


def test_beat_is_alive_while_it_decides() -> None:
    beat_decided(timedelta(seconds=15))
    assert found("beat")[0] is True


def test_beat_is_silent_when_nobody_decides() -> None:
    beat_decided(timedelta(minutes=5))
    assert found("beat") == (False, "No beat decides due times, so no schedule fires.", "make up")


@override_settings(REDIS_URL="unix:///nowhere/redis.sock")
def test_a_broker_that_does_not_answer_is_told_and_harms_nothing() -> None:
    assert found("broker")[0] is False


def test_a_store_that_takes_no_files_is_told(tmp_path: Path, settings) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "a-file-where-the-folder-should-be"
    file.write_text("x")
    settings.STORAGES = {
        **settings.STORAGES,
        "artifacts": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(file)}},
    }
    assert found("artifact store")[0] is False


def test_the_store_is_left_as_it_was_after_a_look() -> None:
    from django.core.files.storage import storages

    assert found("artifact store")[0] is True
    assert not storages["artifacts"].exists(".examined")


def test_the_checklist_is_open_while_something_is_wrong_and_names_the_command() -> None:
    body = logged_in("viewer").get("/").content.decode()
    assert "Something is missing" in body
    assert "python manage.py project add PATH" in body


def test_home_shows_what_runs_and_what_failed_with_equal_failures_as_one() -> None:
    live = running()
    for _ in range(3):
        ended(Status.FAILED, error="The disk is full.")
    body = logged_in("viewer").get("/").content.decode()
    assert f"/runs/{live.pk}/" in body
    assert body.count("The disk is full.</span>") == 1
    assert "2 more like it" in body


def test_the_fragment_is_the_part_that_the_page_includes() -> None:
    client = logged_in("viewer")
    fragment = client.get("/", **HTMX).content.decode()
    assert fragment.lstrip().startswith('<div id="home"')
    assert "<html" not in fragment


def test_the_number_of_queries_does_not_grow_with_the_rows(django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    client = logged_in("viewer")
    for _ in range(6):
        running()
        ended(Status.FAILED, error="x")
    client.get("/")
    with django_assert_max_num_queries(15):
        client.get("/")


def a_schedule(name: str, pipeline: Pipeline, **facts: Any) -> PeriodicTask:
    given = {"task": "jobs.start", "kwargs": json.dumps({"pipeline_id": pipeline.pk}), **facts}
    schedule: PeriodicTask = PeriodicTask.objects.create(name=name, **given)
    return schedule


def test_the_next_fires_come_soonest_first_and_never_in_the_past() -> None:
    hourly = IntervalSchedule.objects.create(every=1, period="hours")
    daily = CrontabSchedule.objects.create(minute="0", hour="6")
    pipeline, at = make_pipeline(), clock.now()
    a_schedule("late", pipeline, interval=hourly, last_run_at=at - timedelta(days=3))
    a_schedule("daily", pipeline, crontab=daily)
    a_schedule("off", pipeline, crontab=daily, enabled=False)
    a_schedule("ours", pipeline, task="jobs.reconcile", interval=hourly)
    a_schedule("over", pipeline, interval=hourly, one_off=True, total_run_count=1)
    a_schedule("expired", pipeline, interval=hourly, expires=at - timedelta(days=1))
    a_schedule("nobody's", pipeline, interval=hourly, kwargs='{"pipeline_id": 9999}')
    fires = upcoming(at, 8)
    assert [fire.name for fire in fires] == ["late", "daily"]
    assert all(fire.next_at and fire.next_at >= at for fire in fires)


def test_home_names_the_pipeline_with_a_link_and_the_time_in_words() -> None:
    pipeline = make_pipeline()
    a_schedule("each minute", pipeline, crontab=CrontabSchedule.objects.create(timezone="UTC"))
    page = logged_in("viewer").get("/").content.decode()
    assert "Every minute, UTC" in page and "crontab" not in page
    assert f'href="/schedules/{Schedule.objects.get().pk}/"' in page and pipeline.name in page and "each minute" in page
    Pipeline.objects.update(is_registered=False)
    assert "Every minute, UTC" not in logged_in("viewer").get("/").content.decode()


@pytest.mark.parametrize("case", ["cron", "interval", "clocked", "once", "placed", "start_time", "expires"])
def test_home_pipelines_and_admin_say_the_same_next_time(case: str) -> None:
    pipeline, at = make_pipeline(), clock.now()
    cron = CrontabSchedule.objects.create(minute="7", hour="5", timezone="Europe/Berlin")
    facts: dict[str, Any] = {
        "cron": {"crontab": cron},
        "interval": {"interval": IntervalSchedule.objects.create(every=7, period="minutes"), "last_run_at": at},
        "clocked": {"clocked": ClockedSchedule.objects.create(clocked_time=at + timedelta(days=2)), "one_off": True},
        "once": {"crontab": cron, "one_off": True},
        "placed": {"crontab": cron, "kwargs": "{}", "args": json.dumps([str(pipeline.pk), {"top": 1}])},
        "start_time": {"crontab": cron, "start_time": at + timedelta(days=40)},
        "expires": {"crontab": cron, "expires": at + timedelta(days=3)},
    }[case]
    schedule = a_schedule("s", pipeline, **facts)
    (fire,) = upcoming(at, 8)
    (there,) = by_pipeline(at)[pipeline.pk]
    assert fire == there
    assert [fire.next_at] == next_fires(schedule, at, 1)
    moment = fire.next_at.isoformat(timespec="seconds") if fire.next_at else ""
    client = logged_in("admin")
    for address in ("/", "/pipelines/", f"/pipelines/{pipeline.pk}/"):
        assert moment[:19] in client.get(address).content.decode(), address


def test_a_pipeline_whose_quota_can_never_be_had_is_found() -> None:
    make_quota()
    pipeline = make_pipeline(takes={"chat": 2})
    wrong = [finding for finding in examine(clock.now()) if finding.subject == f"quotas of {pipeline.name}"]
    assert "2 requests at once can never be granted" in wrong[0].sentence
    Pipeline.objects.update(takes={"chat": 1})
    assert not [finding for finding in examine(clock.now()) if finding.subject.startswith("quotas of")]


def test_a_quota_that_is_near_its_end_is_on_the_page_and_others_are_not() -> None:
    near = make_quota("near", "10 requests per hour")
    make_quota("roomy", "10 requests per hour")
    hold(near, Grant(quota=near), Amount(8), new=Amount(8), at=clock.now())
    page = logged_in("viewer").get("/").content.decode()
    assert "Quotas near their end" in page and "near" in page and "8 of 10 requests per hour" in page
    assert "roomy" not in page


def home_page() -> str:
    return logged_in("viewer").get("/").content.decode()


def all_is_there() -> Pipeline:
    """A console that lacks nothing."""
    beat_decided(timedelta(seconds=1))
    return make_pipeline()


@pytest.fixture
def _broker_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.insight import examine as looked
    from jobs.insight.examine import Finding

    monkeypatch.setattr(looked, "_broker", lambda: Finding("broker", True, "The broker answers."))
    monkeypatch.setattr(looked, "_eviction", lambda: Finding("eviction", True, "Redis keeps all."))
    monkeypatch.setattr(looked, "_away", lambda project: "")


@pytest.mark.usefixtures("_broker_answers")
class TestHomeSaysAllIsWellOnlyWhenNothingWaitsForNobody:
    def test_all_is_well_when_all_is_there(self) -> None:
        all_is_there()
        a_worker()
        assert "Everything that runs need is there." in home_page()

    @pytest.mark.parametrize("verb, word", [("pause", "paused"), ("drain", "draining")])
    def test_amber_at_once_when_the_only_worker_takes_nothing_and_a_run_waits(self, verb: str, word: str) -> None:
        make_run(all_is_there())
        worker = a_worker()
        home_page()
        getattr(worker, verb)(at=clock.now(), by="ada")
        page = home_page()
        assert "Something waits for you" in page and "Everything that runs need is there." not in page
        assert f"The only worker is {word} by ada, so one step waits now." in page and 'href="/workers/"' in page
        worker.resume(at=clock.now(), by="ada")
        assert "Everything that runs need is there." in home_page()

    def test_amber_also_before_anything_waits(self) -> None:
        all_is_there()
        for name in ("one@h", "two@h"):
            a_worker(name=name).pause(at=clock.now(), by="ada")
        assert "All 2 workers are paused by ada, so runs stay queued." in home_page()

    def test_amber_when_what_listens_to_a_queue_is_paused_and_others_work(self) -> None:
        pipeline = all_is_there()
        Pipeline.objects.filter(pk=pipeline.pk).update(queue="reports")
        pipeline.refresh_from_db()
        make_run(pipeline)
        a_worker()
        a_worker(name="reports@h", queues=["reports"]).pause(at=clock.now(), by="ada")
        assert "What listens to the queue reports is paused by ada: one step waits." in home_page()

    def test_amber_when_a_step_waits_in_a_queue_that_no_pipeline_names_and_nobody_hears(self) -> None:
        run = make_run(all_is_there())
        run.steps.update(queue="gone")
        a_worker()
        page = home_page()
        assert "No worker listens to the queue gone: one step waits." in page
        assert "CONSOLE_WORKER_QUEUES=gone python -m console worker" in page

    def test_red_when_the_workers_died(self) -> None:
        make_run(all_is_there())
        a_worker(clock.now() - timedelta(minutes=5))
        assert "Something is missing" in home_page()
        assert found("workers") == (False, "No worker is alive, so one step waits now.", "make up")

    def test_red_when_beat_is_silent(self) -> None:
        all_is_there()
        Lead.objects.update(renewed_at=clock.now() - timedelta(minutes=5))
        a_worker()
        assert "No beat decides due times, so no schedule fires." in home_page()

    def test_amber_when_the_disk_is_nearly_full(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from collections import namedtuple

        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr("jobs.insight.examine.shutil.disk_usage", lambda place: usage(10**11, 10**11, 5 * 10**8))
        all_is_there()
        a_worker()
        page = home_page()
        assert "Something waits for you" in page and "Only 0.5 GB of 100 GB are free" in page

    def test_amber_when_a_schedule_starts_a_pipeline_that_is_gone(self) -> None:
        pipeline = all_is_there()
        a_worker()
        rule = CrontabSchedule.objects.create(minute="0", hour="6")
        wish = f'{{"pipeline_id": {pipeline.pk}}}'
        PeriodicTask.objects.create(name="nightly", task="jobs.start", crontab=rule, kwargs=wish)
        assert "Everything that runs need is there." in home_page()
        cache.clear()
        Pipeline.objects.update(is_registered=False)
        assert "The schedule “nightly” starts a pipeline that no longer exists." in home_page()

    def test_amber_when_runs_wait_for_a_quota_that_somebody_paused(self) -> None:
        all_is_there()
        a_worker()
        quota = make_quota()
        pause(quota.name, at=clock.now(), by="ada")
        assert "Everything that runs need is there." in home_page()
        Grant.objects.create(quota=quota, node="ask", asked_at=clock.now())
        assert "is paused by ada and one waits for it." in home_page()
