"""Which names say that a secret stands behind them: of headers, fields, variables, and of parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, overload

from kedro_console.wire.kinds import Group, Secret, Value

WORDS = frozenset({
    "password", "passwd", "passphrase", "passwort", "pwd", "pass", "secret", "secrets", "token", "apikey", "key",
    "accesskey", "secretkey", "privatekey", "authkey", "accesstoken", "authtoken", "clientsecret", "authorization",
    "auth", "credential", "credentials", "cookie", "signature", "sig", "jwt", "bearer", "sessionid",
})  # fmt: skip
HARMLESS_KEYS = frozenset({
    "primary", "foreign", "sort", "partition", "idempotency", "cache", "row", "public", "object", "routing", "natural",
})  # fmt: skip
HARMLESS_NAMES = frozenset({"token_type", "key_name", "tokens", "auth_type", "www_authenticate"})
PLAIN_NAMES = frozenset({
    "endpoint_url", "region", "region_name", "host", "hostname", "port", "user", "username", "database", "dbname",
    "bucket", "protocol", "type", "driver", "dialect", "schema", "scheme", "project", "token_uri", "auth_uri",
})  # fmt: skip
JOINED = ("password", "passwd", "passphrase")
"""With whatever is written before them without a gap: sslpassword, dbpasswd."""
KEY_FILE = "masking.key"
"""Holds the keys for fingerprints of masked values, of so many bytes each: the first makes them, all find them."""
KEY_BYTES = 32
PIECES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
ALWAYS = frozenset(
    {"password", "passwd", "passphrase", "passwort", "pwd", "secret", "secrets", "credential", "credentials"}
)
"""Behind these also a number is a secret; behind the others, as in `max_token: 512`, only text is."""
BEFORE_KEY = frozenset({
    "api", "access", "secret", "private", "auth", "encryption", "signing", "account", "subscription", "service",
    "client", "license", "ssh", "app", "master", "storage", "aws", "azure", "openai", "google", "gcp", "shared",
})  # fmt: skip
"""What comes before “key” in a parameter; any other key is a column, unless its value looks as if drawn by lot."""
HARMLESS_WORDS = {
    "token": frozenset({"pad", "sep", "cls", "mask", "unk", "bos", "eos", "special", "start", "end", "stop"}),
    "pass": frozenset({"low", "high", "band", "rate", "filter", "first", "second", "n", "num", "count", "forward"}),
}
"""Beside these words they are terms of a trade."""
DRAWN = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[^\s]{20,}")
WITH_PASSWORD = re.compile(r"(?<=://)([^\s/@:'\"<>?#]{0,200}:)?([^\s/@'\"<>?#]{1,500})(?=@)")
"""In an address: `user:password@host`, or a long token before the host."""
PAIR = re.compile(
    r"(?P<before>^|[?&;\s])(?P<name>[A-Za-z][\w.\-]{0,100}(?: Key)?)(?P<sign>\s{0,3}=(?!=)\s{0,3})"
    r"(?P<value>'[^']{1,2000}'|\{[^}]{1,2000}\}|[^\s&;#'\"{]{1,2000})"
)
"""In an address's query or a connection string: `?token=…`, `;AccountKey=…`, `host=db password=…`."""
LONG = 20
HIDDEN = "***"
SEALED = "sealed"
"""The kind of a secret that was encrypted, and could not be read again."""


def is_secret_name(name: str) -> bool:
    """Whether a header, parameter, field or variable of this name holds a secret."""
    words = [piece.lower() for piece in PIECES.findall(name[:200])]
    if "_".join(words) in HARMLESS_NAMES:
        return False
    if words and words[-1] == "key":
        return not HARMLESS_KEYS & set(words)
    is_joined = any(word.endswith(JOINED) for word in words)
    return is_joined or not WORDS.isdisjoint(words) or "".join(words) in WORDS


def is_secret_parameter(name: str, value: object) -> bool:
    """Whether a parameter of this name with this value (none that holds others) is a secret."""
    if value is None or value == "" or isinstance(value, bool) or not is_secret_name(name):
        return False
    words = {piece.lower() for piece in PIECES.findall(name[:200])}
    if words & ALWAYS or "".join(sorted(words)) in ALWAYS:
        return True
    if not isinstance(value, (str, bytes)) or any(
        word in words and words & rest for word, rest in HARMLESS_WORDS.items()
    ):
        return False
    is_column = "key" in words and not words & BEFORE_KEY
    return not is_column or bool(DRAWN.fullmatch(value if isinstance(value, str) else value.decode("latin-1")))


@overload
def with_secrets(
    values: Group, change: Callable[[Value], Value], name: str = ..., *, is_inside: bool = ...
) -> dict[Any, Value]: ...
@overload
def with_secrets(
    values: Value, change: Callable[[Value], Value], name: str = ..., *, is_inside: bool = ...
) -> Value: ...
def with_secrets(values: Value, change: Callable[[Value], Value], name: str = "", *, is_inside: bool = False) -> Value:
    """Parameters with `change` made to each secret: by its name, its group's name, or a password in its address."""
    if isinstance(values, dict):
        return {
            key: with_secrets(part, change, str(key), is_inside=is_inside or _is_vault(key))
            for key, part in values.items()
        }
    if isinstance(values, (list, tuple, set, frozenset)):
        parts = [with_secrets(part, change, name, is_inside=is_inside) for part in values]
        kinds = (tuple, set, frozenset)
        return next((kind(parts) for kind in kinds if isinstance(values, kind)), parts)
    return change(values) if _is_secret(name, values, is_inside) else values


def _is_vault(key: object) -> bool:
    """Whether all that is in a group of this name is secret, but for what is plain by its own name."""
    return is_secret_parameter(str(key), "text")


def _is_secret(name: str, value: object, is_inside: bool) -> bool:
    if is_secret_parameter(name, value) or getattr(value, "kind", "") == SEALED:
        return True
    if isinstance(value, Secret):
        return not isinstance(value, str) or bool(value)
    if isinstance(value, str) and (_password_in(value) or _without_pairs(value) != value):
        return True
    return is_inside and isinstance(value, (str, bytes)) and bool(value) and name.lower() not in PLAIN_NAMES


def _password_in(value: str) -> re.Match[str] | None:
    found = WITH_PASSWORD.search(value) if "@" in value else None
    return found if found and (found.group(1) or len(found.group(2)) >= LONG) else None


def _without_pairs(value: str) -> str:
    """An address or a connection string with `***` for what its own names call a secret; other text as it is."""
    if "=" not in value or not ("://" in value or PAIR.match(value)):
        return value
    return PAIR.sub(_hidden_pair, value)


def _hidden_pair(found: re.Match[str]) -> str:
    before, name, sign, value = found.group("before", "name", "sign", "value")
    is_certain = name.lower().endswith(tuple(ALWAYS))  # between spaces, other words may be a sentence or a query
    if not is_certain and not (before in ("?", "&", ";") and is_secret_parameter(name, value)):
        return found.group()
    return f"{before}{name}{sign}{HIDDEN}"


def hidden(value: Value) -> str:
    """What is shown instead of a secret; of an address or a connection string only its secrets are left out."""
    if not isinstance(value, str) or isinstance(value, Secret):
        return HIDDEN
    open_text = _without_pairs(value)
    if _password_in(value):
        return WITH_PASSWORD.sub(lambda found: f"{found.group(1) or ''}{HIDDEN}", open_text)
    return open_text if open_text != value else HIDDEN


def secrets_in(values: Value) -> Iterator[Value]:
    """All secrets of these parameters."""
    found: list[Value] = []

    def note(secret: Value) -> Value:
        found.append(secret)
        return secret

    with_secrets(values, note)
    yield from found
