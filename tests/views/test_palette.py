"""What Ctrl+K finds: only what the person may open."""

from __future__ import annotations

import pytest
from django.test import Client

from jobs.models import BatchQueue
from tests.factories import make_pipeline, make_quota, make_run
from tests.views.artifacts import an_artifact
from tests.views.scenes import ended, logged_in

pytestmark = pytest.mark.django_db


def found(text: str, role: str = "operator") -> str:
    answer = logged_in(role).get("/palette/", {"q": text})
    assert answer.status_code == 200
    return answer.content.decode()


def test_without_words_it_lists_the_pages() -> None:
    lines = found("")
    for page in ("/runs/", "/pipelines/", "/workers/"):
        assert f'href="{page}"' in lines
    assert lines.count('aria-selected="true"') == 1


def test_a_pipeline_is_opened_and_started_by_name() -> None:
    pipeline = make_pipeline("monthly_report")
    for words in ("monthly", "MONTHLY_rep", "run monthly"):
        lines = found(words)
        assert f"/pipelines/{pipeline.pk}/run/" in lines and f'"/pipelines/{pipeline.pk}/"' in lines
    viewer = found("monthly", role="viewer")
    assert f'"/pipelines/{pipeline.pk}/"' in viewer and "/run/" not in viewer


def test_a_pipeline_that_is_not_in_the_project_any_more_is_not_found() -> None:
    make_pipeline("monthly_report", is_registered=False)
    assert "/pipelines/" not in found("monthly")


@pytest.mark.parametrize("text", ["{}", "#{}", " {} "])
def test_a_run_is_found_by_its_number(text: str) -> None:
    run = make_run()
    assert f'href="/runs/{run.pk}/"' in found(text.format(run.pk))


def test_files_quotas_and_queues_are_found_by_name() -> None:
    artifact = an_artifact(ended(), "monthly.csv")
    quota = make_quota("monthly")
    BatchQueue.objects.create(name="monthly_items")
    lines = found("monthly")
    for url in (f"/artifacts/{artifact.uuid}/", quota.get_absolute_url(), "/batch-queues/monthly_items/"):
        assert f'href="{url}"' in lines


def test_what_matches_nothing_can_be_searched_in_the_runs() -> None:
    lines = found('<b>"odd" & strange')
    assert "&lt;b&gt;" in lines and "<b>" not in lines
    assert "/runs/?q=%3Cb%3E%22odd%22+%26+strange" in lines


@pytest.mark.parametrize("text", ["9" * 400, "#", "run ", "%", "' OR 1=1"])
def test_odd_words_are_only_words(text: str) -> None:
    lines = found(text)
    assert "role=" in lines and "%00" not in lines


def test_strangers_find_nothing() -> None:
    answer = Client().get("/palette/", {"q": "report"})
    assert answer.status_code == 302
