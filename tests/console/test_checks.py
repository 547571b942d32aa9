"""What strangers could guess is said before they can try."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.checks import weaknesses
from console.env import read

STRONG = {"SECRET_KEY": "q3T9-x0Zp_81LmVb7rYcKsW2eNfUhGd5", "CONSOLE_ADMIN_PASSWORD": "correct horse battery"}
PUBLIC = [
    {"CONSOLE_BIND": "0.0.0.0"},
    {"CONSOLE_URL": "https://console.example.org"},
    {"ALLOWED_HOSTS": "console.example.org"},
    {"CONSOLE_HTTPS": "true"},
    {"CONSOLE_TRUSTED_PROXIES": "10.0.0.1"},
    {"CSRF_TRUSTED_ORIGINS": "https://console.example.org"},
]


def ids(var: Path, **environment: str) -> list[str | None]:
    return [found.id for found in weaknesses(read({"CONSOLE_VAR": str(var), **environment}))]


@pytest.mark.parametrize("public", PUBLIC, ids=lambda named: next(iter(named)))
@pytest.mark.parametrize(
    ("weak", "said"),
    [
        ({"SECRET_KEY": "x"}, "console.W001"),
        ({"SECRET_KEY": "a" * 60}, "console.W001"),
        ({"SECRET_KEY": "django-insecure-q3T9-x0Zp_81LmVb7rYcKsW2eNfUhGd5"}, "console.W001"),
        ({"CONSOLE_ADMIN_PASSWORD": "a"}, "console.W002"),
        ({"CONSOLE_ADMIN_PASSWORD": "password123"}, "console.W002"),
        ({"DEBUG": "true"}, "console.W003"),
    ],
)
def test_what_can_be_guessed_is_said_where_others_can_try(tmp_path: Path, public, weak, said: str) -> None:
    assert ids(tmp_path, **STRONG, **public) == []
    assert ids(tmp_path, **{**STRONG, **public, **weak}) == [said]
    assert ids(tmp_path, **{**STRONG, **weak}) == [], "on this machine alone it is nobody's business"


def test_debug_for_every_host_is_an_error_everywhere(tmp_path: Path) -> None:
    assert "console.E001" in ids(tmp_path, DEBUG="true", ALLOWED_HOSTS="*")
    assert "console.E001" not in ids(tmp_path, ALLOWED_HOSTS="*")


def test_what_the_console_makes_up_itself_is_strong(tmp_path: Path) -> None:
    assert ids(tmp_path, CONSOLE_BIND="0.0.0.0") == []


def test_no_weakness_repeats_the_secret(tmp_path: Path) -> None:
    found = weaknesses(read({"CONSOLE_VAR": str(tmp_path), "CONSOLE_BIND": "::", "CONSOLE_ADMIN_PASSWORD": "hunter22"}))
    assert found and not any("hunter22" in f"{each.msg} {each.hint}" for each in found)
