"""Speak to a chat or push service by its Apprise address: run in a process of its own, which is killed in time.

It reads JSON from its standard input and writes JSON to its standard output; it knows nothing of the console, has none
of its secrets in its environment, and reaches nothing inside of the network.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Final

from jobs.telling.reach import guard

NAMES: Final = """
apprise apprises bark barks brevo chanify discord dingtalk feishu flock form forms gchat gotify gotifys
guilded json jsons lark line mailto mailtos matrix matrixs mmost mmosts ncloud nclouds ntfy ntfys opsgenie
pagerduty pagertree pbul pover prowl pushdeer pushdeers pushy revolt rocket rockets sendgrid
signal signals slack splunk tgram twilio twist victorops workflow workflows wxteams xml xmls
zulip
"""
SERVICES: Final = frozenset(NAMES.split())
"""What an address may begin with: services that are reached over the network and read no file of this machine."""
SECONDS: Final = 10.0


class Lines(logging.Handler):
    """Keeps what the library says of a failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def main() -> None:
    asked = json.load(sys.stdin)
    guard(asked["allowed"])
    said = Lines()
    logging.getLogger("apprise").addHandler(said)
    logging.getLogger("apprise").propagate = False
    json.dump(_answer(asked["address"], asked.get("subject"), asked.get("body", ""), said), sys.stdout)


def _answer(address: str, subject: str | None, body: str, said: Lines) -> dict[str, str]:
    """What the service said; without a subject only whether this is an address of one."""
    import apprise

    asset = apprise.AppriseAsset(
        app_id="Kedro Console",
        app_desc="Kedro Console",
        async_mode=False,
        http_redirects=False,
        storage_mode="memory",
        service_timeout=SECONDS,
        default_service_retry=0,
    )
    service = apprise.Apprise.instantiate(address, asset=asset)
    if service is None:
        return {"error": "It is not an address of this service: see docs/notifications.md for examples."}
    if subject is None:
        return {"answer": str(service.service_name)}
    teller = apprise.Apprise(asset=asset)
    teller.add(service)
    if teller.notify(body=body, title=subject, body_format=apprise.NotifyFormat.TEXT):
        return {"answer": f"{service.service_name} took it."}
    return {"error": (said.lines[-1] if said.lines else f"{service.service_name} did not take it.")[:400]}


if __name__ == "__main__":
    main()
