"""Of each file that a pipeline makes again and again one knows the newest good one, and the one before."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from random import Random
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import Max

from jobs.library.shelve import shelve, shelve_missed
from jobs.models import Artifact, Run, Shelf
from jobs.models.shelf import series_of
from jobs.states import Status
from jobs.steps.advance import Outcome, finish
from jobs.upkeep.prune import prune
from tests.factories import AT, make_pipeline, make_run
from tests.views.artifacts import an_artifact
from tests.views.scenes import ended

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("deck.pptx", "deck.pptx"),
        ("sales 2026-11-28.xlsx", "sales *.xlsx"),
        ("sales_20261128.csv", "sales_*.csv"),
        ("2026-11-28T06.00.00.000Z.zip", "*.zip"),
        ("report-2026_11.pdf", "report-*.pdf"),
        ("a-2026-11-28_0600.csv", "a-*.csv"),
        ("part-12345678.csv", "part-12345678.csv"),
        ("iso-20221332.txt", "iso-20221332.txt"),
        ("v2026.txt", "v2026.txt"),
    ],
)
def test_a_date_in_a_name_makes_no_other_file_of_it(name: str, series: str) -> None:
    assert series_of(name) == series


def test_the_newest_good_one_and_the_one_before_are_known() -> None:
    first, second = an_artifact(ended(), "s 2026-11-27.csv", b"1"), an_artifact(ended(), "s 2026-11-28.csv", b"2")
    an_artifact(ended(Status.FAILED), "s 2026-11-29.csv", b"3")
    shelf = Shelf.objects.get()
    assert (shelf.newest, shelf.previous, shelf.series) == (second, first, "s *.csv")
    assert Shelf.objects.of(first) == Shelf.objects.of(second) == shelf


def test_a_run_that_ends_later_than_a_younger_one_does_not_take_its_place() -> None:
    older, younger = ended(), ended()
    old = Artifact.objects.create(run=older, name="a.csv", size_bytes=1, sha256="0" * 64, created_at=AT)
    new = an_artifact(younger, "a.csv")
    shelve(older)
    assert (Shelf.objects.get().newest, old.pk < new.pk) == (new, True)


def test_files_of_one_run_that_differ_by_a_date_are_files_of_their_own() -> None:
    run = ended()
    for month in ("2026-10", "2026-11"):
        row = Artifact(run=run, name=f"m {month}.csv", dataset=month, size_bytes=1, sha256="0" * 64, created_at=AT)
        row.save()
    shelve(run)
    assert sorted(Shelf.objects.values_list("series", flat=True)) == ["m 2026-10.csv", "m 2026-11.csv"]


def test_the_end_of_a_run_puts_its_files_on_their_shelves(django_capture_on_commit_callbacks: object) -> None:
    run = make_run(make_pipeline())
    step = run.steps.get()
    step.claim(at=AT, worker_name="w", lease=timedelta(minutes=1))
    run.start(at=AT, by="w")
    row = {"dataset": "out", "node": "n", "name": "deck.pptx", "media_type": "", "size_bytes": 1, "sha256": "0" * 64}
    step.refresh_from_db()
    finish(step, Outcome(Status.SUCCEEDED, artifacts=[row]), token=step.lease_token, at=AT, by="w")
    assert Run.objects.get().status == Status.SUCCEEDED
    assert Shelf.objects.get().newest == Artifact.objects.get()


def end(run: Run, status: Status = Status.SUCCEEDED, **left: Any) -> None:
    step = run.steps.get()
    token = step.claim(at=AT, worker_name="w1", lease=timedelta(minutes=1))
    run.start(at=AT, by="w1")
    finish(step, Outcome(status, **left), token=token, at=AT, by="w1")


def newest() -> dict[tuple[int, str], int]:
    """As looking at all files tells."""
    good = Artifact.objects.filter(run__status=Status.SUCCEEDED).order_by()
    return {row[:2]: row[2] for row in good.values_list("run__pipeline", "name").annotate(Max("pk"))}


def kept() -> dict[tuple[int, str], int]:
    return {row[:2]: row[2] for row in Shelf.objects.values_list("pipeline", "series", "newest")}


def test_a_storm_of_ends_in_any_order_leaves_what_looking_at_all_finds() -> None:
    random, pipelines = Random(7), [make_pipeline(), make_pipeline("__default__")]
    live: list[Run] = []
    for _ in range(100):
        run = make_run(random.choice(pipelines))
        for name in random.sample(["deck.pptx", "rows.csv", "all.zip"], random.randrange(4)):
            an_artifact(run, name)
        live.append(run)
        while live and random.random() < 0.6:
            run = live.pop(random.randrange(len(live)))
            status = random.choice([Status.SUCCEEDED, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED])
            end(run, status)
    assert kept() == newest() != {}
    assert shelve_missed() == 0


def test_of_a_run_with_very_many_files_the_first_are_shelved_and_the_others_are_not_looked_for_again(
    monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    monkeypatch.setattr("jobs.library.shelve.MOST_SHELVED", 30)
    run = make_run()
    facts: dict[str, Any] = {"node": "write", "media_type": "text/csv", "size_bytes": 1, "sha256": "0" * 64}
    names = [f"part-{number:03}.csv" for number in range(50)]
    with django_assert_max_num_queries(60):
        end(run, artifacts=[{**facts, "dataset": name, "name": name} for name in names])
    assert run.artifacts.count() == 50
    assert sorted(Shelf.objects.values_list("series", flat=True)) == [f"part-{number:03}.csv" for number in range(30)]
    assert shelve_missed() == 0
    Shelf.objects.filter(series__gte="part-020").delete()
    assert shelve_missed() == 10 and Shelf.objects.count() == 30


def test_what_is_missing_is_found_by_recount_and_by_the_next_prune() -> None:
    for name in ("a.csv", "a.csv", "b.csv"):
        run = make_run()
        an_artifact(run, name)
        end(run)
    before = list(Shelf.objects.order_by("series").values_list("series", "newest", "previous"))
    Shelf.objects.all().delete()
    said = StringIO()
    call_command("recount", stdout=said)
    assert "Shelves: 2 files were missing." in said.getvalue()
    assert list(Shelf.objects.order_by("series").values_list("series", "newest", "previous")) == before
    Shelf.objects.filter(series="b.csv").delete()
    prune(AT + timedelta(hours=1))
    assert kept() == newest()
