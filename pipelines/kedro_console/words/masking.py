"""What must not leave a project's process: secrets are found by name and by value, and `***` stands for each.

In a log line or a traceback that is all. In the record of a request `***fingerprint***` stands there, so that a process
of the same project can put the secret back when the request is sent again.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus

from kedro_console.wire import secret_names
from kedro_console.wire.secret_names import HIDDEN, WITH_PASSWORD, is_secret_name
from kedro_console.words import credentials

MARK = re.compile(r"\*\*\*([0-9a-f]{16})\*\*\*")
AT_MARKS = re.compile(r"(\*\*\*[0-9a-f]{16}\*\*\*)")
SENSITIVE = ("auth", "cookie", "key", "token", "secret", "pass", "pwd", "bearer", "signature", "credential", "jwt")
ASSIGNED = re.compile(r"(?<![\w.\-])([\w.\-]{1,80})=(?!=)([\"']?)([^\s&'\"<>,;)\]}\\]{1,4000})")
QUOTED = re.compile(r"([\"'])([\w.\-]{1,80})\1(\s*[:,]\s*b?)([\"'])((?:\\.|(?!\4)[^\\\n]){1,4000})\4")
HEADER = re.compile(
    r"(?i)(?:(?<![\w\-])|(?<=\\n))((?:proxy-)?authorization|(?:set-)?cookie|x-api-key|api-key|x-[\w\-]{1,40}-token)(\s*:\s*)"
    r"((?:bearer|basic|token|digest)\s+)?([^\s'\"\\][^\r\n'\"\\]{0,4000})"
)
SHAPED = re.compile(
    r"(?<![A-Za-z0-9_])(?:gh[opsru]_[A-Za-z0-9]{20,255}|github_pat_\w{20,255}|glpat-[\w\-]{20,64}"
    r"|xox[abeprs]-[A-Za-z0-9\-]{10,255}|(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])|sk-[\w\-]{20,255}|AIza[\w\-]{35}"
    r"|[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}|hf_[A-Za-z0-9]{30,64}|pypi-[\w\-]{50,255}|npm_[A-Za-z0-9]{36}"
    r"|eyJ[\w\-]{8,4000}\.eyJ[\w\-]{8,4000}\.[\w\-]{10,4000})"
)
"""Tokens that say by their shape what they are: of GitHub, GitLab, Slack, AWS, OpenAI and others; a JWT."""
STATED = re.compile(
    r"(?i)((?<![\w\-])[\w\-]{0,40}(?:password|passwd|passphrase|passwort|pwd)\s{0,3}:\s{1,3})(?![\s*\"'{\[])([^\s,;]{1,4000})"
)
"""`password: hunter22`, as YAML and people write it."""
SHAPES = (
    "ghp_",
    "gho_",
    "ghs_",
    "ghr_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "xox",
    "AKIA",
    "ASIA",
    "sk-",
    "AIza",
    "k_live_",
    "k_test_",
    "hf_",
    "pypi-",
    "npm_",
    "eyJ",
)
BEARER = re.compile(r"(?i)\b(bearer\s+)([\w.~+/\-]{16,}=*)")

_known = credentials.Credentials()
_keys: tuple[bytes, ...] = (b"",)


def use_keys(folder: Path) -> None:
    """The keys are in that folder; the host says so before it forks."""
    global _keys
    _keys = credentials.keys_in(folder)


def learn(project_path: Path) -> None:
    """Know the project's secrets from now on."""
    global _known
    _known = credentials.read(project_path)


def learn_parameters(values: Any) -> None:
    """Know also what is secret among these parameters."""
    new = [str(value) for value in secret_names.secrets_in(values) if isinstance(value, (str, int))]
    if unknown := [value for value in new if value not in _known.known]:
        for value in unknown:
            _known.add("secret", value)
        _known.settle()._named.clear()


# ---- text: log lines, messages, tracebacks -------------------------------------------------------------


def text(value: str) -> str:
    """`value` with `***` for every secret; quick when there is none."""
    if HIDDEN in value and MARK.search(value):
        value = MARK.sub(HIDDEN, value)
    for form, _ in _known.forms:
        if form in value:
            value = value.replace(form, HIDDEN)
    if any(shape in value for shape in SHAPES):
        value = SHAPED.sub(HIDDEN, value)
    if ("=" in value or ":" in value or "earer " in value) and _is_suspicious(value):
        value = _by_pattern(value)
    return value


def _is_suspicious(value: str) -> bool:
    if "://" in value and "@" in value:
        return True
    lowered = value.lower()
    return any(word in lowered for word in SENSITIVE) or "pin=" in lowered or "sig=" in lowered


def _by_pattern(value: str) -> str:
    if "://" in value:
        value = WITH_PASSWORD.sub(lambda found: f"{found.group(1) or ''}{HIDDEN}", value)
    value = STATED.sub(rf"\1{HIDDEN}", value)
    value = HEADER.sub(lambda found: f"{found.group(1)}{found.group(2)}{found.group(3) or ''}{HIDDEN}", value)
    value = BEARER.sub(rf"\1{HIDDEN}", value)
    value = ASSIGNED.sub(_assigned, value)
    return QUOTED.sub(_quoted, value)


def _assigned(found: re.Match[str]) -> str:
    name, before = found.group(1), found.string[max(0, found.start() - 1) : found.start()]
    is_secret = is_secret_name(name) and (name.lower() != "key" or before in ("?", "&"))
    return f"{name}={found.group(2)}{HIDDEN}" if is_secret else found.group(0)


def _quoted(found: re.Match[str]) -> str:
    mark, name, between, quotes = found.group(1, 2, 3, 4)
    if not is_secret_name(name) or name.lower() == "key":
        return found.group(0)
    return f"{mark}{name}{mark}{between}{quotes}{HIDDEN}{quotes}"


def packet(data: bytes) -> bytes:
    """An event's JSON with `***` for every known secret in its texts."""
    for form in _known.packet_forms:
        if form in data:
            data = data.replace(form, HIDDEN.encode())
    return data


# ---- records of requests: what is masked can be put back ------------------------------------------------


def mark(secret: str) -> str:
    """What stands for this secret in a record."""
    return f"{HIDDEN}{credentials.fingerprint_of(secret, _keys[0])}{HIDDEN}"


def marked(value: str, write: Callable[[str], str] = str) -> str:
    """`value` with a mark for each secret of the project that occurs in it."""
    for form, secret in _known.forms:
        if form in value:
            value = value.replace(form, write(mark(secret)))
    return value


def whole(value: str) -> str:
    """A value that is secret by its name: nothing of it stays, the project's own secrets in it can be put back."""
    if value in _known.known:
        return mark(value)
    parts = AT_MARKS.split(marked(value))
    return "".join(part if MARK.fullmatch(part) or not re.search(r"\w", part) else mark(part) for part in parts)


def headers(given: Mapping[str, Any]) -> dict[str, str]:
    """Headers by name with their secrets marked: as many as fit into 16,000 characters."""
    shown: dict[str, str] = {}
    room = 16_000
    for name, value in given.items():
        shown[_as_text(name)[:200]] = masked = _header(_as_text(name), _as_text(value))
        room -= len(name) + len(masked)
        if room < 0:
            shown.popitem()
            break
    return shown


def _header(name: str, value: str) -> str:
    if not is_secret_name(name):
        return marked(url(value) if "://" in value else value)
    scheme, space, rest = value.partition(" ")
    if not space or not scheme.isalpha():
        return whole(value)
    return f"{scheme} {_basic(rest) if scheme.lower() == 'basic' else whole(rest)}"


def _basic(encoded: str) -> str:
    """`user:password` marked one by one, so that each is found among the credentials."""
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return whole(encoded)
    return f"{mark(user)}{colon}{mark(password) if password else ''}"


def url(address: str) -> str:
    """The address with its user's password and secret query parameters marked."""
    head, question, query = address.partition("?")
    scheme, slashes, rest = head.partition("://")
    authority, slash, path = rest.partition("/")
    if slashes and "@" in authority:
        info, _, host = authority.rpartition("@")
        user, colon, password = info.partition(":")
        shown = f"{marked(user)}:{mark(unquote_plus(password))}" if colon else mark(unquote_plus(user))
        head = f"{scheme}://{shown}@{host}{slash}{path}"
    return marked(head) + question + form(query) if question else marked(head)


def form(query: str) -> str:
    """name=value pairs joined by &, secret values marked."""
    return "&".join(_pair(pair) for pair in query.split("&"))


def _pair(pair: str) -> str:
    name, equals, value = pair.partition("=")
    if equals and value and is_secret_name(unquote_plus(name)):
        return f"{name}={whole(unquote_plus(value))}"
    return marked(pair)


def body(content: str, media_type: str) -> str:
    """A request's or response's text with its secret fields marked: JSON and forms by field, other text by pattern."""
    if content[:1] in ("{", "[") or "json" in media_type:
        try:
            found = json.loads(content)
            masked = _fields("", found)
            return content if masked == found else json.dumps(masked, ensure_ascii=False)
        except (ValueError, RecursionError):
            return _by_pattern(marked(content))
    if "form-urlencoded" in media_type:
        return form(content)
    return _by_pattern(marked(content)) if _is_suspicious(content) else marked(content)


def _fields(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {marked(str(inner)): _fields(str(inner), below) for inner, below in value.items()}
    if isinstance(value, list):
        return [_fields(name, below) for below in value]
    if not isinstance(value, str):
        return value
    return whole(value) if name.lower() != "key" and is_secret_name(name) and value else marked(value)


def _as_text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


# ---- putting back --------------------------------------------------------------------------------------


class SecretMissing(Exception):
    """A masked secret is not among the project's credentials and environment."""


def restore(value: str, *, where: str, write: Callable[[str], str] = str) -> str:
    """`value` with the project's secrets in the places of their marks; SecretMissing names the place."""

    def put_back(found: re.Match[str]) -> str:
        secret = _known.named(found.group(1), _keys)
        if secret is None:
            raise SecretMissing(
                f"A masked value of {where} is not among the project's credentials and environment of this machine: "
                "the request cannot be sent again."
            )
        return write(secret)

    return MARK.sub(put_back, value)


def restore_header(name: str, value: str) -> str:
    scheme, _, rest = value.partition(" ")
    restored = restore(value, where=f"the header {name}")
    if scheme.lower() != "basic" or not MARK.search(rest) or ":" not in rest:
        return restored
    pair = restored.partition(" ")[2]
    return f"{scheme} {base64.b64encode(pair.encode()).decode()}"


def restore_url(address: str) -> str:
    return restore(address, where="the address", write=lambda secret: quote(secret, safe=""))


def restore_body(content: str, media_type: str) -> str:
    if "form-urlencoded" in media_type:
        return restore(content, where="the body", write=lambda secret: quote(secret, safe=""))
    is_json = content[:1] in ("{", "[") or "json" in media_type
    return restore(content, where="the body", write=(lambda secret: json.dumps(secret)[1:-1]) if is_json else str)
