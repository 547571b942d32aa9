"""The environment, read once and aloud: a wrong value stops the start with a sentence."""

from __future__ import annotations

import hashlib
import os
import platform
import pwd
import re
import secrets
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit, urlunsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

BASE = Path(__file__).resolve().parent.parent
IS_INSTALLED = not (BASE / "manage.py").is_file()  # from a wheel, which has that file under another name
COMMAND, START = ("kedro-console", "kedro-console up") if IS_INSTALLED else ("python manage.py", "make up")
SOCKET_PATH_LIMIT = 70  # the kernel’s is 108 bytes, and the hosts’ sockets have longer names
DEFAULT_URL = "http://127.0.0.1:8000"
SECONDS = {"second": 1, "minute": 60, "hour": 3600}
PLACE = re.compile(r"/+[^/\n:][^\n:]*|[a-z][a-z0-9+.-]*://[^@\s?#/][^@\s?#]*|file:///[^@\s?#]+")
"""A folder or an address that fsspec opens, with nothing secret in it."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class RunAs:
    """The user as whom the processes of projects run."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str

    @property
    def ids(self) -> tuple[int, int, list[int]]:
        return self.uid, self.gid, [*self.groups]


@dataclass(frozen=True)
class Environment:
    """What was said by the environment, with the embedded defaults filled in."""

    var: Path
    debug: bool
    secret_key: str
    encryption_keys: list[str]
    has_own_keys: bool
    """Whether the environment says the encryption keys; else they are in CONSOLE_VAR."""
    allowed_hosts: list[str]
    trusted_origins: list[str]
    bind: str
    url: str
    is_https: bool
    time_zone: str
    database_url: str
    redis_url: str
    redis_ca_file: str
    artifact_store: str
    artifact_limit_mb: int
    run_store: str
    s3_endpoint_url: str
    s3_redirect: bool
    s3_public_url: str
    aws_access_key_id: str
    aws_secret_access_key: str
    aws_region: str
    kedro_project_path: str
    demo_api_url: str
    admin_user: str
    admin_password: str
    worker_slots: int
    worker_queues: list[str]
    lease_seconds: int
    database_seconds: int
    anonymous_api: str
    is_public: bool
    trusted_proxies: list[str]
    login_limit: Rate
    api_limit: Rate
    keep_stores_days: int
    keep_logs_days: int
    keep_acts_days: int
    log_file_mb: int
    boundary: str
    run_as: RunAs | None
    secret_files: list[str]
    """Those that a NAME_FILE names."""
    mail_url: str
    mail_from: str
    channel_networks: list[str]

    @property
    def is_embedded_redis(self) -> bool:
        """Whether the Redis is the one that `up` starts itself."""
        return self.redis_url == f"unix://{embedded_socket(self.var)}"

    @property
    def private_places(self) -> list[str]:
        """The files and folders of ours that no project has to see, wherever they lie."""
        places = [str(self.var), str(embedded_socket(self.var).parent), *self.secret_files]
        if self.redis_url.startswith("unix:"):
            places.append(urlsplit(self.redis_url).path)
        if not self.artifact_store.startswith("s3://"):
            places.append(self.artifact_store)
        if self.database_url.startswith("sqlite:"):
            file = unquote(urlsplit(self.database_url).path).removeprefix("/")
            places += [f"{file}{tail}" for tail in ("", "-wal", "-shm", "-journal")]
        return places


@dataclass(frozen=True)
class Rate:
    """A number of requests within a number of seconds; 0 requests mean no limit."""

    requests: int
    seconds: int

    @property
    def is_unlimited(self) -> bool:
        return self.requests == 0


class Reader:
    """Reads names out of an environment; every problem is an ImproperlyConfigured with the name in it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.files: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        """NAME, or the content of the file that NAME_FILE names."""
        if file := self._environ.get(f"{name}_FILE"):
            self.files.append(file)
            try:
                return Path(file).read_text().strip()
            except OSError as error:
                raise ImproperlyConfigured(f"{name}_FILE={file}: {error.strerror}; name a readable file.") from error
        return self._environ.get(name, "") or default

    def flag(self, name: str, default: bool) -> bool:
        value = self.text(name).lower()
        if value not in ("", "true", "false"):
            raise ImproperlyConfigured(f"{name}={self.text(name)}: write true or false.")
        return default if value == "" else value == "true"

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        value = self.text(name) or str(default)
        if not value.isdigit() or not least <= int(value) <= most:
            raise ImproperlyConfigured(f"{name}={value}: write a whole number from {least} to {most}.")
        return int(value)

    def words(self, name: str, default: str) -> list[str]:
        return [word.strip() for word in self.text(name, default).split(",") if word.strip()]

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in choices:
            raise ImproperlyConfigured(f"{name}={value}: write one of {', '.join(choices)}.")
        return value

    def url(self, name: str, default: str, schemes: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value and not value.startswith(tuple(f"{scheme}:" for scheme in schemes)):
            raise ImproperlyConfigured(f"{name} has to begin with {' or '.join(f'{s}://' for s in schemes)}.")
        return value

    def networks(self, name: str) -> list[str]:
        words = self.words(name, "")
        for word in words:
            try:
                ip_network(word, strict=False)
            except ValueError as error:
                raise ImproperlyConfigured(
                    f"{name}={word}: write addresses or networks, such as 10.0.0.0/8."
                ) from error
        return words

    def rate(self, name: str, default: str) -> Rate:
        value = self.text(name, default)
        number, _, unit = value.partition("/")
        if value == "off":
            return Rate(0, 1)
        if not (number.isascii() and number.isdigit() and 0 < int(number) < 10**9) or unit not in SECONDS:
            raise ImproperlyConfigured(f"{name}={value}: write a rate such as 30/minute (or second, hour), or off.")
        return Rate(int(number), SECONDS[unit])

    def address(self, name: str, default: str, schemes: tuple[str, ...], *, password: str) -> str:
        """A URL of a server, with a password that is given beside it and may have any character."""
        value = self.url(name, default, schemes)
        beside = name.replace("_URL", "_PASSWORD")
        if not _is_clear(value):
            raise ImproperlyConfigured(
                f"{name} cannot be read: give its password by itself in {beside}, "
                "or write each character of it that is not a letter or digit as %XX."
            )
        if not password:
            return value
        parts = urlsplit(value)
        user, _, host = parts.netloc.rpartition("@")
        if not host or ":" in user:
            why = "has a password already: give one of the two" if host else "names no server: it has no use"
            raise ImproperlyConfigured(f"{beside}: {name} {why}.")
        return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))

    def place(self, name: str) -> str:
        """A folder or an address, without a slash at its end; "" for none. The value may be one with a login in it."""
        value = self.text(name)
        if value and not PLACE.fullmatch(value):
            raise ImproperlyConfigured(
                f"{name}: write a folder beginning with /, or an address such as s3://bucket/runs, without a login."
            )
        return value.rstrip("/")

    def user(self, name: str) -> RunAs | None:
        """A user of this machine by name or number; None for none."""
        value = self.text(name)
        if not value:
            return None
        try:
            found = pwd.getpwuid(int(value)) if value.isdigit() else pwd.getpwnam(value)
        except (KeyError, OverflowError) as error:
            raise ImproperlyConfigured(
                f"{name}={value}: this machine has no such user; make one, or leave it out."
            ) from error
        if found.pw_uid in (0, os.geteuid()):
            whose = "root" if found.pw_uid == 0 else "the console's own user"
            raise ImproperlyConfigured(f"{name}={value}: that is {whose}; name one who may read less.")
        groups = os.getgrouplist(found.pw_name, found.pw_gid)
        return RunAs(found.pw_name, found.pw_uid, found.pw_gid, tuple(groups), found.pw_dir)

    def zone(self, name: str, default: str) -> str:
        value = self.text(name, default)
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ImproperlyConfigured(f"{name}={value}: write a zone such as Europe/Berlin or UTC.") from error
        return value


def kept_secret(file: Path, make: Callable[[], str]) -> str:
    """The secret in this file, made the first time; readable by its owner alone. Two makers agree on one value."""
    try:
        return _kept_secret(file, make)
    except OSError as error:
        raise ImproperlyConfigured(
            f"{file} cannot be read or made ({error.strerror}): name a folder of yours in CONSOLE_VAR, or with --var."
        ) from error


def _kept_secret(file: Path, make: Callable[[], str]) -> str:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f"{file.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
            handle.write(make())
        try:
            os.link(draft, file)
        except FileExistsError:
            pass  # another process was faster: its value counts
        finally:
            draft.unlink()
    return file.read_text().strip()


def keep_keys(var: Path, secret_key: str, encryption_keys: list[str]) -> None:
    """From the next start on these count, where the environment does not say others."""
    for name, text in (("secret_key", secret_key), ("encryption_key", "\n".join(encryption_keys))):
        draft = var / f"{name}.{os.getpid()}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
            handle.write(text)
        draft.replace(var / name)


def embedded_socket(var: Path) -> Path:
    """Where the embedded Redis listens: in var/, or at a short path when var/ lies too deep for a Unix socket."""
    path = var / "redis.sock"
    if len(str(path)) <= SOCKET_PATH_LIMIT:
        return path
    digest = hashlib.sha256(str(var).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"kc-{os.getuid()}-{digest}" / "redis.sock"


NO_CA = "it holds no certificate of a CA, in PEM (-----BEGIN CERTIFICATE-----)."
DATABASES = ("sqlite", "postgres", "postgresql")


def read(environ: Mapping[str, str]) -> Environment:
    """The settings in this environment; ImproperlyConfigured says what is wrong with which."""
    reader = Reader(environ)
    var = Path(reader.text("CONSOLE_VAR", str(BASE / "var"))).resolve()
    bind = reader.text("CONSOLE_BIND", "127.0.0.1")
    hosts = reader.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
    url = reader.url("CONSOLE_URL", DEFAULT_URL, ("http", "https")).rstrip("/")
    origins, is_https = reader.words("CSRF_TRUSTED_ORIGINS", ""), reader.flag("CONSOLE_HTTPS", False)
    proxies = reader.networks("CONSOLE_TRUSTED_PROXIES")
    is_public = is_https or bool(proxies) or any(map(_is_elsewhere, [url, *origins, *hosts]))
    return Environment(
        var=var,
        debug=reader.flag("DEBUG", False),
        secret_key=reader.text("SECRET_KEY") or kept_secret(var / "secret_key", lambda: secrets.token_urlsafe(50)),
        **_encryption_keys(reader, var),
        allowed_hosts=hosts,
        trusted_origins=origins,
        bind=bind,
        url=url,
        is_https=is_https,
        time_zone=reader.zone("TIME_ZONE", "UTC"),
        **_servers(reader, var),
        **_stores(reader, var),
        kedro_project_path=reader.text("KEDRO_PROJECT_PATH"),
        demo_api_url=reader.url("DEMO_API_URL", "", ("http", "https")),
        admin_user=reader.text("CONSOLE_ADMIN_USER", "admin"),
        admin_password=reader.text("CONSOLE_ADMIN_PASSWORD"),
        worker_slots=reader.number("CONSOLE_WORKER_SLOTS", 4, least=1, most=256),
        worker_queues=reader.words("CONSOLE_WORKER_QUEUES", "default"),
        keep_stores_days=reader.number("CONSOLE_KEEP_STORES_DAYS", 7, least=0, most=3650),
        log_file_mb=reader.number("CONSOLE_LOG_FILE_MB", 10_240, least=0, most=1_000_000),
        lease_seconds=reader.number("CONSOLE_LEASE_SECONDS", 20, least=2, most=3600),
        database_seconds=reader.number("CONSOLE_DATABASE_SECONDS", 20, least=1, most=3600),
        anonymous_api=_anonymous_api(reader, is_public=is_public, is_local=bind in LOOPBACK),
        is_public=is_public or bind not in LOOPBACK,
        trusted_proxies=proxies,
        **_limits(reader),
        **_kept(reader),
        **_boundary(reader),
    )


def _kept(reader: Reader) -> dict[str, Any]:
    return {
        "keep_logs_days": reader.number("CONSOLE_KEEP_LOGS_DAYS", 0, least=0, most=36500),
        "keep_acts_days": reader.number("CONSOLE_KEEP_ACTS_DAYS", 0, least=0, most=36500),
    }


def _boundary(reader: Reader) -> dict[str, Any]:
    """Read last: by then it is known which files hold secrets."""
    return {
        "boundary": reader.choice("CONSOLE_BOUNDARY", "auto", ("auto", "required", "off")),
        "run_as": reader.user("CONSOLE_RUN_AS"),
        "secret_files": reader.files,
    }


def _limits(reader: Reader) -> dict[str, Any]:
    return {
        "login_limit": reader.rate("CONSOLE_LOGIN_LIMIT", "30/minute"),
        "api_limit": reader.rate("CONSOLE_API_LIMIT", "6000/minute"),
    }


def _channels(reader: Reader) -> dict[str, Any]:
    """How people are told of what happened."""
    password = reader.text("CONSOLE_MAIL_PASSWORD")
    sender = reader.text("CONSOLE_MAIL_FROM", f"kedro-console@{platform.node() or 'localhost'}")
    if "@" not in sender or not sender.isprintable() or " " in sender:
        raise ImproperlyConfigured(f"CONSOLE_MAIL_FROM={sender}: write an address such as console@example.org.")
    return {
        "mail_url": reader.address("CONSOLE_MAIL_URL", "", ("smtp", "smtps"), password=password),
        "mail_from": sender,
        "channel_networks": reader.networks("CONSOLE_CHANNEL_NETWORKS"),
    }


def _stores(reader: Reader, var: Path) -> dict[str, Any]:
    return {
        "run_store": reader.place("CONSOLE_RUN_STORE"),
        "artifact_store": reader.text("ARTIFACT_STORE", str(var / "artifacts")),
        "artifact_limit_mb": reader.number("CONSOLE_ARTIFACT_LIMIT_MB", 1024, least=1, most=1_000_000),
        "s3_endpoint_url": reader.url("S3_ENDPOINT_URL", "", ("http", "https")),
        "s3_redirect": reader.flag("CONSOLE_S3_REDIRECT", False),
        "s3_public_url": reader.url("S3_PUBLIC_URL", "", ("http", "https")),
        "aws_access_key_id": reader.text("AWS_ACCESS_KEY_ID"),
        "aws_secret_access_key": reader.text("AWS_SECRET_ACCESS_KEY"),
        "aws_region": reader.text("AWS_DEFAULT_REGION", "us-east-1"),
    }


def _database_url(reader: Reader, var: Path) -> str:
    embedded, password = f"sqlite:///{var / 'console.sqlite3'}", reader.text("DATABASE_PASSWORD")
    return reader.address("DATABASE_URL", embedded, DATABASES, password=password)


def _servers(reader: Reader, var: Path) -> dict[str, Any]:
    return {"database_url": _database_url(reader, var), **_redis(reader, var), **_channels(reader)}


def _redis(reader: Reader, var: Path) -> dict[str, Any]:
    """Its address and the CA: how a certificate is verified is said in one place, for all who connect."""
    embedded, password = f"unix://{embedded_socket(var)}", reader.text("REDIS_PASSWORD")
    url = reader.address("REDIS_URL", embedded, ("redis", "rediss", "unix"), password=password)
    if any(name.startswith("ssl") for name in parse_qs(urlsplit(url).query, keep_blank_values=True)):
        raise ImproperlyConfigured(
            "REDIS_URL: leave out what begins with ssl. The certificate of a rediss:// server is always verified, "
            "and REDIS_CA_FILE names its CA."
        )
    return {"redis_url": url, "redis_ca_file": _redis_ca(reader.text("REDIS_CA_FILE"), url)}


def _redis_ca(file: str, url: str) -> str:
    if file and not url.startswith("rediss:"):
        raise ImproperlyConfigured("REDIS_CA_FILE: it has no use, as REDIS_URL does not begin with rediss://.")
    try:
        if file and not ssl.create_default_context(cafile=file).get_ca_certs():
            raise ImproperlyConfigured(f"REDIS_CA_FILE={file}: {NO_CA}")
    except ssl.SSLError as error:
        raise ImproperlyConfigured(f"REDIS_CA_FILE={file}: {NO_CA}") from error
    except OSError as error:
        raise ImproperlyConfigured(f"REDIS_CA_FILE={file}: {error.strerror}; name a readable file.") from error
    return file


def _is_clear(url: str) -> bool:
    """Whether it can be read in one way only: a password that is not quoted may end the name of the server anywhere."""
    parts = urlsplit(url)
    try:
        parts.port  # noqa: B018 - raises when it is not a number
    except ValueError:
        return False
    rest = parts.path if "@" in parts.netloc else parts.path + parts.query + parts.fragment
    return not parts.netloc or "@" not in rest


def _encryption_keys(reader: Reader, var: Path) -> dict[str, Any]:
    kept = var / "encryption_key"  # a restored console may have several, a line each
    words = reader.words("CONSOLE_ENCRYPTION_KEYS", "")
    keys = words or kept_secret(kept, lambda: Fernet.generate_key().decode()).split()
    for key in keys:
        try:
            Fernet(key)
        except ValueError as error:
            raise ImproperlyConfigured(
                "CONSOLE_ENCRYPTION_KEYS: each key is 32 bytes in URL-safe base64, as Fernet.generate_key() makes them."
            ) from error
    return {"encryption_keys": keys, "has_own_keys": bool(words)}


def _anonymous_api(reader: Reader, *, is_public: bool, is_local: bool) -> str:
    """Whatever is asked for, `off` for a console with a public name: a proxy on this machine makes all look local."""
    default = "operator" if is_local else "off"
    asked = reader.choice("CONSOLE_ANONYMOUS_API", default, ("operator", "viewer", "off"))
    return "off" if is_public else asked


def _is_elsewhere(place: str) -> bool:
    """Whether this address, origin or host names more than this machine."""
    try:
        host = urlsplit(place if "//" in place else f"//{place}").hostname or place
        return host not in ("localhost", "") and not ip_address(host).is_loopback
    except ValueError:
        return True  # a name, or a pattern of names


ENV = read(os.environ)


LOCAL_ZONE = "CONSOLE_LOCAL_ZONE"


COMPUTING = ("OPENBLAS_", "OMP_", "MKL_", "BLIS_", "GOTO_", "NUMEXPR_", "NPY_")
"""What the variables of libraries that compute begin with."""


CHILD_MARK = "CONSOLE_MARK"
"""What a project's process carries, so that the next start finds it; it does not say where our folder is."""


def mark_of(tree: str) -> str:
    return hashlib.sha256(tree.encode()).hexdigest()[:16]


def passed_on(names: tuple[str, ...]) -> dict[str, str]:
    """Those of our own environment variables that a project's process may see, and the zone of this machine's clock.

    Also how this machine computes: with other kernels or threads of a library, the last digits are others.
    """
    zone = local_zone()
    seen = {name: value for name, value in os.environ.items() if name in names or name.startswith(COMPUTING)}
    mark = {CHILD_MARK: mark_of(tree)} if (tree := os.environ.get("CONSOLE_TREE")) else {}
    return seen | mark | ({"TZ": zone} if zone else {})


def local_zone() -> str:
    """TZ as it is outside of us, "" for none: Django writes the console's own zone over it, for all that we start."""
    return os.environ.setdefault(LOCAL_ZONE, os.environ.get("TZ", ""))


def tree_environment(**changes: str) -> dict[str, str]:
    """Our whole environment with these changes, for the processes of our own tree."""
    return {**os.environ, **changes}


def adopt(environment: Mapping[str, str]) -> None:
    """Be what a new process with this environment would be; settings that were read already stay."""
    os.environ.clear()
    os.environ.update(environment)
