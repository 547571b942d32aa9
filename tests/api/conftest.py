from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client

from console.models import ApiToken
from tests.factories import make_user

Caller = Callable[..., Client]


@pytest.fixture(autouse=True)
def _nobody_is_let_in_by_address(settings, db):
    settings.CONSOLE_ANONYMOUS_API = "off"


@pytest.fixture
def caller() -> Caller:
    """A client that carries a token of this role, of a user of that role (or of another)."""

    def make(role: str = "operator", of: str = "") -> Client:
        user = make_user(f"{of or role}-{ApiToken.objects.count()}", of or role)
        _, secret = ApiToken.objects.create(user, timedelta(days=1), role=role)
        return Client(headers={"Authorization": f"Bearer {secret}"})

    return make


@pytest.fixture
def operator(caller: Caller) -> Client:
    return caller("operator")


@pytest.fixture
def viewer(caller: Caller) -> Client:
    return caller("viewer")


def post(client: Client, path: str, body: object = None, **more: object):
    return client.post(f"/api/v1{path}", {} if body is None else body, content_type="application/json", **more)


def get(client: Client, path: str, **more: object):
    return client.get(f"/api/v1{path}", **more)
