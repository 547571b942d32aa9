"""The page that says what resuming a run would do, before it does."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.test import Client

from jobs import clock
from jobs.insight.outlook import outlook
from jobs.models import Pipeline, Run, Step
from jobs.runs.keep_copies import copies_of
from jobs.runs.preview_reuse import Preview
from jobs.runs.spread import Part
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


def fields(run: Run) -> dict[str, str]:
    """The form as its page shows it."""
    client = logged_in("operator")
    form = client.get(f"/runs/{run.pk}/resume/").context["form"]
    given = {name: form[name].value() for name in form.fields}
    return {name: "on" if value is True else str(value) for name, value in given.items() if value not in (False, None)}


def test_other_parameters_are_previewed_without_a_start() -> None:
    run = with_the_first_node_done()
    changed = fields(run) | {"p:options.top": "many"}
    fragment = logged_in("operator").post(f"/runs/{run.pk}/resume/", changed, **HTMX)
    assert "Not right yet: options.top." in fragment.content.decode()
    assert "<html" not in fragment.content.decode()
    good = logged_in("operator").post(f"/runs/{run.pk}/resume/", fields(run) | {"p:options.top": "7"}, **HTMX)
    assert "data-outlook" in good.content.decode()
    assert Run.objects.count() == 1


def test_the_form_is_the_pipelines_own_with_what_the_run_had() -> None:
    run = with_the_first_node_done()
    Run.objects.filter(pk=run.pk).update(parameters={"options": {"top": 5}})
    page = logged_in("operator").get(f"/runs/{run.pk}/resume/")
    assert page.context["form"]["p:options.top"].value() == "5" and "<textarea" not in page.content.decode()
    logged_in("operator").post(f"/runs/{run.pk}/resume/", fields(run))
    assert Run.objects.get(retry_of=run).parameters == {"options": {"top": 5}}


def test_a_value_that_cannot_be_stands_at_its_field_and_nothing_starts() -> None:
    run = with_the_first_node_done()
    page = logged_in("operator").post(f"/runs/{run.pk}/resume/", fields(run) | {"p:options.top": "many"})
    assert page.context["form"].errors["p:options.top"] and Run.objects.count() == 1


def test_the_preview_says_how_much_is_reused_by_namespace_and_for_how_long() -> None:
    run = failed_in_a_node()
    run.node_runs.filter(position=0).update(name="emea.dach.fetch", seconds=12.0)
    found = Preview([Part("emea.dach.fetch", "x"), Part("write", "x")], [Part("emea.clean", "y")], [], {})
    told = outlook(run, found)
    assert [(space.name, space.reused, space.rerun) for space in told.spaces] == [
        ("", 0, 1), ("emea", 1, 0), ("emea.dach", 0, 1)
    ]  # fmt: skip
    assert (told.reused, told.rerun) == (1, 2) and told.seconds is not None and told.seconds >= 12.0
    page = logged_in("operator").get(f"/runs/{run.pk}/resume/").content.decode()
    assert " reused, " in page


def test_where_nothing_can_be_reused_it_says_so_and_copies_can_be_kept_from_now_on() -> None:
    run = with_the_first_node_done()
    Pipeline.objects.filter(pk=run.pipeline_id).update(copies_mb=0)
    page = logged_in("operator").get(f"/runs/{run.pk}/resume/").content.decode()
    assert "Nothing can be reused" in page and "An admin can change it." in page
    assert logged_in("operator").post(f"/runs/{run.pk}/copies/", {"copies": "always"}).status_code == 403
    admin = logged_in("admin")
    for way, stored in (("always", (True, 200)), ("automatic", (False, 200)), ("never", (False, 0))):
        assert admin.post(f"/runs/{run.pk}/copies/", {"copies": way}).status_code == 302
        pipeline = Pipeline.objects.get(pk=run.pipeline_id)
        assert (pipeline.is_resumable, pipeline.copies_mb) == stored and copies_of(pipeline) == way
    answer = admin.post(f"/runs/{run.pk}/copies/", {"copies": "often"}, follow=True).content.decode()
    assert "automatic, always, never" in answer


def test_resuming_leads_to_the_new_run_which_names_the_old_one() -> None:
    run = with_the_first_node_done()
    page = logged_in("operator").post(f"/runs/{run.pk}/resume/", fields(run) | {"p:options.top": "7"}, follow=True)
    new = Run.objects.get(retry_of=run)
    assert page.redirect_chain == [(f"/runs/{new.pk}/", 302)]
    assert f"resumes #{run.pk}" in page.content.decode()
    assert (new.cause, new.parameters, new.requested_by_name) == (Cause.RETRY, {"options": {"top": 7}}, "operator")


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
