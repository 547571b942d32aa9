"""Which parameters are secrets."""

from typing import Any

import pytest

from kedro_console.wire.secret_names import hidden, is_secret_parameter, secrets_in, with_secrets

SECRET: "list[tuple[str, Any]]" = [
    ("password", "x"),
    ("password", 12345),
    ("db_password", "x"),
    ("dbPassword", "x"),
    ("token", "abc"),
    ("api_token", "abc"),
    ("apiKey", "x"),
    ("api_key", "x"),
    ("OPENAI_API_KEY", "x"),
    ("secret", "x"),
    ("client-secret", "x"),
    ("credentials", "x"),
    ("authorization", "x"),
    ("private_key", "x"),
    ("key", "sk-4f9aa0b7c1d2e3f4a5b6"),
    ("passphrase", b"x"),
    ("db.pwd", "x"),
]
OPEN: "list[tuple[str, Any]]" = [
    ("max_tokens", 5),
    ("max_token", 512),
    ("pad_token", "[PAD]"),
    ("join_key", "customer_id"),
    ("key", "customer_id"),
    ("primary_key", "id"),
    ("low_pass", "butter"),
    ("n_pass", 3),
    ("password", ""),
    ("password", None),
    ("use_password", True),
    ("compass", "x"),
    ("monkey", "x"),
    ("secretary", "x"),
    ("author", "x"),
    ("tokenizer", "bert"),
]


@pytest.mark.parametrize(("name", "value"), SECRET, ids=repr)
def test_secrets_are_known_by_their_names(name: str, value: Any) -> None:
    assert is_secret_parameter(name, value)


@pytest.mark.parametrize(("name", "value"), OPEN, ids=repr)
def test_what_only_sounds_like_one_is_none(name: str, value: Any) -> None:
    assert not is_secret_parameter(name, value)


def test_they_are_found_in_groups_lists_and_addresses() -> None:
    values = {
        "db": [{"user": "u", "password": "p1"}],
        "credentials": {"region": "eu", "id": "p2", "more": ("p3",)},
        "tokens": {"token": {"a": ["p4"]}},
        "url": "postgres://u:p5@host/db",
        "git": "https://ghp_abcdefghijklmnopqrstu@host/x",
        "mail": "a@b.c",
        "sftp": "sftp://user@host",
    }
    assert with_secrets(values, hidden) == {
        "db": [{"user": "u", "password": "***"}],
        "credentials": {"region": "eu", "id": "***", "more": ("***",)},
        "tokens": {"token": {"a": ["***"]}},
        "url": "postgres://u:***@host/db",
        "git": "https://***@host/x",
        "mail": "a@b.c",
        "sftp": "sftp://user@host",
    }
    assert len(list(secrets_in(values))) == 6


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("https://example.org/x?a=1&token=t-five#top", "https://example.org/x?a=1&token=***#top"),
        ("https://joe:four@example.org/?api_key=k", "https://joe:***@example.org/?api_key=***"),
        ("https://a.blob.core.windows.net/c?sv=2020&sig=ab%2Fc", "https://a.blob.core.windows.net/c?sv=2020&sig=***"),
        ("postgresql://db/x?sslpassword=p", "postgresql://db/x?sslpassword=***"),
        ("host=db user=joe password='p q' sslmode=require", "host=db user=joe password=*** sslmode=require"),
        ("Driver={SQL Server};Server=db;UID=joe;PWD={p;q}", "Driver={SQL Server};Server=db;UID=joe;PWD=***"),
        ("AccountName=a;AccountKey=bG9uZw==;Endpoint=x", "AccountName=a;AccountKey=***;Endpoint=x"),
    ],
)
def test_what_a_connection_string_calls_a_secret_is_left_out(text: str, seen: str) -> None:
    assert with_secrets({"place": text}, hidden) == {"place": seen}


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/x?page=2&sort_key=name&max_token=",
        "SELECT a FROM b WHERE token = c",
        "key = 5",
        "password == given",
        "a=1;b=2",
        "x" * 5_000 + "=",
    ],
)
def test_other_text_with_equals_signs_stays(text: str) -> None:
    assert with_secrets({"text": text}, hidden) == {"text": text}
