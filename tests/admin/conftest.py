from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import make_user


@pytest.fixture
def boss(db: None) -> User:
    return User.objects.create_superuser("boss", password="correct horse battery")


@pytest.fixture
def admin_page(client: Client, boss: User) -> Client:
    """A browser in which a superuser is logged in."""
    client.force_login(boss)
    return client


@pytest.fixture
def as_role(client: Client, db: None) -> Callable[[str], Client]:
    """A browser in which a person of this role, with the staff flag, is logged in."""

    def log_in(role: str) -> Client:
        user = make_user(f"a-{role}", role)
        user.is_staff = True
        user.save()
        client.force_login(user)
        return client

    return log_in
