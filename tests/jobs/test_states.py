"""The tables of states say what may follow what; every row obeys them."""

import itertools

import pytest

from jobs.errors import IllegalMove
from jobs.models import Run, Transition
from jobs.states import FINAL, LIVE, NEXT, Status, sources
from tests.factories import AT, make_run

pytestmark = pytest.mark.django_db


def put(run: Run, status: Status) -> Run:
    """Force a row into a status, past every guard, to try what may follow."""
    Run.objects.filter(pk=run.pk).update(status=status, finished_at=AT if status in FINAL else None)
    run.refresh_from_db()
    return run


def test_every_status_is_either_live_or_final() -> None:
    assert set(Status) == LIVE | FINAL
    assert not LIVE & FINAL


def test_there_is_no_way_out_of_an_end() -> None:
    assert all(not NEXT[status] for status in FINAL)


def test_queued_never_becomes_succeeded_or_failed_without_running() -> None:
    assert sources(Status.SUCCEEDED) == sources(Status.FAILED) == {Status.RUNNING}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(Status, Status)))
def test_a_run_moves_exactly_where_the_table_says(before: Status, after: Status) -> None:
    run = put(make_run(), before)
    if after in NEXT[before]:
        run._move(after, at=AT, by="test")
        run.refresh_from_db()
        assert run.status == after
        assert Transition.objects.filter(run=run, from_status=before, to_status=after).count() == 1
    else:
        with pytest.raises(IllegalMove, match=f"A {before} run cannot become {after}"):
            run._move(after, at=AT, by="test")
        run.refresh_from_db()
        assert run.status == before
        assert not Transition.objects.filter(run=run, to_status=after, from_status=before).exists()


@pytest.mark.parametrize("before", Status)
def test_asking_to_stop_is_refused_only_after_the_end(before: Status) -> None:
    run = put(make_run(), before)
    if before in FINAL:
        with pytest.raises(IllegalMove):
            run.ask_to_stop(at=AT, by="olga")
    else:
        run.ask_to_stop(at=AT, by="olga")
        run.ask_to_stop(at=AT, by="petra")
        assert run.cancel_requested_by == "olga"
