"""Which names and values are secret, what stands in their place, and how a secret is put back."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kedro_console.wire.secret_names import is_secret_name
from kedro_console.words import credentials, masking

CREDENTIALS = """
vendor:
  user: olga
  password: "p/w with space"
  token: tok-abcdef-123456
  region_name: eu-central-1
  endpoint_url: https://store.example.com
database:
  con: postgresql://etl:db-password-1@host/db
other: ${oc.env:INNOCENT}
"""


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(masking, "_known", masking._known)
    monkeypatch.setattr(masking, "_keys", (b"",))
    monkeypatch.setenv("INNOCENT", "value-of-innocent")
    monkeypatch.setenv("VENDOR_API_KEY", "env-key-123456")
    folder = tmp_path / "conf" / "local"
    folder.mkdir(parents=True)
    (folder / "credentials_vendor.yml").write_text(CREDENTIALS)
    masking.use_keys(tmp_path)
    masking.learn(tmp_path)
    yield


SECRET = ["password", "X-Api-Key", "apiKey", "access_token", "clientSecret", "Authorization", "Set-Cookie", "sig",
          "key", "X-Amz-Signature", "subscription-key", "db_pwd", "AWS_SECRET_ACCESS_KEY"]  # fmt: skip
OPEN = ["keyword", "max_tokens", "token_type", "primary_key", "Idempotency-Key", "author", "monkey", "page", "keys",
        "Content-Type", "passenger_count"]  # fmt: skip


def test_names_are_read_by_their_words() -> None:
    assert [name for name in SECRET if not is_secret_name(name)] == []
    assert [name for name in OPEN if is_secret_name(name)] == []


def test_values_of_the_project_are_masked_wherever_they_are(known: None) -> None:
    text = "a tok-abcdef-123456 b p/w with space c p%2Fw%20with%20space d db-password-1 e env-key-123456"
    assert masking.text(f"{text} f value-of-innocent") == "a *** b *** c *** d *** e *** f ***"
    plain = "olga in eu-central-1 at https://store.example.com wrote 12 rows"
    assert masking.text(plain) == plain


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("GET https://u:pw@h/x?api_key=abc&page=2 done", "GET https://u:***@h/x?api_key=***&page=2 done"),
        ("see https://token1@h/x and a@b.c", "see https://***@h/x and a@b.c"),
        ("{'Authorization': 'Bearer abc', 'Accept': '*/*'}", "{'Authorization': '***', 'Accept': '*/*'}"),
        ("Authorization: Bearer abc\nAccept: x", "Authorization: Bearer ***\nAccept: x"),
        ('{"password": "a\\"b", "user": "olga"}', '{"password": "***", "user": "olga"}'),
        ("curl -H 'X-Api-Key: abc'", "curl -H 'X-Api-Key: ***'"),
        ("key=apple sort_key=3 max_tokens=5 == x", "key=apple sort_key=3 max_tokens=5 == x"),
        ("https://h/x?key=abc", "https://h/x?key=***"),
        ("got bearer abcdefghijklmnop1234 back", "got bearer *** back"),
        ("an ordinary line: nothing = here", "an ordinary line: nothing = here"),
    ],
)
def test_text_is_masked_by_pattern(text: str, masked: str) -> None:
    assert masking.text(text) == masked


def test_what_is_masked_in_a_record_is_put_back_exactly(known: None) -> None:
    basic = "Basic " + base64.b64encode(b"olga:p/w with space").decode()
    given = {
        "Authorization": "Bearer tok-abcdef-123456",
        "X-Api-Key": "env-key-123456",
        "X-Plain": "v1",
        "Proxy-Authorization": basic,
    }
    shown = masking.headers(given)
    assert shown["X-Plain"] == "v1" and "olga" not in str(shown) and "tok-" not in str(shown)
    assert {name: masking.restore_header(name, value) for name, value in shown.items()} == given
    address = "https://olga:p%2Fw%20with%20space@h/x?api_key=tok-abcdef-123456&page=2&q=a+b"
    masked = masking.url(address)
    assert "tok-" not in masked and "with" not in masked and masked.endswith("&page=2&q=a+b")
    assert masking.restore_url(masked) == address
    for content, media in (
        ('{"login": {"password": "p/w with space"}, "max_tokens": 5, "key": "apple"}', "application/json"),
        ("client_secret=tok-abcdef-123456&q=1", "application/x-www-form-urlencoded"),
    ):
        hidden = masking.body(content, media)
        assert "tok-" not in hidden and "with space" not in hidden
        assert masking.restore_body(hidden, media) == content


def test_a_secret_of_nobody_is_missing_by_name(known: None) -> None:
    shown = masking.headers({"Cookie": "sid=1234567890"})
    with pytest.raises(masking.SecretMissing, match="header Cookie is not among the project's credentials"):
        masking.restore_header("Cookie", shown["Cookie"])


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    (first,) = credentials.keys_in(tmp_path)
    assert credentials.keys_in(tmp_path) == (first,) and len(first) == 32
    assert (tmp_path / credentials.KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert credentials.keys_in(tmp_path / "nowhere") != (first,)


def test_what_an_older_key_masked_is_found_and_the_newest_key_masks(known: None, tmp_path: Path) -> None:
    before = masking.mark("env-key-123456")
    older = (tmp_path / credentials.KEY_FILE).read_bytes()
    (tmp_path / credentials.KEY_FILE).write_bytes(b"n" * 32 + older)
    masking.use_keys(tmp_path)
    masking.learn(tmp_path)
    now = masking.mark("env-key-123456")
    assert now != before
    assert masking.restore(f"{before} {now}", where="the body") == "env-key-123456 env-key-123456"


def test_an_event_stays_a_message_when_its_texts_are_masked(known: None) -> None:
    from kedro_console import wire

    event = wire.RunStarted(1.0, ["a"], {"url": "x?k=tok-abcdef-123456", "n": 5}, {})
    found: Any = wire.parse(masking.packet(event.to_json()))
    assert found.parameters == {"url": "x?k=***", "n": 5}


@pytest.mark.parametrize(
    "token",
    [
        "ghp_" + "a1B2" * 9,
        "github_pat_" + "a1B2" * 10,
        "glpat-" + "a1B2-" * 4,
        "xoxb-" + "123456789012-abcDEF",
        "AKIA" + "ABCDEFGH12345678",
        "sk-" + "proj-a1B2c3D4e5F6g7H8i9J0",
        "AIza" + "a1B2c" * 7,
        "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiIxMjM0NTYifQ" + ".c2lnbmF0dXJlLXNpZ24",
    ],
)
def test_a_token_that_everybody_knows_by_its_shape_is_masked(token: str) -> None:
    for before, after in (("", ""), ("got ", " and went on"), ("x=", ";"), ('{"value": "', '"}'), ("(", ")")):
        masked = masking.text(f"{before}{token}{after}")
        assert token not in masked and token[-8:] not in masked and masked.startswith(before[:2])


@pytest.mark.parametrize(
    "plain",
    [
        "task-abcdefghijklmnopqrstuvwxyz",
        "a desk-of-a-very-long-name",
        "AKIAN",
        "eyJ",
        "ghp_",
        "risk-free-sk-1",
    ],
)
def test_what_only_begins_like_a_token_stays(plain: str) -> None:
    assert masking.text(plain) == plain


@pytest.mark.parametrize(
    ("said", "masked"),
    [
        ("password: hunter22", "password: ***"),
        ("db_password: hunter22 host: db", "db_password: *** host: db"),
        ("user: olga\nPASSWORD: hunter22\nport: 1", "user: olga\nPASSWORD: ***\nport: 1"),
        ("sslpassword=hunter22 sslmode=require", "sslpassword=*** sslmode=require"),
        ("passwords are long", "passwords are long"),
    ],
)
def test_a_password_after_its_name_is_masked(said: str, masked: str) -> None:
    assert masking.text(said) == masked
