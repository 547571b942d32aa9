"""Rules over the API."""

from __future__ import annotations

import pytest
from celery import current_app

from jobs.models import Rule
from tests.api.conftest import get, post
from tests.jobs.chains import ROWS, ended, followers, make_rule, pipelines

pytestmark = pytest.mark.django_db
ASKED = {"name": "Next", "sources": ["shop/a"], "target": "b"}


@pytest.fixture(autouse=True)
def unsent(monkeypatch):
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


@pytest.fixture
def admin(caller):
    return caller("admin")


def patch(client, path, body):
    return client.patch(f"/api/v1{path}", body, content_type="application/json")


def test_a_rule_is_written_read_changed_and_deleted(admin) -> None:
    pipelines()
    made = post(admin, "/rules", ASKED | {"mapping": {"options.top": "`5`"}}).json()
    assert (made["sources"], made["target"], made["is_enabled"]) == (["shop/a"], "shop/b", True)
    assert made["url"].endswith(f"/rules/{made['id']}/")
    assert made["edited_by"].startswith("admin")
    address = f"/rules/{made['id']}"
    changed = patch(admin, address, {"sources": ["a", "c"], "is_enabled": False}).json()
    assert (changed["sources"], changed["is_enabled"], changed["mapping"]) == (
        ["shop/a", "shop/c"],
        False,
        {"options.top": "`5`"},
    )
    assert get(admin, address).json() == changed
    assert [rule["name"] for rule in get(admin, "/rules").json()] == ["Next"]
    assert admin.delete(f"/api/v1{address}").status_code == 204
    gone = get(admin, address)
    assert (gone.status_code, gone.json()["detail"]) == (
        404,
        f"There is no rule {made['id']}: `GET /api/v1/rules` lists them.",
    )


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"condition": "results..rows"}, "condition", "Character 9"),
        ({"mapping": {"drry": "`true`"}}, "mapping.drry", "no parameter of this name"),
        ({"mapping": {"dry": 5}}, "mapping.dry", "5: write text"),
        ({"sources": ["nothing"]}, "sources", "There is no pipeline “nothing”."),
        ({"target": "x/b"}, "target", "There is no project “x”"),
        ({"sources": []}, "sources", ""),
        ({"sources": ["b"]}, "condition", "forever"),
        ({"wants": "some"}, "wants", ""),
        ({"handler": "os.system"}, "handler", ""),
        ({"name": ""}, "name", ""),
        ({"is_side_job": False, "node": "fetch"}, "node", "Only a side job"),
    ],
)
def test_what_cannot_be_saved_is_told_for_each_field(admin, body, field, words) -> None:
    pipelines()
    answer = post(admin, "/rules", ASKED | body)
    assert (answer.status_code, Rule.objects.count()) == (422, 0), answer.content
    if "5: write" not in words:
        assert words in answer.json()["errors"][field]


def test_a_name_is_given_once(admin) -> None:
    pipelines()
    post(admin, "/rules", ASKED)
    assert post(admin, "/rules", ASKED).json()["errors"] == {"name": "Another rule has this name."}


def test_a_test_with_a_job_starts_nothing(operator) -> None:
    a, b, *_ = pipelines()
    rule = make_rule([a], b, mapping={"options.top": "least(results.zip_file.rows, `30`)", "dry": "results.no"})
    Rule.objects.update(is_enabled=False)
    run = ended(a, results=ROWS)
    trial = post(operator, f"/rules/{rule.pk}/test", {"job": str(run.uuid)}).json()
    assert trial == {
        "would_start": True,
        "reason": "It would start.",
        "condition": None,
        "parameters": {"options.top": 30},
        "missing": ["dry"],
        "problems": {},
    }
    assert followers(b) == []
    assert post(operator, f"/rules/{rule.pk}/test", {"job": "999"}).status_code == 404


def test_firings_are_listed_by_key(viewer) -> None:
    a, b, *_ = pipelines()
    rule = make_rule([a], b, condition="results.zip_file.rows > `1`")
    runs = [ended(a, results=results) for results in ({}, ROWS, ROWS)]
    found = get(viewer, f"/rules/{rule.pk}/firings?limit=2").json()
    assert [firing["job"] for firing in found] == [str(run.uuid) for run in reversed(runs[1:])]
    assert found[0]["started_job"] == str(followers(b)[-1].uuid)
    older = get(viewer, f"/rules/{rule.pk}/firings?before={found[-1]['id']}").json()
    assert [(firing["decision"], firing["started_job"]) for firing in older] == [("unmet", None)]
    assert get(viewer, f"/rules/{rule.pk}/firings?decision=started&limit=5").json() == found


def test_those_who_may_not_change_nothing(operator) -> None:
    a, b, *_ = pipelines()
    rule = make_rule([a], b)
    assert post(operator, "/rules", ASKED).status_code == 403
    assert patch(operator, f"/rules/{rule.pk}", {"is_enabled": False}).status_code == 403
    assert operator.delete(f"/api/v1/rules/{rule.pk}").status_code == 403
    assert Rule.objects.get().is_enabled
