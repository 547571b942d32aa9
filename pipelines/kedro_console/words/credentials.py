"""What a project keeps secret: the values of its credentials and of environment variables whose name sounds so.

A value that was masked stands in a record as a short keyed fingerprint. The keys are beside the host's learned file,
where the console put them, or else a key of this machine alone: only a process of this project can find out which of
its own secrets a fingerprint means.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from kedro_console.wire.secret_names import KEY_BYTES, KEY_FILE, PLAIN_NAMES, is_secret_name

SHORTEST = 6
"""Shorter values are masked where their name says that they are secret, not wherever they occur."""
NAMED_VARIABLE = re.compile(r"\$\{\s*oc\.env\s*:\s*([A-Za-z_]\w*)")


@dataclass
class Credentials:
    """The secrets of one project, and what may stand for each."""

    masked: list[str] = field(default_factory=list)  # longest first, masked wherever they occur in text
    known: set[str] = field(default_factory=set)  # all that a fingerprint may mean
    forms: list[tuple[str, str]] = field(default_factory=list)  # (as written somewhere, the secret)
    packet_forms: list[bytes] = field(default_factory=list)  # as JSON writes them
    _named: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: str) -> None:
        """A value of the credentials; one whose name is plain, like a host's, is known but not masked."""
        self.known.add(value)
        password = _password_in(value)
        if password:
            self.add("password", password)
        if is_secret_name(name) or (name.lower() not in PLAIN_NAMES and not password and not _is_open(value)):
            self.masked.append(value)

    def settle(self) -> Credentials:
        """Sort what was added, and write down each form in which a secret may stand in a text."""
        long_enough = {value for value in self.masked if len(value) >= SHORTEST}
        self.masked = sorted(long_enough, key=len, reverse=True)
        forms = {form: value for value in self.masked for form in _forms(value)}
        self.forms = sorted(forms.items(), key=lambda pair: len(pair[0]), reverse=True)
        in_json = (json.dumps(form)[1:-1] for form, value in self.forms if _is_safe_in_json(value))
        self.packet_forms = [form.encode() for form in dict.fromkeys(in_json)]
        return self

    def named(self, fingerprint: str, keys: Iterable[bytes]) -> str | None:
        """The secret of this fingerprint, made with any of the keys; None when it is none of the project's."""
        if not self._named:
            self._named = {fingerprint_of(value, key): value for key in keys for value in self.known}
        return self._named.get(fingerprint)


def fingerprint_of(value: str, key: bytes) -> str:
    return hmac.new(key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]


def read(project_path: Path) -> Credentials:
    """The secrets in every conf/*/credentials* and in the environment."""
    found = Credentials()
    variables: set[str] = set()
    for text in _files(project_path / "conf"):
        variables.update(NAMED_VARIABLE.findall(text))
        for name, value in _leaves("", _parsed(text)):
            found.add(name, value)
    for name, value in os.environ.items():
        if name in variables or (is_secret_name(name) and not value.startswith("/")):
            found.masked.append(value)
            found.known.add(value)
        password = _password_in(value)
        if password:
            found.add("password", password)
    return found.settle()


def _files(conf: Path) -> Iterator[str]:
    for path in sorted(conf.rglob("*")) if conf.is_dir() else ():
        inside = path.relative_to(conf).parts
        if path.suffix in (".yml", ".yaml", ".json") and any(part.startswith("credentials") for part in inside):
            try:
                yield path.read_text("utf-8")
            except (OSError, UnicodeDecodeError):
                continue


def _parsed(text: str) -> Any:
    import yaml  # Kedro's own dependency

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for inner, below in value.items():
            yield from _leaves(str(inner), below)
    elif isinstance(value, list):
        for below in value:
            yield from _leaves(name, below)
    elif isinstance(value, (str, int)) and not isinstance(value, bool) and "${" not in str(value):
        yield name, str(value)


def _password_in(value: str) -> str:
    """The password of an address like postgres://user:password@host; "" when there is none."""
    if "://" not in value or "@" not in value:
        return ""
    try:
        return unquote(urlsplit(value).password or "")
    except ValueError:
        return ""


def _is_open(value: str) -> bool:
    """What may be read by anybody: a switch, a number of few digits, an address without a password, a path."""
    return value.startswith(("http://", "https://", "/")) or (value.isdigit() and len(value) < 8)


def _forms(value: str) -> Iterable[str]:
    encoded = base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()
    return (value, quote(value, safe=""), quote(value), repr(value)[1:-1], json.dumps(value)[1:-1], encoded)


def _is_safe_in_json(value: str) -> bool:
    """Replacing it in a message's text leaves a message: no number, and no word of ours."""
    return len(value) >= 8 and not value.replace(".", "").isdigit() and not re.fullmatch(r"[a-z_]+", value)


# ---- the keys ----------------------------------------------------------------------------------------


def keys_in(folder: Path) -> tuple[bytes, ...]:
    """The keys for fingerprints in this folder, the one to make them with first; never none."""
    content = _content_in(folder)
    return tuple(content[at : at + KEY_BYTES] for at in range(0, len(content), KEY_BYTES))


def _content_in(folder: Path) -> bytes:
    """Where the console left none, a key is made when it is first needed; for this process where it cannot be kept."""
    path = folder / KEY_FILE
    fresh = secrets.token_bytes(KEY_BYTES)
    draft = path.with_name(f".{KEY_FILE}.{os.getpid()}")
    try:
        if not path.exists():
            draft.touch(mode=0o600)
            draft.write_bytes(fresh)
            try:
                os.link(draft, path)  # of two hosts that start at once, one makes it
            finally:
                draft.unlink()
        return path.read_bytes() or fresh
    except FileExistsError:
        return path.read_bytes() or fresh
    except OSError:
        return fresh
