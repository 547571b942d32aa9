"""The pages of rules: the map, one rule, its form with the proof, its firings, and what a run and a pipeline show."""

from __future__ import annotations

from typing import Any

import pytest
from celery import current_app
from django.test import Client
from django.urls import reverse

from jobs.models import Firing, Rule, Run
from jobs.states import Cause, Occasion, Status, Wants
from tests.jobs.chains import ROWS, end, ended, followers, make_rule, pipelines
from tests.views.rule_fields import fields
from tests.views.scenes import HTMX, logged_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)


def text(client: Client, path: str, **more: Any) -> str:
    answer = client.get(path, **more)
    assert answer.status_code == 200, path
    return answer.content.decode()


def test_the_map_shows_every_rule_between_its_pipelines() -> None:
    a, b, c, d = pipelines()
    make_rule([a], b, name="First <b>")
    make_rule([b, c], d, name="Join", wants=Wants.ALL)
    page = text(logged_in("viewer"), reverse("rules"))
    assert page.count('class="kc-line"') == 5
    assert "First &lt;b&gt;" in page and "<b>" not in page
    assert "When all of b and c succeed, of one chain, start d." in page
    assert "New rule" not in page


def test_without_rules_it_says_what_they_are() -> None:
    assert "Write the first rule" in text(logged_in("admin"), reverse("rules"))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "When a succeeds"),
        ({"outcome": Occasion.PRODUCED}, "When a produces something"),
        ({"outcome": Occasion.FINISHED, "sources": "abc"}, "When any of a, b and c ends"),
        (
            {"wants": Wants.ALL, "sources": "ab", "correlate": "tick"},
            "When all of a and b succeed, started by one tick",
        ),
        ({"node": "fetch", "is_side_job": True, "outcome": Occasion.FAILED}, "When the node fetch of a fails"),
    ],
)
def test_a_rule_is_a_sentence(facts: dict[str, Any], words: str) -> None:
    rows = {row.name: row for row in pipelines()}
    sources = [rows[name] for name in facts.pop("sources", "a")]
    rule = make_rule(sources, rows["d"], **facts)
    assert words in " ".join(text(logged_in("viewer"), rule.get_absolute_url()).split())


def test_its_page_shows_the_last_firings_and_who_is_waited_for() -> None:
    a, b, c, d = pipelines()
    rule = make_rule([a], b, condition="results.zip_file.rows > `50`")
    join = make_rule([b, c], d, wants=Wants.ALL)
    run = ended(a, results=ROWS)
    page = text(logged_in("viewer"), rule.get_absolute_url())
    assert f"#{run.pk}" in page and "condition was false" in page
    ended(b)
    assert "misses" in text(logged_in("viewer"), join.get_absolute_url())


def test_a_test_with_a_past_run_starts_nothing() -> None:
    a, b, *_ = pipelines()
    run = ended(a, results=ROWS)
    rule = make_rule([a], b, mapping={"options.top": "least(results.zip_file.rows, `30`)"})
    address = reverse("rule_try", args=[rule.pk])
    operator = logged_in("operator")
    page = text(operator, f"{address}?run={run.pk}", **HTMX)
    assert "It would start." in page and "options.top" in page and ">30<" in page
    assert followers(b) == []
    assert "There is no run #99999." in text(operator, f"{address}?run=99999")
    assert "Write the number of a run." in text(operator, f"{address}?run=")
    assert logged_in("analyst").get(f"{address}?run={run.pk}").status_code == 403


def test_an_admin_writes_a_rule() -> None:
    a, b, *_ = pipelines()
    admin = logged_in("admin")
    assert 'name="condition"' in text(admin, f"{reverse('rule_new')}?source={a.pk}")
    asked = fields([a], b, mapping="options.top = `5`\n\ndry = `true`")
    answer = admin.post(reverse("rule_new"), asked)
    rule = Rule.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, rule.get_absolute_url())
    assert (rule.mapping, list(rule.sources.all())) == ({"options.top": "`5`", "dry": "`true`"}, [a])
    assert rule.edited_by and rule.edited_by.username == "admin"
    admin.post(reverse("rule_edit", args=[rule.pk]), fields([a], b, condition="run.number > `0`"))
    rule.refresh_from_db()
    assert (rule.condition, rule.mapping) == ("run.number > `0`", {})


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"condition": "results..rows"}, "Character 9: “.” does not belong there."),
        ({"mapping": "dry"}, "Line 1: write parameter = expression."),
        ({"mapping": "dry = `1`\ndry = `2`"}, "Line 2: dry is computed twice."),
        ({"mapping": "drry = `true`"}, "drry: The project has no parameter of this name."),
        ({"sources": []}, "This field is required."),
    ],
)
def test_what_cannot_be_saved_keeps_what_was_typed(facts: dict[str, Any], sentence: str) -> None:
    a, b, *_ = pipelines()
    answer = logged_in("admin").post(reverse("rule_new"), fields([a], b, name="Typed name") | facts)
    page = answer.content.decode()
    assert (answer.status_code, Rule.objects.count()) == (422, 0)
    assert sentence in page and "Nothing was saved" in page and "Typed name" in page


def test_the_proof_tells_while_one_types() -> None:
    a, b, *_ = pipelines()
    admin, address = logged_in("admin"), reverse("rule_new_proof")
    assert "nothing to try it with" in admin.post(address, fields([a], b)).content.decode()
    run = ended(a, results=ROWS)
    asked = fields([a], b, condition="results.zip_file.rows > `30`")
    assert "It would start." in admin.post(address, asked).content.decode()
    small = ended(a, results={"zip_file": {"rows": 1}})
    assert "The condition is false." in admin.post(address, asked).content.decode()
    assert "It would start." in admin.post(address, asked | {"with_run": f"#{run.pk}"}).content.decode()
    assert "There is no run #999." in admin.post(address, asked | {"with_run": "999"}).content.decode()
    assert "compare it" in admin.post(address, asked | {"condition": "run.number"}).content.decode()
    assert (Rule.objects.count(), small.followers.count()) == (0, 0)


def test_turning_it_off_and_on_and_deleting_it() -> None:
    a, b, *_ = pipelines()
    rule = make_rule([a], b)
    admin = logged_in("admin")
    for name, is_enabled in (("rule_disable", False), ("rule_enable", True)):
        admin.post(reverse(name, args=[rule.pk]))
        assert Rule.objects.get().is_enabled is is_enabled
    assert admin.get(reverse("rule_delete", args=[rule.pk])).status_code == 405
    admin.post(reverse("rule_delete", args=[rule.pk]))
    assert not Rule.objects.exists()


@pytest.mark.parametrize("role", ["viewer", "analyst", "operator"])
def test_only_admins_change_rules(role: str) -> None:
    a, b, *_ = pipelines()
    rule = make_rule([a], b)
    client = logged_in(role)
    for name in ("rule_edit", "rule_disable", "rule_enable", "rule_delete", "rule_proof"):
        assert client.post(reverse(name, args=[rule.pk]), {}).status_code == 403, name
    for name in ("rule_new", "rule_new_proof"):
        assert client.post(reverse(name), {}).status_code == 403, name
    assert Rule.objects.get().is_enabled


@pytest.mark.parametrize("name", ["rules", "rule_new", "firings"])
def test_strangers_are_sent_to_the_login(name: str) -> None:
    assert Client().get(reverse(name)).status_code == 302


def test_firings_are_narrowed_and_paged_by_key(monkeypatch: pytest.MonkeyPatch) -> None:
    from console.views import firings

    monkeypatch.setattr(firings, "SCREEN", 2)
    a, b, c, _ = pipelines()
    rule = make_rule([a], b, name="one")
    make_rule([a], c, name="other", condition="`false`")
    runs = [ended(a) for _ in range(3)]
    viewer, address = logged_in("viewer"), reverse("firings")

    def shown(query: str) -> list[Firing]:
        return list(viewer.get(f"{address}{query}").context["firings"])

    assert [firing.rule_name for firing in shown(f"?run={runs[0].pk}")] == ["other", "one"]
    assert {firing.decision for firing in shown("?decision=unmet")} == {"unmet"}
    first = viewer.get(f"{address}?rule={rule.pk}")
    assert len(first.context["firings"]) == 2
    rest = viewer.get(f"{address}?rule={rule.pk}&before={first.context['older']}")
    assert (len(rest.context["firings"]), rest.context["older"]) == (1, None)
    assert len(shown("?rule=x&decision=nonsense&before=-1")) == 2


def test_a_run_says_what_follows_and_what_began_it() -> None:
    a, b, c, d = pipelines()
    rule = make_rule([a], b, name="Go on")
    make_rule([a], c, name="Aside", is_side_job=True)
    make_rule([a, d], b, name="Both", wants=Wants.ALL)
    main = ended(a)
    end(followers(c)[0], Status.FAILED, error="no")
    page = " ".join(text(logged_in("viewer"), main.get_absolute_url()).split())
    for words in ("What follows", "Go on", "Aside", "side job", "until its other sources have ended, too"):
        assert words in page, words
    follower = Run.objects.get(pipeline=b, cause=Cause.RULE)
    page = " ".join(text(logged_in("viewer"), follower.get_absolute_url()).split())
    assert f'href="{rule.get_absolute_url()}">Go on</a> after <a class="kc-link" href="/runs/{main.pk}/">' in page
    assert f'side job of <a class="kc-link" href="/runs/{main.pk}/"' in " ".join(
        text(logged_in("viewer"), followers(c)[0].get_absolute_url()).split()
    )


def test_a_pipeline_shows_its_rules_in_and_out() -> None:
    a, b, c, _ = pipelines()
    make_rule([a], b, name="In")
    make_rule([b], c, name="Out")
    page = " ".join(text(logged_in("viewer"), reverse("pipeline", args=[b.pk])).split())
    assert "started by a" in page and "starts c" in page


def test_many_rules_cost_the_map_no_more_questions(django_assert_max_num_queries: Any) -> None:
    a, b, *_ = pipelines()
    for number in range(20):
        make_rule([a], b, name=f"rule {number}")
    ended(a)
    viewer = logged_in("viewer")
    with django_assert_max_num_queries(12):
        viewer.get(reverse("rules"))
    with django_assert_max_num_queries(25):
        viewer.get(reverse("run", args=[Run.objects.order_by("pk")[0].pk]))
