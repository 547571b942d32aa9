"""The ways out: mail, a signed webhook, a chat or push service. Each gives the other side's answer, or NotTaken."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from django.conf import settings

from jobs.errors import PlatformError
from jobs.models import Channel, Delivery
from jobs.states import ChannelKind
from jobs.telling.links import link
from jobs.telling.reach import connect, within
from kedro_console.wire import Json

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 10.0
"""How long one answer may take."""
MOST_SECONDS: Final = 30.0
"""How long an attempt may take in all."""
MOST_BYTES: Final = 2_000
ROOT: Final = Path(__file__).resolve().parents[2]
CHILD: Final = "import sys; sys.path.insert(0, sys.argv[1]); from jobs.telling.service import main; main()"
LETTER: Final = SMTP.clone(max_line_length=500)
"""A subject in one line: where it is folded, some programs put a blank before it."""
NO_SERVER: Final = "The console has no mail server: an admin names one in CONSOLE_MAIL_URL."


class NotTaken(PlatformError):
    """The other side did not take it; the text says why."""


@dataclass(frozen=True)
class Message:
    """What is said, and to a program its facts."""

    subject: str
    body: str
    facts: Mapping[str, Json]
    number: int
    """The delivery's: the same for each attempt."""


def message_of(delivery: Delivery) -> Message:
    news = delivery.news
    facts: dict[str, Json] = {
        "id": delivery.pk,
        "kind": news.kind,
        "title": news.title,
        "at": news.at.isoformat(),
        "project": news.pipeline.project.name if news.pipeline else None,
        "pipeline": news.pipeline.name if news.pipeline else None,
        "run": news.run_id,
        "job": str(news.run.uuid) if news.run else None,
        "link": link(news.place),
        "facts": news.facts,
        "subject": delivery.subject,
        "text": delivery.body,
    }
    return Message(delivery.subject, delivery.body, facts, delivery.pk)


def speak(channel: Channel, message: Message, at: float) -> str:
    """The answer of the other side; NotTaken when it did not take it."""
    try:
        if channel.kind == ChannelKind.MAIL:
            return _mail(str(channel.address), message)
        if channel.kind == ChannelKind.WEBHOOK:
            return _post(str(channel.address), str(channel.secret), message, at)
        return _service({"address": channel.address, "subject": message.subject, "body": message.body})
    except NotTaken:
        raise
    except TimeoutError as error:
        raise NotTaken("It did not answer in time.") from error
    except (OSError, http.client.HTTPException, smtplib.SMTPException, ValueError) as error:
        raise NotTaken(_words(error)) from error


def _words(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "Nobody listens at its address."
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"Its certificate is not trusted: {error.verify_message}."
    text = " ".join(str(error).split())
    return (text or type(error).__name__)[:400]


# ---- mail, by the server that the settings name


def _mail(to: str, message: Message) -> str:
    if not settings.CONSOLE_MAIL_URL:
        raise NotTaken(NO_SERVER)
    server = urlsplit(settings.CONSOLE_MAIL_URL)
    mail = _letter(to, message)
    with _open_server(server) as session, within(MOST_SECONDS, lambda: _cut(session.sock)):
        session.ehlo_or_helo_if_needed()
        if server.scheme == "smtp" and session.has_extn("starttls"):
            session.starttls(context=ssl.create_default_context())
            session.ehlo()
        if server.username:
            session.login(unquote(server.username), unquote(server.password or ""))
        session.send_message(mail)
    return f"{server.hostname} took it."


def _open_server(server: SplitResult) -> smtplib.SMTP:
    """The operator's own server: it may be inside of the network."""
    host, is_tls = server.hostname or "", server.scheme == "smtps"
    if is_tls:
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(host, server.port or 465, timeout=ANSWER_SECONDS, context=context)
    return smtplib.SMTP(host, server.port or 25, timeout=ANSWER_SECONDS)


def _letter(to: str, message: Message) -> EmailMessage:
    mail = EmailMessage(LETTER)
    mail["Subject"] = message.subject
    mail["From"] = settings.CONSOLE_MAIL_FROM
    mail["To"] = to
    mail["Date"] = format_datetime(datetime.fromisoformat(str(message.facts["at"])))
    mail["Message-ID"] = make_msgid(f"delivery-{message.number}", settings.CONSOLE_MAIL_FROM.rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(f"{message.body}\n")
    return mail


def _cut(sock: socket.socket | None) -> None:
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


# ---- a webhook, signed


class _Checked(http.client.HTTPConnection):
    """A connection to an address outside of the network."""

    def connect(self) -> None:
        self.sock = connect(self.host, self.port, allowed(), CONNECT_SECONDS)
        self.sock.settimeout(ANSWER_SECONDS)


class _CheckedTLS(http.client.HTTPSConnection):
    """The same with TLS: the certificate has to be that of the name."""

    def connect(self) -> None:
        plain = connect(self.host, self.port, allowed(), CONNECT_SECONDS)
        plain.settimeout(ANSWER_SECONDS)
        self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self.host)


def allowed() -> Sequence[str]:
    networks: Sequence[str] = settings.CONSOLE_CHANNEL_NETWORKS
    return networks


def signature(secret: str, second: int, body: bytes) -> str:
    """HMAC-SHA256 over the time, a dot and the body, as hexadecimal digits."""
    return hmac.new(secret.encode(), f"{second}.".encode() + body, hashlib.sha256).hexdigest()


def _post(url: str, secret: str, message: Message, at: float) -> str:
    """Whatever is not 2xx was not taken; a redirect is followed nowhere."""
    parts, body, second = urlsplit(url), json.dumps(message.facts).encode(), int(at)
    kind = _CheckedTLS if parts.scheme == "https" else _Checked
    connection = kind(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Kedro-Console",
        "X-Console-Delivery": str(message.number),
        "X-Console-Time": str(second),
        "X-Console-Signature": f"sha256={signature(secret, second, body)}",
    }
    try:
        connection.connect()
        with within(MOST_SECONDS, lambda: _cut(connection.sock)):
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            text = " ".join(answer.read(MOST_BYTES).decode("utf-8", "replace").split())
    finally:
        connection.close()
    if 300 <= answer.status < 400:
        raise NotTaken(f"HTTP {answer.status}: it sends elsewhere, which is not followed; give the address it names.")
    if not 200 <= answer.status < 300:
        raise NotTaken(f"HTTP {answer.status}: {text or answer.reason}"[:400])
    return f"HTTP {answer.status} {text}".strip()[:400]


# ---- a service, in a process of its own


def check_service(address: str) -> str:
    """Why this is no address of a service that we speak to; "" when it is."""
    try:
        _service({"address": address})
    except NotTaken as refusal:
        return str(refusal)
    return ""


def _service(asked: Mapping[str, Json]) -> str:
    with tempfile.TemporaryDirectory(prefix="kc-service-") as home:
        try:
            ended = subprocess.run(
                [sys.executable, "-I", "-c", CHILD, str(ROOT)],
                input=json.dumps({**asked, "allowed": list(allowed())}).encode(),
                capture_output=True,
                timeout=MOST_SECONDS,
                cwd=home,
                env={"PATH": "/usr/bin:/bin", "HOME": home, "LANG": "C.UTF-8"},
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise NotTaken("The service did not answer in time.") from error
    try:
        said = json.loads(ended.stdout)
    except ValueError as error:
        raise NotTaken("The service could not be spoken to: is the package apprise installed?") from error
    if "error" in said:
        raise NotTaken(str(said["error"]))
    return str(said["answer"])
