from __future__ import annotations

import math
import re
import uuid
from datetime import date, datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from jobs.models import Pipeline, Project, Run, Snapshot
from jobs.states import Cause, Runner
from kedro_console.wire import Other, packed
from tests.factories import AT, content, make_pipeline, make_project, make_run
from tests.views.browsers import Form
from tests.views.scenes import a_worker, ended, logged_in

pytestmark = pytest.mark.django_db

USUAL = {
    "p:api_url": "http://127.0.0.1:1/x",
    "p:options.top": "10",
    "p:options.kind": "0",
    "p:options.ratio": "0.5",
    "p:options.title": "Report",
    "runner": "sequential",
}


@pytest.fixture
def pipeline() -> Pipeline:
    return make_pipeline()


def post(pipeline: Pipeline, role: str = "operator", page: str = "pipeline_run", **changes: Any) -> Any:
    typed = {name.replace("__", "."): value for name, value in changes.items()}
    data = {**USUAL, **{name if name in PLAIN else f"p:{name}": value for name, value in typed.items()}}
    return logged_in(role).post(reverse(page, args=[pipeline.pk]), data)


PLAIN = {"key", "runner", "everything", "from_nodes", "to_nodes", "tags", "nodes"}


def get(pipeline: Pipeline, role: str = "operator", **query: Any) -> str:
    return logged_in(role).get(reverse("pipeline_run", args=[pipeline.pk]), query).content.decode()


def test_only_those_who_may_start_see_the_form_and_start(pipeline: Pipeline) -> None:
    for page in ("pipeline_run", "pipeline_run_preview"):
        address = reverse(page, args=[pipeline.pk])
        assert Client().post(address, USUAL)["Location"].startswith("/login/")
        for role in ("viewer", "analyst"):
            assert logged_in(role).post(address, USUAL).status_code == 403
    assert logged_in("analyst").get(reverse("pipeline_run", args=[pipeline.pk])).status_code == 403
    assert Run.objects.count() == 0


def test_the_untouched_form_starts_the_pipeline_with_no_parameters(pipeline: Pipeline) -> None:
    response = post(pipeline)
    run = Run.objects.get()
    assert response["Location"] == reverse("run", args=[run.pk])
    assert (run.parameters, run.nodes, run.runner, run.cause) == ({}, [], Runner.SEQUENTIAL, Cause.MANUAL)
    assert run.requested_by_name == "operator"


def test_only_what_was_changed_is_given_to_the_run(pipeline: Pipeline) -> None:
    post(pipeline, options__top="12", options__kind="1", runner="threads")
    run = Run.objects.get()
    assert run.parameters == {"options": {"top": 12, "kind": "line"}}
    assert run.runner == Runner.THREADS


def test_an_error_lands_on_its_field_and_nothing_starts(pipeline: Pipeline) -> None:
    response = post(pipeline, options__top="31", options__title="kept")
    page = response.content.decode()
    assert response.status_code == 200
    assert Run.objects.count() == 0
    field = page[page.index('data-field="options.top"') :]
    field = field[: field.index("data-field", 10)]
    assert "31 is greater than the maximum of 30." in field
    assert 'aria-invalid="true"' in field
    assert 'value="31"' in field and 'value="kept"' in page
    assert "Nothing was started: 1 value needs another look." in page


def test_the_form_sent_twice_starts_one_run(pipeline: Pipeline) -> None:
    key = uuid.uuid4()
    first, second = post(pipeline, key=key), post(pipeline, key=key)
    assert Run.objects.count() == 1
    assert first["Location"] == second["Location"]


def test_a_form_that_was_changed_after_going_back_starts_another_run(pipeline: Pipeline) -> None:
    key = uuid.uuid4()
    post(pipeline, key=key)
    post(pipeline, key=key, options__top="12")
    assert Run.objects.count() == 2


def test_the_key_of_one_person_does_not_reach_the_run_of_another(pipeline: Pipeline) -> None:
    key = uuid.uuid4()
    post(pipeline, key=key)
    post(pipeline, "admin", key=key)
    assert Run.objects.count() == 2


def test_two_pages_have_two_keys(pipeline: Pipeline) -> None:
    keys = {re.findall(r'name="key" value="([^"]+)"', get(pipeline))[0] for _ in range(2)}
    assert len(keys) == 2


def test_chosen_nodes_alone_are_run(pipeline: Pipeline) -> None:
    post(pipeline, from_nodes="process")
    assert Run.objects.get().nodes == ["process", "write"]


def test_a_choice_that_leaves_no_node_is_refused(pipeline: Pipeline) -> None:
    response = post(pipeline, from_nodes="write", to_nodes="fetch")
    assert response.status_code == 200
    assert "No node matches this choice" in response.content.decode()


@pytest.mark.parametrize(
    "changes", [{"runner": "rocket"}, {"from_nodes": "nobody"}, {"tags": "nothing"}, {"key": "not-a-uuid"}]
)
def test_what_the_form_never_offered_is_refused(pipeline: Pipeline, changes: dict[str, str]) -> None:
    assert post(pipeline, **changes).status_code == 200
    assert Run.objects.count() == 0


def test_the_form_can_start_from_the_values_of_an_earlier_run(pipeline: Pipeline) -> None:
    run = make_run(pipeline, parameters={"options": {"top": 7}}, runner="threads")
    page = get(pipeline, **{"from": run.pk})
    assert re.search(r'name="p:options.top" value="7"', page)
    assert '<option value="threads" selected>' in page


@pytest.mark.parametrize("number", ["999", "x", "-1", "9" * 40])
def test_a_run_that_is_not_there_gives_the_usual_values_and_says_so(pipeline: Pipeline, number: str) -> None:
    page = get(pipeline, **{"from": number})
    assert "This pipeline has no run #" in page
    assert re.search(r'name="p:options.top" value="10"', page)


def test_a_run_of_another_pipeline_is_not_taken(pipeline: Pipeline) -> None:
    other = make_run(make_pipeline("__default__", pipeline.project))
    assert "This pipeline has no run #" in get(pipeline, **{"from": other.pk})


def test_what_i_used_last_is_offered_first(pipeline: Pipeline) -> None:
    post(pipeline, options__top="12")
    mine = Run.objects.get()
    make_run(pipeline, parameters={"options.top": 13})
    page = get(pipeline)
    assert "Last used by me" in page
    assert page.index(f"?from={mine.pk}") < page.index(f"?from={mine.pk + 1}")
    assert "options.top=12" in page


def test_the_box_tells_how_many_nodes_and_how_long(pipeline: Pipeline) -> None:
    ended(seconds=190)
    assert re.search(r"3 nodes</span>, usually takes 3m 10s", get(pipeline))


def test_the_preview_follows_the_form_and_starts_nothing(pipeline: Pipeline) -> None:
    page = unescape(
        post(pipeline, page="pipeline_run_preview", options__top="12", from_nodes="process").content.decode()
    )
    assert "2 nodes</span> of 3" in page
    assert "--param options.top=12 --from-nodes process" in page
    assert '"parameters": {"options": {"top": 12}}' in page and '"from_nodes": ["process"]' in page
    assert Run.objects.count() == 0


def test_the_preview_names_what_is_not_right_yet(pipeline: Pipeline) -> None:
    page = post(pipeline, page="pipeline_run_preview", options__top="99").content.decode()
    assert "Not right yet: options.top" in page


def test_copies_are_safe_to_paste_into_a_shell(pipeline: Pipeline) -> None:
    evil = "$(rm -rf ~)'; `id`"
    page = unescape(post(pipeline, page="pipeline_run_preview", options__title=evil).content.decode())
    assert """'options.title=$(rm -rf ~)'"'"'; `id`'""" in page
    assert """"$(rm -rf ~)'"'"'; `id`\"""" in page


@pytest.mark.parametrize(("typed", "written"), [("yes", '"yes"'), ("12", '"12"'), ("plain text", "plain text")])
def test_a_text_that_yaml_would_misread_is_quoted_in_the_command(pipeline: Pipeline, typed: str, written: str) -> None:
    page = unescape(post(pipeline, page="pipeline_run_preview", options__title=typed).content.decode())
    assert f"'options.title={written}'" in page


def test_a_project_that_changed_meanwhile_refuses_on_the_form(pipeline: Pipeline) -> None:
    Snapshot.objects.create(project=pipeline.project, revision="r2", taken_at=AT, content=content(pipelines=[]))
    assert "no longer has a pipeline of this name" in get(pipeline)
    assert "cannot be run" in post(pipeline).content.decode()
    assert post(pipeline, page="pipeline_run_preview").status_code == 409


def test_a_project_that_was_never_read_says_what_reads_it() -> None:
    row = Pipeline.objects.create(project=make_project("new"), name="report")
    assert "python manage.py project check new" in get(row)


def test_the_box_tells_the_steps_and_workers_of_a_distributed_run(pipeline: Pipeline) -> None:
    a_worker(name="w1@test", queues=["default"])
    a_worker(name="w2@test", queues=["other"])
    shown = post(pipeline, page="pipeline_run_preview", runner="distributed", nodes=["fetch", "write"])
    assert "2 steps on 1 worker" in shown.content.decode()
    assert 'id="plan"' not in post(pipeline, page="pipeline_run_preview").content.decode()


def test_the_box_says_why_there_are_fewer_steps(pipeline: Pipeline) -> None:
    Pipeline.objects.update(unshareable=["raw_data", "processed_data"], grouping="tag", runner="distributed")
    Snapshot.objects.create(
        project=pipeline.project, revision="r2", taken_at=AT,
        content=content(datasets=[], pipelines=[{**content()["pipelines"][0], "nodes": [
            {**row, "tags": [f"step-{row['name']}"]} for row in content()["pipelines"][0]["nodes"]
        ]}]),
    )  # fmt: skip
    page = unescape(get(pipeline))
    assert "1 step on 0 workers" in page
    assert "fetch and process share a step: fetch returns raw_data as a value that cannot be handed" in page
    run = post(pipeline, runner="distributed")
    assert "1 step instead of 3." in logged_in("viewer").get(run["Location"]).content.decode()


def test_a_pipeline_that_re_runs_only_what_changed_says_what_that_is(pipeline: Pipeline) -> None:
    Pipeline.objects.update(reuses_content=True)
    page = unescape(get(pipeline))
    assert "Run everything, also what did not change" in page
    assert "Re-run" in page and "The project's folder cannot be seen from here" in page
    whole = unescape(post(pipeline, page="pipeline_run_preview", everything="on").content.decode())
    assert "cannot be seen from here" not in whole
    assert "--everything" in whole and '"everything": true' in whole


def test_each_set_of_values_is_offered_once(pipeline: Pipeline) -> None:
    for top in (11, 12, 11, 12, 13):
        make_run(pipeline, parameters={"options.top": top})
    for _ in range(3):
        make_run(pipeline)
    page = get(pipeline)
    assert re.findall(r"options\.top=(\d+)", page.partition("Start from")[2]) == ["13", "12", "11"]
    assert "nothing changed" not in page


ODD: dict[Any, Any] = {
    "limit": math.inf, "floor": math.nan, "day": date(2026, 1, 2), "at": datetime(2026, 1, 2, 3), "gap": timedelta(-2),
    "price": Decimal("1.10"), "raw": b"\x00", "pair": (1, 2), "names": {"a"}, "no": None, "empty": {}, "none": [],
    "big": 10**40, "nul": "a\x00b", "half": "\ud800", "lines": "\r\n one\r two\n", "spaces": "  ", "json": "[1",
    "quoted": '"x"', "long": "x" * 60_000, "tiny": 1e-300, "whole": 5.0, "yes": True, 1: "one", "a.b": 5, "": "x",
    "password": "hunter2", "deep": {str(level): {"x": level} for level in range(50)}, "control": "\x1b[1m",
    "foreign": Other("Tensor", "tensor(5)"), "typed": "yes", "choice": "violet", "small": 5, "month": "2026-02-30",
    "count": "3", "rows": {"a": 1}, "sure": "perhaps", "new\nline": "x", "equals=": "x", 'quo"te': 1,
}  # fmt: skip
SCHEMAS = {
    "typed": {"type": "boolean"}, "choice": {"enum": ["red", "blue"]}, "small": {"type": "integer", "minimum": 10},
    "month": {"type": "string", "format": "date"}, "count": {"type": "integer"}, "rows": {"type": "array"},
    "sure": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
}  # fmt: skip


def odd_pipeline(pipeline: Pipeline) -> None:
    raw = content(parameters=packed(ODD), schemas=SCHEMAS)
    raw["pipelines"][0]["parameters"] = ["*"]
    Snapshot.objects.create(project=pipeline.project, revision="odd", content=raw, taken_at=AT)


def send(pipeline: Pipeline, *, start_from: int = 0, **changes: str | None) -> None:
    """Open the form in a browser, type these texts, and start."""
    address = reverse("pipeline_run", args=[pipeline.pk])
    client = logged_in("operator")
    page = client.get(address, {"from": start_from} if start_from else {}).content.decode()
    sent = {name: text for name, text in {**Form(page, "run-form").sent, **changes}.items() if text is not None}
    response = client.post(address, sent)
    assert response.status_code == 302, response.context["form"].errors


def test_odd_defaults_that_nobody_touched_start_a_run_and_change_nothing(pipeline: Pipeline) -> None:
    odd_pipeline(pipeline)
    send(pipeline)
    assert Run.objects.get().parameters == {}


def test_what_is_changed_beside_odd_defaults_is_all_that_is_given(pipeline: Pipeline) -> None:
    odd_pipeline(pipeline)
    texts = {"limit": "5", "day": "2026-03-01", "pair": "[3, 4]", "1": "two", "a.b": "7", "password": "other"}
    send(pipeline, **{f"p:{name}": text for name, text in {**texts, "yes": None}.items()})
    changed = {"limit": 5.0, "day": date(2026, 3, 1), "pair": (3, 4), "a.b": 7, "password": "other", "yes": False}
    assert Run.objects.get().parameters == {**changed, 1: "two"}


def test_the_secret_of_an_earlier_run_is_used_and_not_shown(pipeline: Pipeline) -> None:
    odd_pipeline(pipeline)
    make_run(pipeline, parameters={"password": "s3cret-of-mine", "limit": 3})
    earlier = Run.objects.get()
    page = get(pipeline, **{"from": earlier.pk})
    assert "s3cret-of-mine" not in page and "hunter2" not in page and 'type="password"' in page
    send(pipeline, start_from=earlier.pk, **{"p:limit": "4"})
    assert Run.objects.latest("id").parameters == {"password": "s3cret-of-mine", "limit": 4.0}


def test_a_thousand_parameters_are_fields_and_the_rest_is_json(pipeline: Pipeline) -> None:
    values = {f"g{group}": {f"n{number}": number for number in range(300)} for group in range(5)}
    raw = content(parameters=values, schemas={})
    raw["pipelines"][0]["parameters"] = ["*"]
    Snapshot.objects.create(project=pipeline.project, revision="many", content=raw, taken_at=AT)
    send(pipeline, **{"p:g0.n299": "7"})
    assert Run.objects.get().parameters == {"g0": {"n299": 7}}


def test_a_project_that_cannot_be_read_does_not_offer_a_start_as_if_all_was_well(pipeline: Pipeline) -> None:
    assert "Read it again and start" not in get(pipeline)
    problem = {"severity": "error", "subject": "import", "sentence": "No module named not_there_yet."}
    Project.objects.update(trouble=[problem], unread=["*"])
    page = get(pipeline)
    assert "No module named not_there_yet." in page
    assert "Read it again and start" in page
    answer = post(pipeline)
    assert (answer.status_code, Run.objects.count()) == (200, 0)
    assert "No module named not_there_yet." in answer.content.decode()
