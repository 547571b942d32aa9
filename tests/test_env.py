"""What the environment says is taken at its word, or refused in a sentence that names it."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from environ import Env
from kombu.utils.url import parse_url
from redis import Redis

from console.env import BASE, LOCAL_ZONE, Environment, embedded_socket, kept_secret, read, tree_environment

INSIDE = """
import json, os, subprocess, sys
import django
django.setup()
from django.conf import settings
print(json.dumps([settings.CONSOLE_PASSED_ON.get("TZ"), os.environ["TZ"]]), flush=True)
if len(sys.argv) > 1:
    subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
"""


def told(var: Path, **environment: str) -> Environment:
    return read({"CONSOLE_VAR": str(var), **environment})


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DEBUG", "ture", "DEBUG=ture: write true or false."),
        ("CONSOLE_HTTPS", "on", "CONSOLE_HTTPS=on: write true or false."),
        ("TIME_ZONE", "Europe/Bonn", "TIME_ZONE=Europe/Bonn: write a zone such as Europe/Berlin or UTC."),
        ("TIME_ZONE", "../etc/passwd", "TIME_ZONE=../etc/passwd: write a zone"),
        ("DATABASE_URL", "mysql://root@localhost/x", "DATABASE_URL has to begin with sqlite:// or postgres://"),
        ("REDIS_URL", "localhost:6379", "REDIS_URL has to begin with redis:// or rediss:// or unix://."),
        ("S3_ENDPOINT_URL", "storage.example.org", "S3_ENDPOINT_URL has to begin with http:// or https://."),
        ("DEMO_API_URL", "ftp://x", "DEMO_API_URL has to begin with http:// or https://."),
        ("CONSOLE_URL", "console.example.org", "CONSOLE_URL has to begin with http:// or https://."),
        ("CONSOLE_WORKER_SLOTS", "0", "CONSOLE_WORKER_SLOTS=0: write a whole number from 1 to 256."),
        ("CONSOLE_WORKER_SLOTS", "four", "CONSOLE_WORKER_SLOTS=four: write a whole number from 1 to 256."),
        ("CONSOLE_LEASE_SECONDS", "1", "CONSOLE_LEASE_SECONDS=1: write a whole number from 2 to 3600."),
        ("CONSOLE_ANONYMOUS_API", "yes", "CONSOLE_ANONYMOUS_API=yes: write one of operator, viewer, off."),
        ("CONSOLE_TRUSTED_PROXIES", "10.0.0.1,proxy", "CONSOLE_TRUSTED_PROXIES=proxy: write addresses or networks"),
        ("CONSOLE_LOGIN_LIMIT", "30", "CONSOLE_LOGIN_LIMIT=30: write a rate such as 30/minute"),
        ("CONSOLE_API_LIMIT", "0/minute", "CONSOLE_API_LIMIT=0/minute: write a rate such as 30/minute"),
        (
            "CONSOLE_API_LIMIT",
            "5/day",
            "CONSOLE_API_LIMIT=5/day: write a rate such as 30/minute (or",
        ),
        ("CONSOLE_ENCRYPTION_KEYS", "short", "CONSOLE_ENCRYPTION_KEYS: each key is 32 bytes"),
        ("CONSOLE_RUN_STORE", "runs", "CONSOLE_RUN_STORE: write a folder beginning with /, or an address such as"),
        ("CONSOLE_RUN_STORE", "/", "CONSOLE_RUN_STORE: write a folder beginning with /"),
        ("CONSOLE_RUN_STORE", "s3://", "CONSOLE_RUN_STORE: write a folder beginning with /"),
        ("CONSOLE_RUN_STORE", "s3://key:geheim@bucket/runs", "CONSOLE_RUN_STORE: write a folder beginning with /"),
        ("REDIS_URL", "rediss://h/0?ssl_cert_reqs=none", "REDIS_URL: leave out what begins with ssl."),
        ("REDIS_URL", "rediss://h/0?ssl_ca_certs=", "REDIS_URL: leave out what begins with ssl."),
        ("REDIS_CA_FILE", "/etc/hostname", "REDIS_CA_FILE: it has no use, as REDIS_URL does not begin with rediss://."),
        ("SECRET_KEY_FILE", "/nowhere/key", "SECRET_KEY_FILE=/nowhere/key: No such file or directory"),
        ("DATABASE_PASSWORD", "x", "DATABASE_PASSWORD: DATABASE_URL names no server: it has no use."),
        ("DATABASE_URL_FILE", "/", "DATABASE_URL_FILE=/: Is a directory; name a readable file."),
    ],
)
def test_a_wrong_value_is_refused_in_a_sentence(tmp_path: Path, name: str, value: str, sentence: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        told(tmp_path, **{name: value})
    assert str(refused.value).startswith(sentence)


def test_a_refused_address_does_not_show_its_password(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        told(tmp_path, DATABASE_URL="mysql://root:geheim@localhost/x")
    assert "geheim" not in str(refused.value)


ANY_CHARACTER = "p@ss:w/rd#%?\"'$ ü&=+\\[]"


def test_a_password_beside_its_address_may_have_any_character(tmp_path: Path) -> None:
    (tmp_path / "redis").write_text(f"{ANY_CHARACTER}\n")
    env = told(
        tmp_path,
        DATABASE_URL="postgres://console@db:5432/runs?sslmode=require", DATABASE_PASSWORD=ANY_CHARACTER,
        REDIS_URL="rediss://broker:6380/1", REDIS_PASSWORD_FILE=str(tmp_path / "redis"),
    )  # fmt: skip
    database = Env.db_url_config(env.database_url)
    assert {name: database[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")} == {
        "NAME": "runs", "USER": "console", "PASSWORD": ANY_CHARACTER, "HOST": "db", "PORT": 5432,
    }  # fmt: skip
    assert database["OPTIONS"] == {"sslmode": "require"}
    broker = Redis.from_url(env.redis_url).connection_pool.connection_kwargs
    assert (broker["host"], broker["port"], broker["db"], broker["password"]) == ("broker", 6380, 1, ANY_CHARACTER)
    sent = parse_url(env.redis_url)
    assert (sent["hostname"], sent["port"], sent["password"]) == ("broker", 6380, ANY_CHARACTER)


@pytest.mark.parametrize("password", ["a/b", "a#b", "a?b", "a/b@c", "p@ss:w/rd#%?"])
def test_a_password_that_breaks_its_address_is_refused_with_what_to_do(tmp_path: Path, password: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="give its password by itself in DATABASE_PASSWORD") as refused:
        told(tmp_path, DATABASE_URL=f"postgres://console:{password}@db:5432/runs")
    assert password not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["sqlite:////home/a@b/x.sqlite3", "postgres://u:a%2Fb@db/runs?host=/run/a@b", "postgres:///runs?host=/run"]
)
def test_an_address_that_is_clear_stays_as_it_is(tmp_path: Path, url: str) -> None:
    assert told(tmp_path, DATABASE_URL=url).database_url == url


def test_nothing_said_is_everything_embedded(tmp_path: Path) -> None:
    env = told(tmp_path)
    assert env.database_url == f"sqlite:///{tmp_path}/console.sqlite3"
    assert env.is_embedded_redis and env.redis_url.startswith("unix://")
    assert (env.debug, env.time_zone, env.worker_slots, env.worker_queues) == (False, "UTC", 4, ["default"])


def test_a_secret_can_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from the file\n")
    env = told(tmp_path, SECRET_KEY="from the variable", SECRET_KEY_FILE=str(tmp_path / "key"))
    assert env.secret_key == "from the file"


def test_made_up_secrets_stay_and_are_private(tmp_path: Path) -> None:
    first, second = told(tmp_path), told(tmp_path)
    assert first.secret_key == second.secret_key and len(first.secret_key) >= 50
    assert first.encryption_keys == second.encryption_keys
    Fernet(first.encryption_keys[0])
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("secret_key", "encryption_key")} == {0o600}


def test_of_two_makers_of_a_secret_one_counts(tmp_path: Path) -> None:
    def slower() -> str:
        (tmp_path / "secret").write_text("the faster one's")
        return "the slower one's"

    assert kept_secret(tmp_path / "secret", slower) == "the faster one's"
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize(
    ("said", "allowed"),
    [
        ({}, "operator"),
        ({"CONSOLE_BIND": "0.0.0.0"}, "off"),
        ({"ALLOWED_HOSTS": "console.example.org"}, "off"),
        ({"CONSOLE_BIND": "0.0.0.0", "CONSOLE_ANONYMOUS_API": "viewer"}, "viewer"),
        ({"ALLOWED_HOSTS": "localhost,127.0.0.2,[::1]"}, "operator"),
        ({"ALLOWED_HOSTS": "*"}, "off"),
        ({"ALLOWED_HOSTS": "localhost,.example.org", "CONSOLE_ANONYMOUS_API": "operator"}, "off"),
        ({"CONSOLE_URL": "http://localhost:9000"}, "operator"),
        ({"CONSOLE_URL": "https://console.example.org"}, "off"),
        ({"CONSOLE_URL": "http://192.168.1.4:8000", "CONSOLE_ANONYMOUS_API": "viewer"}, "off"),
        ({"CONSOLE_HTTPS": "true"}, "off"),
        ({"CONSOLE_HTTPS": "true", "CONSOLE_ANONYMOUS_API": "operator"}, "off"),
        ({"CSRF_TRUSTED_ORIGINS": "https://console.example.org"}, "off"),
        ({"CSRF_TRUSTED_ORIGINS": "https://*.example.org", "CONSOLE_ANONYMOUS_API": "operator"}, "off"),
        ({"CSRF_TRUSTED_ORIGINS": "http://localhost:5173"}, "operator"),
    ],
)
def test_the_api_is_open_only_where_nobody_else_can_reach_it(
    tmp_path: Path, said: dict[str, str], allowed: str
) -> None:
    assert told(tmp_path, **said).anonymous_api == allowed


@pytest.mark.parametrize(
    "url", ["redis://localhost:6379/0", "unix:///run/redis/redis.sock", "unix:///tmp/kc-1/redis.sock"]
)
def test_a_redis_of_ones_own_is_not_embedded(tmp_path: Path, url: str) -> None:
    assert not told(tmp_path, REDIS_URL=url).is_embedded_redis


def test_a_deep_folder_gets_a_short_socket_of_its_own(tmp_path: Path) -> None:
    deep, other = tmp_path / ("d" * 100), tmp_path / ("e" * 100)
    assert len(str(embedded_socket(deep))) <= 100
    assert embedded_socket(deep) != embedded_socket(other)
    assert told(deep).is_embedded_redis


def test_the_tree_gets_our_environment_and_its_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_OURS", "kept")
    environment = tree_environment(CONSOLE_BIND="::1")
    assert environment["OF_OURS"] == "kept" and environment["CONSOLE_BIND"] == "::1"


@pytest.mark.parametrize("outside", ["America/New_York", None])
def test_a_project_has_the_clock_of_the_machine_whatever_the_consoles_zone(tmp_path: Path, outside: str | None) -> None:
    """Also in the processes that a process of ours starts: Django has written its own zone into what they inherit."""
    known = {name: value for name, value in os.environ.items() if name not in ("TZ", LOCAL_ZONE)}
    ours = {"CONSOLE_VAR": str(tmp_path), "TIME_ZONE": "Asia/Tokyo", "DJANGO_SETTINGS_MODULE": "console.settings"}
    path = f"{BASE}{os.pathsep}{BASE / 'pipelines'}"
    environment = {**known, **ours, "PYTHONPATH": path, **({"TZ": outside} if outside else {})}
    command = [sys.executable, "-c", INSIDE, INSIDE]
    done = subprocess.run(command, env=environment, cwd=BASE, capture_output=True, text=True, check=True)
    assert [json.loads(line) for line in done.stdout.splitlines()] == 2 * [[outside, "Asia/Tokyo"]]


@pytest.mark.parametrize("place", ["s3://bucket/runs", "gs://bucket", "/mnt/all of us/runs", "file:///mnt/runs", ""])
def test_a_store_of_runs_is_a_folder_or_an_address(tmp_path: Path, place: str) -> None:
    assert told(tmp_path, CONSOLE_RUN_STORE=f"{place}/" if place else "").run_store == place


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "No such file or directory; name a readable file."), ("", "it holds no"), ("no PEM", "it holds no")],
)
def test_a_ca_is_read_at_the_start(tmp_path: Path, content: str | None, sentence: str) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ImproperlyConfigured) as refused:
        told(tmp_path, REDIS_URL="rediss://redis/0", REDIS_CA_FILE=str(file))
    assert str(refused.value).startswith(f"REDIS_CA_FILE={file}: {sentence}")


def test_a_user_is_found_by_name_or_number(tmp_path: Path) -> None:
    found = pwd.getpwnam("nobody")
    by_name, by_number = told(tmp_path, CONSOLE_RUN_AS="nobody"), told(tmp_path, CONSOLE_RUN_AS=str(found.pw_uid))
    assert by_name.run_as == by_number.run_as
    assert by_name.run_as and (by_name.run_as.uid, by_name.run_as.home) == (found.pw_uid, found.pw_dir)
    assert told(tmp_path).run_as is None


@pytest.mark.parametrize(
    ("user", "why"),
    [("root", "that is root; name one who may read less"), ("nobody-at-all", "this machine has no such user"),
     ("99999999999999999999", "this machine has no such user"), ("4294967290", "this machine has no such user")],
)  # fmt: skip
def test_a_user_who_is_none_stops_the_start(tmp_path: Path, user: str, why: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"CONSOLE_RUN_AS={user}: {why}"):
        told(tmp_path, CONSOLE_RUN_AS=user)


def test_what_no_project_has_to_see_is_known_wherever_it_lies(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("x" * 50)
    places = told(
        tmp_path, SECRET_KEY_FILE=str(secret), DATABASE_URL="sqlite:////srv/db.sqlite3", ARTIFACT_STORE="/srv/files",
        REDIS_URL="unix:///run/redis.sock",
    ).private_places  # fmt: skip
    assert {str(secret), "/srv/db.sqlite3", "/srv/db.sqlite3-wal", "/srv/files", "/run/redis.sock"} < set(places)
    assert str(told(tmp_path).var) in told(tmp_path).private_places
    elsewhere = told(tmp_path, ARTIFACT_STORE="s3://bucket/x", DATABASE_URL="postgres://c@db/runs").private_places
    assert not any("bucket" in place or "postgres" in place for place in elsewhere)
