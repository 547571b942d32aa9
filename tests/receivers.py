"""A mail server and a webhook receiver that listen on this machine, for tests of what people are told."""

from __future__ import annotations

import contextlib
import email
import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage, Message
from email.policy import default
from typing import Any


@dataclass
class Mailbox:
    """What a mail server got; while `refusal` is set, it takes nothing and says that."""

    url: str = ""
    letters: list[tuple[str, EmailMessage]] = field(default_factory=list)
    refusal: str = ""

    @property
    def subjects(self) -> list[str]:
        return [str(letter["Subject"]) for _, letter in self.letters]


def _mail_handler(box: Mailbox) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self) -> None:
            self.say("220 test")
            recipient = ""
            while line := self.rfile.readline():
                verb = line.decode().split(":")[0].split()[0].upper()
                if verb in ("EHLO", "HELO"):
                    self.say("250 test")
                elif verb == "QUIT":
                    return self.say("221 bye")
                elif verb == "RCPT":
                    recipient = line.decode().partition("<")[2].partition(">")[0]
                    self.say(box.refusal or "250 ok")
                elif verb == "DATA":
                    self.say("354 go on")
                    box.letters.append((recipient, self.letter()))
                    self.say("250 kept")
                else:
                    self.say("250 ok")
            return None

        def letter(self) -> EmailMessage:
            lines: list[bytes] = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line[1:] if line.startswith(b"..") else line)
            found: Message = email.message_from_bytes(b"".join(lines), policy=default)
            assert isinstance(found, EmailMessage)
            return found

    return Handler


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    box = Mailbox()
    server = _Server(("127.0.0.1", 0), _mail_handler(box))
    box.url = f"smtp://127.0.0.1:{server.server_address[1]}"
    with _serving(server):
        yield box


@dataclass
class Hook:
    """What a webhook receiver got, headers and body; it answers with `status`, and with `location` a redirect."""

    url: str = ""
    port: int = 0
    status: int = 200
    location: str = ""
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.calls]

    @property
    def kinds(self) -> list[str]:
        return [body["kind"] for body in self.bodies]


def _hook_handler(hook: Hook) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            hook.calls.append((dict(self.headers), body))
            self.send_response(hook.status)
            if hook.location:
                self.send_header("Location", hook.location)
            self.send_header("Content-Length", "2")
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            return

    return Handler


@contextmanager
def hook_server() -> Iterator[Hook]:
    hook = Hook()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _hook_handler(hook))
    server.daemon_threads = True
    hook.port = server.server_port
    hook.url = f"http://127.0.0.1:{hook.port}/told?by=console"
    with _serving(server):
        yield hook
