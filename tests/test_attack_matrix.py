"""Every address × every method × everybody: refused by rule or let in by rule, and never a fault of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management.color import no_style
from django.db import connection, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from console.models import ApiToken
from console.roles import Role, permissions
from jobs import clock
from jobs.models import Backfill, Channel, News, Rule, Run, Subscription
from jobs.states import BackfillStatus, TickDecision
from tests.factories import AT, make_quota, make_schedule, make_tick, make_user
from tests.views.artifacts import an_artifact
from tests.views.scenes import ended

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(600)]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
SENT = ("GET", "POST")
"""What a token is tried with where no token is read: on pages and in the admin whoever has one is a stranger."""
OPEN = {"login", "health", "openapi", "docs", "not_here", "live", "ready", "logout", "share", "share_download"}
"""Whatever these say, they say to anybody."""
OWN = {"palette"}
"""Pages that each person may open; what they find there depends on their permissions."""
KEPT = {"channel", "channel_test"}
"""Everybody has some of their own; the one of the fixture is shared, and admins alone may change it or send over it."""
STRANGERS = ("stranger", "expired token", "revoked token")


@dataclass(frozen=True)
class Door:
    """One address of the URLconf, with the view that answers there."""

    route: str
    name: str
    view: Any

    @property
    def area(self) -> str:
        return "api" if self.route.startswith("api/") else "admin" if self.route.startswith("admin/") else "pages"

    def address(self, run: Run) -> str:
        def part(found: re.Match[str]) -> str:
            kind, name = (found[1] or "str:").rstrip(":"), found[2]
            if kind == "uuid":
                return str(run.artifacts.get().uuid)
            named = {"job": str(run.uuid), "project": "shop", "name": "report", "quota": "chat", "tab": "nodes"}
            return str(run.pk) if name == "number" else "1" if kind == "int" else named.get(name, "1")

        return "/" + re.sub(r"<(\w+:)?(\w+)>", part, re.sub(r"[\^$]|\(\?P|\)|\\Z", "", self.route))

    def needs(self, method: str) -> str:
        """The permission that the view names for this method; "" when it names none."""
        found = getattr(getattr(self.view, "view_class", self.view), "needs", "")
        return found.get("GET" if method == "HEAD" else method, "") if isinstance(found, dict) else found


def doors(patterns: list[Any] | None = None, before: str = "") -> Iterator[Door]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from doors(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield Door(route, pattern.name or "", pattern.callback)


def number_from_one() -> None:
    """Addresses name the first row: whatever was in the tables before, theirs is number one."""
    empty = []
    with connection.cursor() as cursor:
        for sequence in connection.introspection.sequence_list():
            cursor.execute(f"SELECT 1 FROM {connection.ops.quote_name(sequence['table'])} LIMIT 1")
            empty += [] if cursor.fetchone() else [sequence]
        for command in connection.ops.sequence_reset_by_name_sql(no_style(), empty):
            cursor.execute(command)


@pytest.fixture
def run() -> Run:
    number_from_one()
    run = ended()
    an_artifact(run)
    make_quota()
    rule = Rule.objects.create(name="r", target=run.pipeline, created_at=AT, edited_at=AT)
    rule.sources.add(run.pipeline)
    make_tick(make_schedule(run.pipeline), AT, TickDecision.REFUSED)
    day, facts = AT.date(), {"rule_words": "Every day", "zone": "UTC", "status": BackfillStatus.PAUSED}
    Backfill.objects.create(pipeline=run.pipeline, first_day=day, last_day=day, created_at=AT, **facts)
    shared = Channel.objects.create(name="ops", kind="mail", address="ops@example.org", created_at=AT)
    News.objects.create(kind="failing", key="it", title="It fails.", run=run, at=AT, last_at=AT)
    Subscription.objects.create(owner=make_user("ben", "admin"), kinds=["failing"], created_at=AT).channels.add(shared)
    return run


def test_there_is_something_behind_each_address_of_time_and_telling(run: Run, settings) -> None:
    """So that a refusal is by permission, and not because nothing is there."""
    settings.CONSOLE_ANONYMOUS_API = "off"
    admin, found = person("admin"), []
    for door in doors():
        if re.match(r"(api/v1/)?(schedules|backfills|week|notifications|channels|subscriptions)/", door.route):
            found.append(door.name)
            statuses = {answered(admin, method, door.address(run)).status_code for method in ("GET", "POST")}
            own = re.search(r"subscription|news", door.route)  # of another person: not there for an admin either
            assert own or statuses - {404, 405}, (door.route, statuses)
    assert len(found) > 30


def person(who: str) -> Client:
    """A client of this person, which carries a session or a token as its name says."""
    client = Client(raise_request_exception=False)
    if who == "stranger":
        return client
    role = who.split()[-1] if who.split()[-1] in Role.values else "admin"
    user = make_user(f"{role}-of-the-matrix", role)
    if who in Role.values:
        client.force_login(user)
        return client
    row, secret = ApiToken.objects.create(user, timedelta(days=1), role=role)
    if who == "expired token":
        ApiToken.objects.filter(pk=row.pk).update(expiry=clock.now() - timedelta(seconds=1))
    elif who == "revoked token":
        row.delete()
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    return client


def answered(client: Client, method: str, address: str) -> Any:
    """The answer; what the call changed is taken back."""
    with transaction.atomic():
        body = b"{}" if address.startswith("/api/") else b""
        kind = "application/json" if body else "application/x-www-form-urlencoded"
        answer = client.generic(method, address, body, kind)
        for _ in getattr(answer, "streaming_content", ()):
            pass
        transaction.set_rollback(True)
    return answer


def fault(door: Door, method: str, who: str, answer: Any) -> str:
    """What is wrong with this answer, "" when it is as the rules want it."""
    status = answer.status_code
    if status >= 500 and not (status == 503 and door.name in OPEN):
        return "a fault of ours"
    if door.name in OPEN or (status in (404, 405) and door.area != "api"):
        return ""
    is_token, role = "token" in who, who.split()[-1]
    if door.area == "api":
        if status == 405 or (method == "OPTIONS" and status < 300):
            return ""
        if who in STRANGERS:
            return "" if status == 401 else "let in without a name"
        if door.name in KEPT and method not in ("GET", "HEAD") and role != "admin":
            return "" if status in (403, 404) else "let in to what is shared"
        may = door.needs(method) in permissions(role)
        return "" if (status not in (401, 403)) == may else f"{'refused' if may else 'let in'} against its permission"
    if who == "stranger" or is_token:
        is_sent = status == 302 and "login/?next=" in answer["Location"]
        return "" if is_sent else "let in without a login"
    if door.area == "admin":
        is_out = status == 403 or (status == 302 and "login" in answer["Location"])
        return "" if role == "admin" or is_out else "let into the admin"
    if door.name in OWN:
        return "" if status == 200 else "refused its own page"
    if not door.needs(method):
        return "names no permission"
    may = door.needs(method) in permissions(role)
    return "" if (status != 403) == may else f"{'refused' if may else 'let in'} against its permission"


@pytest.mark.parametrize("who", [*STRANGERS, *Role.values, *(f"token {role}" for role in Role.values)])
def test_everybody_gets_what_the_rules_say_everywhere(who: str, run: Run, settings) -> None:
    settings.CONSOLE_ANONYMOUS_API = "off"
    faults = []
    client = person(who)
    for door in doors():
        for method in SENT if "token" in who and door.area != "api" else METHODS:
            if door.name == "logout":
                User.objects.filter(username__endswith="-of-the-matrix").delete()
                client = person(who)
            answer = answered(client, method, address := door.address(run))
            if why := fault(door, method, who, answer):
                faults.append(f"{method} {address} as {who}: {answer.status_code}, {why}")
    assert faults == []


def test_no_change_is_made_for_another_site(run: Run, settings) -> None:
    """Nothing that changes something is done for a session without its CSRF token, whatever the content type."""
    settings.CONSOLE_ANONYMOUS_API = "operator"
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("boss"))
    faults = []
    for door in doors():
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            for kind in ("application/json", "application/x-www-form-urlencoded")[: 2 if method == "POST" else 1]:
                with transaction.atomic():
                    status = client.generic(method, door.address(run), b"{}", kind).status_code
                    transaction.set_rollback(True)
                if status not in (403, 404, 405, 415):
                    faults.append(f"{method} {door.route} ({kind}): {status}")
    assert faults == []


def test_the_matrix_is_whole() -> None:
    found = list(doors())
    assert len(found) > 150 and {door.area for door in found} == {"api", "admin", "pages"}
