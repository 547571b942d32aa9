"""The page that says what resuming a run would do, before it does."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.test import Client

from jobs import clock
from jobs.models import Run, Step
from jobs.states import Cause, NodeStatus, Status
from tests.factories import make_pipeline, make_run
from tests.views.scenes import HTMX, ended, failed_in_a_node, logged_in, page_of, running

pytestmark = pytest.mark.django_db


def with_the_first_node_done() -> Run:
    run = failed_in_a_node()
    run.node_runs.filter(position=0).update(status=NodeStatus.FAILED, error="ValueError: <b>month</b>")
    return run


def test_the_preview_has_three_columns_each_node_with_its_reason() -> None:
    page = logged_in("operator").get(f"/runs/{with_the_first_node_done().pk}/resume/").content.decode()
    for words in ("Re-run", "Reuse", "Will happen again", "It failed: ValueError: &lt;b&gt;month&lt;/b&gt;."):
        assert words in page


def test_other_parameters_are_previewed_without_a_start() -> None:
    run = with_the_first_node_done()
    fragment = logged_in("operator").get(f"/runs/{run.pk}/resume/", {"parameters": '{"colour": 1}'}, **HTMX)
    assert "The project has no parameter of this name." in fragment.content.decode()
    assert "<html" not in fragment.content.decode()
    assert Run.objects.count() == 1


@pytest.mark.parametrize("text", ["{", "[1]", '"x"'])
def test_parameters_that_are_no_object_are_refused_with_a_sentence(text: str) -> None:
    run = with_the_first_node_done()
    page = logged_in("operator").post(f"/runs/{run.pk}/resume/", {"parameters": text}).content.decode()
    assert "parameters: " in page and Run.objects.count() == 1


def test_resuming_leads_to_the_new_run_which_names_the_old_one() -> None:
    run = with_the_first_node_done()
    page = logged_in("operator").post(f"/runs/{run.pk}/resume/", {"parameters": '{"dry": true}'}, follow=True)
    new = Run.objects.get(retry_of=run)
    assert page.redirect_chain == [(f"/runs/{new.pk}/", 302)]
    assert f"resumes #{run.pk}" in page.content.decode()
    assert (new.cause, new.parameters, new.requested_by_name) == (Cause.RETRY, {"dry": True}, "operator")


def test_that_a_run_resumes_another_is_a_fact_whatever_the_words_of_its_cause() -> None:
    run = with_the_first_node_done()
    client = logged_in("operator")
    client.post(f"/runs/{run.pk}/resume/")
    resumed = Run.objects.get(retry_of=run)
    client.post(f"/runs/{run.pk}/retry/")
    retried = Run.objects.exclude(pk=resumed.pk).get(retry_of=run)
    Run.objects.filter(pk=resumed.pk).update(cause_detail="goes on")
    Run.objects.filter(pk=retried.pk).update(cause_detail="resumes nothing")
    assert f"resumes #{run.pk}" in client.get(f"/runs/{resumed.pk}/").content.decode()
    assert f"again after #{run.pk}" in client.get(f"/runs/{retried.pk}/").content.decode()


def test_runs_that_were_resumed_before_that_was_a_fact_are_told_by_their_words() -> None:
    old, other = make_run(), make_run()
    Run.objects.filter(pk=old.pk).update(cause_detail="resumes run #7: 1 of 3 nodes reused")
    import_module("jobs.migrations.0024_run_is_resumption").tell_by_the_old_words(apps, None)
    assert list(Run.objects.filter(is_resumption=True)) == [old] and not Run.objects.get(pk=other.pk).is_resumption


def test_a_run_under_way_and_a_whole_one_have_nothing_to_resume() -> None:
    live = running()
    whole = make_run(make_pipeline("__default__"))
    whole.node_runs.update(status=NodeStatus.SUCCEEDED)
    whole.start(at=clock.now(), by="t")
    whole.end(Status.SUCCEEDED, at=clock.now(), by="t")
    for run, words in ((live, "cannot become resumed"), (whole, "There is nothing to resume")):
        page = logged_in("operator").post(f"/runs/{run.pk}/resume/").content.decode()
        assert words in page
    assert not Run.objects.filter(retry_of__isnull=False).exists()


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("analyst", 403), ("operator", 200), ("admin", 200)])
def test_only_operators_see_the_preview(role: str, status: int) -> None:
    assert logged_in(role).get(f"/runs/{with_the_first_node_done().pk}/resume/").status_code == status


def test_strangers_are_sent_to_the_login(client: Client) -> None:
    assert client.get(f"/runs/{with_the_first_node_done().pk}/resume/")["Location"].startswith("/login/")


def test_runs_that_ended_badly_offer_it() -> None:
    assert "/resume/" in logged_in("operator").get(page_of(failed_in_a_node())).content.decode()
    assert "/resume/" not in logged_in("operator").get(page_of(ended())).content.decode()


def test_the_nodes_show_the_attempts_that_failed_before() -> None:
    run = running()
    at = clock.now()
    first = run.steps.get()
    first.end(Status.FAILED, None, at=at, by="w", error="Node fetch: ValueError: <i>no</i>")
    facts = {"nodes": first.nodes, "queue": first.queue, "ready_at": at}
    Step.objects.create(run=run, position=0, attempt=2, **facts)
    run.node_runs.filter(name="fetch").update(attempts=2)
    page = logged_in("viewer").get(page_of(run, "nodes")).content.decode()
    assert "Attempt 1, " in page and "ValueError: &lt;i&gt;no&lt;/i&gt;" in page
