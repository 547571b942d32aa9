"""Send a recorded request once more, from the project's own interpreter: only here its secrets can be put back."""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from kedro_console.traffic.traffic import RESPONSE_BYTES, shown
from kedro_console.words import failures, masking

MOST_BYTES = 50 * 1024 * 1024
NOT_SENT_AGAIN = frozenset({"host", "content-length", "connection", "accept-encoding", "transfer-encoding"})
"""Headers that the sending itself writes."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A record is one request: where its answer leads is told, not followed."""

    def redirect_request(self, *_: Any) -> None:
        return None


def replay(*, request: dict[str, Any], file: str, timeout: float) -> dict[str, Any]:
    """Send it and tell what came back; a whole answer is written to `file`. Never raises what the network did.

    {status, headers, response, is_whole, size_bytes, sha256, media_type, seconds, error, is_sent}
    """
    began = time.perf_counter()
    try:
        ready = _restored(request)
    except (masking.SecretMissing, ValueError) as error:
        return {"status": 0, "error": str(error), "is_sent": False, "seconds": 0.0}
    try:
        with _open(ready, timeout) as answer:
            found = _kept(answer, Path(file))
    except (OSError, http.client.HTTPException) as error:
        said = masking.text(f"{type(error).__name__}: {failures.message_of(error)}")
        found = {"status": 0, "error": said[:500]}
    return {**found, "is_sent": True, "seconds": round(time.perf_counter() - began, 4)}


def _restored(request: dict[str, Any]) -> urllib.request.Request:
    """The request as it was sent, its secrets in their places; SecretMissing when one is not known here."""
    address = masking.restore_url(request["url"])
    if not address.startswith(("http://", "https://")):
        raise ValueError("Only http and https addresses can be sent again.")
    headers = {
        name: masking.restore_header(name, value)
        for name, value in request["headers"].items()
        if name.lower() not in NOT_SENT_AGAIN
    }
    media_type = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    body = masking.restore_body(request["body"], media_type.lower()).encode("utf-8") if request["body"] else None
    return urllib.request.Request(address, data=body, headers=headers, method=request["method"])  # noqa: S310


def _open(ready: urllib.request.Request, timeout: float) -> Any:
    context = ssl.create_default_context()
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.HTTPSHandler(context=context))
    try:
        return opener.open(ready, timeout=timeout)
    except urllib.error.HTTPError as answer:
        return answer


def _kept(answer: Any, path: Path) -> dict[str, Any]:
    """The facts of an answer; its body goes to the file, at most MOST_BYTES of it."""
    content = answer.read(MOST_BYTES + 1)
    is_whole = len(content) <= MOST_BYTES
    if is_whole:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    text, _ = shown(content, answer.headers, RESPONSE_BYTES)
    return {
        "status": int(answer.status),
        "headers": masking.headers(dict(answer.headers)),
        "response": text,
        "is_whole": is_whole,
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "media_type": answer.headers.get_content_type(),
        "error": "" if answer.status < 400 else f"The answer was {answer.status} {answer.reason or ''}".strip() + ".",
    }


def answers() -> list[dict[str, Any]]:
    """In a run that was started with the answers of a replay: method, url (secrets masked), status and text of each.

    [] in any other run, and under plain `kedro run`.

        from kedro_console import replay
        for answer in replay.answers():
            rows += json.loads(answer["text"])["rows"]
    """
    from kedro_console import wire
    from kedro_console.line import here

    if not here.is_supervised():
        return []
    found: list[dict[str, Any]] = []
    place, start = 0, 0
    while True:
        part = here.reply_to(wire.ReadAnswer(place, start))
        if part is None:
            return found
        if start == 0:
            found.append({"method": part.method, "url": part.url, "status": part.status, "text": part.text})
        else:
            found[-1]["text"] += part.text
        place, start = (place, part.next) if part.next else (place + 1, 0)
