"""Two runs side by side, and what a failure's card says of the last success."""

from __future__ import annotations

import pytest

from jobs.models import Run
from jobs.states import Status
from tests.factories import make_pipeline, make_run
from tests.views.scenes import ended, failed_in_a_node, logged_in, page_of, running

pytestmark = pytest.mark.django_db


def compared(run: Run, other: object = "", role: str = "viewer") -> str:
    answer = logged_in(role).get(f"/runs/{run.pk}/compare/", {"with": str(other)} if other else {})
    assert answer.status_code == 200
    return answer.content.decode()


def failed_after_a_success() -> tuple[Run, Run]:
    good, bad = ended(), failed_in_a_node()
    Run.objects.filter(pk=good.pk).update(resolved_parameters={"top": 10})
    Run.objects.filter(pk=bad.pk).update(resolved_parameters={"top": "<b>5</b>"})
    return good, bad


def test_without_a_choice_it_is_compared_with_the_last_success() -> None:
    good, bad = failed_after_a_success()
    page = compared(bad)
    assert f'<option value="{good.pk}" selected>' in page
    for words in ("1 difference", "&lt;b&gt;5&lt;/b&gt;", "parameter", "fetch", "process", "write"):
        assert words in page
    assert "<b>5</b>" not in page


def test_the_older_run_is_on_the_left_whichever_page_it_was_asked_from() -> None:
    good, bad = failed_after_a_success()
    for page in (compared(bad, good.pk), compared(good, bad.pk)):
        table = page[page.index("The two runs") :]
        assert table.index(f"#{good.pk}</a>") < table.index(f"#{bad.pk}</a>")


@pytest.mark.parametrize("asked", ["nonsense", "99999999", "9" * 40, "own", "-1"])
def test_a_run_that_is_not_there_or_of_another_pipeline_is_told(asked: str) -> None:
    run = ended()
    stranger = make_run(make_pipeline("__default__"))
    page = compared(run, stranger.pk if asked == "own" else asked)
    assert "There is no other run #" in page and "choose one of its runs" in page


def test_an_only_run_has_nothing_to_be_compared_with() -> None:
    assert "There is no run of report to compare it with yet." in compared(ended())


def test_a_run_under_way_is_compared_when_somebody_asks_for_it() -> None:
    good, live = ended(), running()
    assert "The two runs" in compared(live, good.pk)
    assert "/compare/" not in logged_in("viewer").get(page_of(live)).content.decode()


def test_the_card_of_a_failure_says_what_changed_since_the_last_success() -> None:
    good, bad = failed_after_a_success()
    page = logged_in("viewer").get(page_of(bad)).content.decode()
    card = page[page.index("kc-failure") :]
    for words in ("This error for the first time", f"#{good.pk}</a>", "since the last success: 1 difference", "top"):
        assert words in card


def test_a_failure_without_a_success_before_it_says_so() -> None:
    failed_in_a_node()
    page = logged_in("viewer").get(page_of(failed_in_a_node())).content.decode()
    assert "The same error 2 times" in page and "2 failures in a row" in page and "no success before it" in page


def test_who_may_not_see_runs_may_not_compare_them(client) -> None:  # type: ignore[no-untyped-def]
    run = ended(Status.FAILED)
    assert client.get(f"/runs/{run.pk}/compare/").status_code in (302, 403)


def test_what_somebody_cancelled_is_no_failure_that_was_seen_before() -> None:
    run = ended(Status.CANCELLED)
    Run.objects.filter(pk=run.pk).update(error="Cancelled by olga.")
    page = logged_in("viewer").get(page_of(run)).content.decode()
    assert "Cancelled by olga." in page and "This error for the first time" not in page
