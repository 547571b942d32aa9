"""The command that says and chooses whether runs of a pipeline keep what a resumed one needs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jobs.models import Act, Pipeline
from tests.commands.conftest import Said
from tests.factories import make_pipeline

pytestmark = pytest.mark.django_db
Manage = Callable[..., Said]


def test_it_is_said_and_chosen_and_recorded(manage: Manage) -> None:
    make_pipeline()
    assert manage("copies", "report").out == (
        "shop / report: automatic, what passes between its nodes is copied while that costs little.\n"
    )
    assert not Act.objects.exists()
    assert manage("copies", "shop/report", "always").out.startswith("shop / report: always, all that passes")
    assert Pipeline.objects.get().is_resumable
    assert (Act.objects.get().verb, Act.objects.get().door) == ("changed", "command")
    assert manage("copies", "report", "never").out.endswith("never, nothing is copied.\n")
    assert Pipeline.objects.get().copies_mb == 0


def test_another_way_or_an_unknown_pipeline_is_wrong_use(manage: Manage) -> None:
    make_pipeline()
    assert manage("copies", "report", "sometimes").code == 2
    unknown = manage("copies", "reprt", "never")
    assert unknown.code == 2 and "Did you mean report?" in unknown.err
    assert Pipeline.objects.get().copies_mb == 200
