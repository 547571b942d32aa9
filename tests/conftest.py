"""What every test wants."""

from __future__ import annotations

import pytest
from django.conf import settings

from console.access.limits import CALLS, LOGINS
from console.pages.planned import planned
from console.pages.shared_polls import POLLS
from jobs.insight.compare import kept_differences
from jobs.insight.durations import usual_of_nodes_in
from jobs.models.snapshot import picture_of
from jobs.steps.request_for_child import structure_in


def pytest_configure() -> None:
    """Passwords of tests need no slow hash: hundreds of people are made and logged in."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files marked `long` begin first, so that no process works on one while the others have nothing left to do."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(autouse=True)
def _nobody_has_asked_yet() -> None:
    """What one test asked for is not held against the next."""
    LOGINS.forget()
    CALLS.forget()


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> None:
    """The next test's rows have the numbers of this one's."""
    planned.cache_clear()
    POLLS.forget()
    usual_of_nodes_in.cache_clear()
    structure_in.cache_clear()
    picture_of.cache_clear()
    kept_differences.cache_clear()
