from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from console.models import ApiToken
from tests.factories import make_user


def status_with(secret: str) -> int:
    return Client(headers={"Authorization": f"Bearer {secret}"}).get("/api/v1/jobs").status_code


def test_a_token_is_printed_alone_once_and_works(manage) -> None:
    make_user("olga", "operator")
    said = manage("token", "create", "olga", "--role", "operator", "--days", "7", "--name", "nightly")
    secret = said.out.strip()
    assert said.code == 0
    assert len(secret.split()) == 1
    assert secret not in said.err
    assert status_with(secret) == 200
    row = ApiToken.objects.get()
    assert (row.role, row.name, row.user.username) == ("operator", "nightly", "olga")
    assert timedelta(days=6) < row.expiry - timezone.now() <= timedelta(days=7)
    assert secret not in manage("token", "list").out


def test_a_token_is_a_viewer_s_unless_more_is_asked_for(manage) -> None:
    make_user("olga", "admin")
    manage("token", "create", "olga")
    assert ApiToken.objects.get().role == "viewer"


def test_a_role_beyond_the_user_s_own_is_said_to_be_of_no_use(manage) -> None:
    make_user("vera", "viewer")
    assert "vera may not do all" in manage("token", "create", "vera", "--role", "admin").err
    assert "may not do all" not in manage("token", "create", "vera").err


def test_the_list_shows_keys_and_lives(manage) -> None:
    user = make_user("olga")
    ApiToken.objects.create(user, timedelta(days=-1), role="viewer", name="old")
    ApiToken.objects.create(user, timedelta(days=1), role="operator")
    first, second = manage("token", "list").out.splitlines()
    assert "olga  viewer  expired" in first
    assert first.endswith("old")
    assert "olga  operator  until" in second


def test_a_revoked_token_is_of_no_use(manage) -> None:
    make_user("olga")
    secret = manage("token", "create", "olga").out.strip()
    said = manage("token", "revoke", ApiToken.objects.get().token_key)
    assert (said.code, ApiToken.objects.count()) == (0, 0)
    assert status_with(secret) == 401


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["create", "olgo"], "Did you mean olga?"),
        (["create", "xyz"], "There is no user"),
        (["create", "olga", "--days", "0"], "from 1 to 3650"),
        (["create", "olga", "--days", "soon"], "from 1 to 3650"),
        (["create", "olga", "--role", "king"], "invalid choice"),
        (["create", "gone"], "not active"),
        (["revoke", "nothing"], "There is no token"),
        ([], "required"),
    ],
)
def test_wrong_use_leaves_with_2_and_a_sentence(manage, words, sentence) -> None:
    make_user("olga")
    User.objects.create_user("gone", is_active=False)
    said = manage("token", *words)
    assert (said.code, said.out, ApiToken.objects.count()) == (2, "", 0)
    assert sentence in said.err
