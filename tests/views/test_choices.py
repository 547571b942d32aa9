"""What was chosen of a pipeline is shown, offered and asked for again."""

from __future__ import annotations

from html import unescape

import pytest
from django.urls import reverse

from jobs.models import Rule, Run, Snapshot
from jobs.structure.selection import Selection
from tests.factories import AT, content, make_pipeline, make_project, make_run
from tests.views.scenes import logged_in

pytestmark = pytest.mark.django_db
ASKED = Selection(
    from_nodes=["fetch"], tags=["io"], only_missing_outputs=True, load_versions={"raw_data": "2026-01-01T00.00.00.000Z"}
)


def page(name: str, *args: object, role: str = "operator", **query: str) -> str:
    return unescape(logged_in(role).get(reverse(name, args=list(args)), query).content.decode())


def test_the_runs_page_says_what_was_chosen() -> None:
    run = make_run(selection=ASKED)
    Run.objects.filter(pk=run.pk).update(kedro_env="prod")
    shown = page("run", run.pk)
    for words in (
        "from_nodes",
        "only_missing_outputs",
        "raw_data: 2026-01-01T00.00.00.000Z",
        "Kedro environment",
        "prod",
    ):
        assert words in shown


def test_the_form_that_starts_from_a_run_asks_for_the_same() -> None:
    run = make_run(selection=ASKED)
    shown = page("pipeline_run", run.pipeline_id, **{"from": str(run.pk)})
    assert '<option value="fetch" selected>' in shown
    assert "raw_data: 2026-01-01T00.00.00.000Z" in shown
    assert "--only-missing-outputs --load-versions raw_data:2026-01-01T00.00.00.000Z" in shown
    assert '"tags": ["io"]' in shown


def test_the_form_takes_all_choices() -> None:
    pipeline = make_pipeline()
    typed = {
        "p:api_url": "http://127.0.0.1:1/x",
        "p:options.top": "10",
        "p:options.kind": "0",
        "p:options.ratio": "0.5",
        "p:options.title": "Report",
        "runner": "sequential",
        "from_inputs": ["raw_data"],
        "to_outputs": ["zip_file"],
        "only_missing_outputs": "on",
        "load_versions": "raw_data: 2026-01-01T00.00.00.000Z",
    }
    logged_in("operator").post(reverse("pipeline_run", args=[pipeline.pk]), typed)
    assert Run.objects.get().selection == {
        "from_inputs": ["raw_data"],
        "to_outputs": ["zip_file"],
        "only_missing_outputs": True,
        "load_versions": {"raw_data": "2026-01-01T00.00.00.000Z"},
    }


def test_environments_are_offered_and_a_wrong_one_is_named() -> None:
    project = make_project()
    Snapshot.objects.create(
        project=project, revision="r", content=content(environments=["base", "local", "prod"]), taken_at=AT
    )
    pipeline = make_pipeline("report", project)
    assert "?env=prod" in page("pipeline_run", pipeline.pk)
    assert "The project has no Kedro environment “prd”. Did you mean prod?" in page(
        "pipeline_run", pipeline.pk, env="prd"
    )


def test_an_empty_pipeline_is_not_a_wrong_choice_on_its_form() -> None:
    project = make_project()
    empty = {"name": "empty", "nodes": [], "inputs": [], "outputs": [], "parameters": []}
    Snapshot.objects.create(project=project, revision="r", content=content(pipelines=[empty]), taken_at=AT)
    pipeline = make_pipeline("empty", project)
    assert "This pipeline contains no nodes." in page("pipeline_run", pipeline.pk)
    answer = logged_in("operator").post(reverse("pipeline_run", args=[pipeline.pk]), {"runner": "sequential"})
    assert "contains no nodes. Please ensure" in answer.content.decode()


def test_a_rules_page_says_what_it_chooses() -> None:
    pipeline = make_pipeline()
    rule = Rule.objects.create(
        name="again", target=pipeline, selection={"tags": ["io", "slow"]}, created_at=AT, edited_at=AT
    )
    assert "io, slow" in page("rule", rule.pk)
    assert '{"tags": ["io", "slow"]}' in page("rule_edit", rule.pk, role="admin")
