"""A run's store at an address that only the project opens: steps meet there, and a resumed run takes it over."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.models import Project
from jobs.states import Status
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


def test_a_resumed_run_has_its_own_copy(worker: object, away: Project, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    old = ended(start(away, "broken_fan", settings=DISTRIBUTED, word="moon", mark=str(mark)))
    assert old.status == Status.FAILED
    mark.write_text("here")
    new = ended(resumed(old))
    assert (new.status, sorted(executed(new))) == (Status.SUCCEEDED, ["join", "part_3"])
    assert new.store_url != old.store_url and new.results["joined"]["value"]["words"] == ["moon"] * 4


def test_the_same_by_content(worker: object, away: Project) -> None:
    settings = {**DISTRIBUTED, "reuses_content": True}
    assert ended(start(away, "fan", settings=settings, word="moon")).status == Status.SUCCEEDED
    again = ended(start(away, "fan", word="moon"))
    assert (again.status, executed(again)) == (Status.SUCCEEDED, [])
    assert again.results["joined"]["value"]["words"] == ["moon"] * 4
