"""A run's store at an address that only the project opens: steps meet there, and a resumed run reads what is there."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from jobs import clock
from jobs.models import Loan, Project
from jobs.runs.cancel import cancel
from jobs.states import Status
from tests import live
from tests.e2e.running import ended, executed, resumed, start

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]
DISTRIBUTED = {"runner": "distributed"}


@pytest.fixture(params=["file://", ""], ids=["address", "folder"])
def away(toy: Project, tmp_path: Path, request: pytest.FixtureRequest) -> Project:
    Project.objects.filter(pk=toy.pk).update(store_url=f"{request.param}{tmp_path}/shared")
    toy.refresh_from_db()
    return toy


def test_steps_meet_at_the_address(worker: object, away: Project, tmp_path: Path) -> None:
    run = ended(start(away, "fan", settings=DISTRIBUTED, word="moon"))
    assert (run.status, run.error) == (Status.SUCCEEDED, "")
    assert run.results["joined"]["value"]["words"] == ["moon"] * 4
    names = {path.name for path in (tmp_path / "shared" / str(run.uuid)).iterdir()}
    assert {"words.data", "part_0.data", "joined.data"} <= names
    assert not run.store_folder.exists()


def test_a_resumed_run_reads_what_the_old_one_left(worker: object, away: Project, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    old = ended(start(away, "broken_fan", settings=DISTRIBUTED, word="moon", mark=str(mark)))
    assert old.status == Status.FAILED
    mark.write_text("here")
    new = ended(resumed(old))
    assert (new.status, sorted(executed(new))) == (Status.SUCCEEDED, ["join", "part_3"])
    assert new.store_url != old.store_url and new.results["joined"]["value"]["words"] == ["moon"] * 4


def test_what_somebody_else_deleted_is_made_anew_by_the_run_after_next(
    worker: object, toy: Project, tmp_path: Path
) -> None:
    Project.objects.filter(pk=toy.pk).update(store_url=f"file://{tmp_path}/shared")
    toy.refresh_from_db()
    mark = tmp_path / "mark"
    old = ended(start(toy, "broken_fan", settings=DISTRIBUTED, word="moon", mark=str(mark)))
    mark.write_text("here")
    shutil.rmtree(tmp_path / "shared" / str(old.uuid))
    failed = ended(resumed(old))
    assert failed.status == Status.FAILED
    assert "which an earlier run made, is no longer in its store file://" in failed.error
    live.until(lambda: not Loan.objects.exists(), what="the loans to be forgotten")
    assert ended(resumed(failed)).results["joined"]["value"]["words"] == ["moon"] * 4


def test_the_same_by_content(worker: object, away: Project) -> None:
    settings = {**DISTRIBUTED, "reuses_content": True}
    assert ended(start(away, "fan", settings=settings, word="moon")).status == Status.SUCCEEDED
    again = ended(start(away, "fan", word="moon"))
    assert (again.status, executed(again)) == (Status.SUCCEEDED, [])
    assert again.results["joined"]["value"]["words"] == ["moon"] * 4


HANGS = """
import time
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem


class Hangs(LocalFileSystem):
    protocol = "hangs"

    def _wait(self):
        while Path({mark!r}).exists():
            time.sleep(0.05)

    @classmethod
    def _strip_protocol(cls, path):
        return LocalFileSystem._strip_protocol(str(path).replace("hangs://", ""))

    def put_file(self, *args, **options):
        self._wait()
        return super().put_file(*args, **options)

    def get_file(self, *args, **options):
        self._wait()
        return super().get_file(*args, **options)


fsspec.register_implementation("hangs", Hangs, clobber=True)
"""


def test_a_store_that_hangs_holds_up_its_own_run_alone(worker: object, toy: Project, tmp_path: Path) -> None:
    hangs, mark = tmp_path / "hangs", tmp_path / "mark"
    (toy.folder / "src/toy/__init__.py").write_text(HANGS.format(mark=str(hangs)))
    Project.objects.filter(pk=toy.pk).update(store_url=f"hangs://{tmp_path}/shared")
    toy.refresh_from_db()
    old = ended(start(toy, "broken_fan", settings=DISTRIBUTED, word="moon", mark=str(mark)))
    assert old.status == Status.FAILED
    mark.write_text("here")
    hangs.touch()
    began = time.monotonic()
    new, other = resumed(old), start(toy, "fan", settings=DISTRIBUTED, word="moon")
    assert time.monotonic() - began < 20  # the project is read at most; nobody waits for its store
    live.until(lambda: executed(other), what="a node of the run whose store hangs")
    cancel(other, at=clock.now(), by="olga")
    assert ended(other).status == Status.CANCELLED
    hangs.unlink()
    assert (ended(new).status, sorted(executed(new))) == (Status.SUCCEEDED, ["join", "part_3"])
