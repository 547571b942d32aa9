"""Text and numbers from outside are refused or understood, whatever they are: no address answers 500."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from jobs.models import Pipeline, Rule
from tests.factories import AT, make_quota
from tests.views.scenes import ended, logged_in

pytestmark = pytest.mark.django_db

HUGE = "9" * 30
TEXTS = [
    "\x00",
    "a\x00b",
    HUGE,
    f"-{HUGE}",
    str(2**63),
    str(2**63 - 1),
    str(2**31),
    "9" * 5_000,
    "1e999",
    "nan",
    "-1",
    "0",
    "1.5",
    "[" * 600,
    "x" * 8_000,
    "\u202e\u0661",
    "²",
    "٣",
    "%00",
    "%ff",
    "'\"`;--",
    "2026-02-30",
    "2026-02-30 10:00:00",
    "0001-01-01",
    "9999-12-31T23:59:59+14:00",
    "9999w",
    "0000-00-00",
    "since:0001-01-01",
    "since:9999-12-31",
    "since:9999w",
    "node:x param.x:y",
    '"',
    "\\",
    "\r\n",
    "{",
    "null",
    "true",
    "__",
    "..",
    "../../etc/passwd",
    "\ufffd",
    "💥" * 50,
]
RAW = ["%FF%FE", "%00", "%ED%A0%80", "%", "%u0000", "%C0%80"]
"""As they stand in an address, where they cannot be made from text."""
NUMBERS = [2**63 - 1, 2**63, 2**64, 10**30, 0]
NAMES = [
    "q",
    "before",
    "after",
    "limit",
    "page",
    "p",
    "o",
    "e",
    "all",
    "from",
    "node",
    "tab",
    "run",
    "status",
    "since",
    "level",
    "pipeline",
    "project",
    "with",
    "name",
    "job",
    "items",
    "requests_each",
    "rows_each",
    "parameters",
    "decision",
    "key",
    "env",
    "kind",
    "host",
    "reason",
    "sheet",
    "source",
    "text",
    "next",
    "search",
    "created_at__gte",
    "id__exact",
    "term",
    "app_label",
    "model_name",
    "field_name",
    "_changelist_filters",
    "_popup",
    "_to_field",
    "pipeline__id__exact",
    "like",
]
ADMIN_NAMES = [
    "q",
    "p",
    "o",
    "e",
    "all",
    "page",
    "status",
    "since",
    "pipeline",
    "kind",
    "id__exact",
    "created_at__gte",
    "term",
    "app_label",
    "model_name",
    "field_name",
    "_changelist_filters",
    "_popup",
    "_to_field",
    "run",
    "project",
    "per_page",
]


def routes(patterns: list[Any], before: str = "") -> Iterator[tuple[str, list[str]]]:
    """Every address of the URLconf with `{}` for each of its parts, and what converts these."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, before + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            route = before + str(pattern.pattern)
            kinds = re.findall(r"<(?:(\w+):)?\w+>", route)
            yield re.sub(r"<[^>]+>", "{}", re.sub(r"[\^$]|\(\?P|\)|\\Z", "", route)), [kind or "str" for kind in kinds]


def every_route() -> list[tuple[str, list[str]]]:
    return sorted(dict(routes(get_resolver().url_patterns)).items())


@pytest.fixture
def scene() -> Client:
    run = ended()
    make_quota()
    rule = Rule.objects.create(name="r", target=run.pipeline, created_at=AT, edited_at=AT)
    rule.sources.add(run.pipeline)
    client = logged_in("admin")
    client.raise_request_exception = False
    return client


def refused(client: Client, address: str) -> list[str]:
    """The address, when it was answered with a fault of ours."""
    response = client.get(address)
    if response.status_code >= 500 and not (response.status_code == 503 and "health" in address):
        return [f"{response.status_code} {address[:200]!r}"]
    for part in getattr(response, "streaming_content", ()):
        if not part:
            break
    return []


def usual(kinds: list[str]) -> list[str]:
    return [{"int": "1", "uuid": "00000000-0000-4000-8000-000000000000"}.get(kind, "1") for kind in kinds]


def test_every_route_is_found() -> None:
    found = dict(every_route())
    assert {"runs/", "runs/{}/", "api/v1/jobs", "api/v1/jobs/{}", "admin/jobs/run/"} <= found.keys()
    assert len(found) > 100


def test_no_part_of_an_address_is_too_odd(scene: Client) -> None:
    faults: list[str] = []
    for number, (route, kinds) in enumerate(every_route()):
        for place, kind in enumerate(kinds):
            odd = [str(one) for one in NUMBERS] if kind == "int" else [*some(number, [*map(quote, TEXTS), *RAW], 3)]
            for text in [*odd, quote("1\x00")]:
                parts = usual(kinds)
                parts[place] = text
                faults += refused(scene, "/" + route.format(*parts))
    assert faults == []


def some(number: int, values: list[str], count: int) -> list[str]:
    """Other ones for each number, so that all have their turn."""
    return [values[(number * count + place) % len(values)] for place in range(count)]


def test_no_query_is_too_odd(scene: Client) -> None:
    faults: list[str] = []
    odd = [*map(quote, TEXTS), *RAW]
    for number, (route, kinds) in enumerate(every_route()):
        address = "/" + route.format(*usual(kinds))
        if "logout" in address or (route.startswith("admin/") and kinds):
            continue
        names = ADMIN_NAMES if route.startswith("admin/") else NAMES
        pairs = list(zip(names, some(number, odd, len(names)), strict=True))
        for place in range(0, len(pairs), 8):
            faults += refused(
                scene, f"{address}?" + "&".join(f"{name}={text}" for name, text in pairs[place : place + 8])
            )
        for text in some(number, odd, 3):
            faults += refused(scene, address + "?" + "&".join(f"{name}={text}" for name in names))
    assert faults == []


@pytest.mark.parametrize(
    "text", ["0001-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999w", "9999999w"]
)
def test_the_ends_of_time_are_times_or_refused(scene: Client, text: str) -> None:
    for search in (f"since:{text}", f'"since:{text}"'):
        assert scene.get("/runs/", {"q": search}).status_code == 200


@pytest.mark.parametrize("key", ["abc", HUGE, str(2**63), "1.5", "-1"])
def test_a_bad_key_of_a_searched_field_is_an_error_of_the_field(scene: Client, key: str) -> None:
    for address, name in (
        ("/admin/jobs/rule/add/", "target"),
        ("/admin/django_celery_beat/periodictask/add/", "pipeline"),
    ):
        response = scene.post(address, {name: key, "name": "x", "task": "jobs.start"})
        assert response.status_code == 200 and response.context["adminform"].form.errors[name]


def bodies() -> Iterator[tuple[str, bytes]]:
    """Bodies of JSON, some valid, with odd values in every field that some door knows."""
    fields = (
        "pipeline_name",
        "project",
        "parameters",
        "runner",
        "nodes",
        "from_nodes",
        "tags",
        "everything",
        "priority",
        "name",
        "sources",
        "mapping",
        "condition",
        "target",
        "windows",
        "items",
        "key",
        "status",
        "job",
        "ids",
        "max_attempts",
        "keep_days",
        "max_iterations",
        "wanted_state",
        "wanted_slots",
        "until",
        "reason",
        "host",
        "only_missing_outputs",
        "load_versions",
        "env",
        "selection",
        "description",
        "like",
        "all",
    )
    odd: list[str] = [
        *(json.dumps(text) for text in TEXTS if "\x00" not in text),
        '"a\\u0000b"',
        '"\\ud800"',
        HUGE,
        "1e999",
        "-1",
        "NaN",
        "[]",
        "{}",
        "null",
        "[" * 600,
        "[" * 90 + "]" * 90,
        '{"a":' * 30 + "1" + "}" * 30,
        "[null]",
        '["\\u0000"]',
        "[1e400]",
        str(2**63),
    ]
    for value in odd:
        yield (
            "application/json",
            ("{" + ",".join(f'"{name}":{value}' for name in fields) + "}").encode("utf-8", "replace"),
        )
    for value in odd:
        yield (
            "application/json",
            f'{{"pipeline_name":"report","parameters":{{"api_url":{value},"a.b":{value}}}}}'.encode(),
        )
    yield from (("application/json", raw) for raw in (b"", b"\xff\xfe", b"\x00", b"[1]", b'"x"', b"{", b"5", b"null"))
    yield from (("application/x-www-form-urlencoded", raw) for raw in (b"a=%00", b"%ff=1", b"a"))


@pytest.mark.parametrize("method", ["post", "patch"])
def test_no_body_is_too_odd(scene: Client, method: str) -> None:
    faults: list[str] = []
    for route, kinds in every_route():
        if not route.startswith("api/v1/"):
            continue
        address = "/" + route.format(*usual(kinds))
        for place, (media_type, body) in enumerate(bodies()):
            if place % (1 if route == "api/v1/jobs" else 9):
                continue
            response = getattr(scene, method)(address, body, content_type=media_type)
            if response.status_code >= 500:
                faults.append(f"{response.status_code} {method} {address} {body[:100]!r}")
            if response.status_code == 405:
                break
    assert faults == []


@pytest.mark.parametrize("method", ["options", "head", "trace", "delete", "put", "patch", "post"])
def test_every_method_has_an_answer(scene: Client, method: str) -> None:
    faults = []
    for route, kinds in every_route():
        if route.startswith("admin/") or "health" in route:
            continue
        address = "/" + route.format(*usual(kinds)).replace("/1", "/999")
        response = getattr(scene, method)(address)
        if response.status_code >= 500:
            faults.append(f"{response.status_code} {method} {address}")
    assert faults == []


def test_no_form_is_too_odd(scene: Client) -> None:
    pipeline = Pipeline.objects.get()
    faults = []
    for text in [*TEXTS[::2], *RAW[:2]]:
        fields = (
            "p:api_url",
            "p:options.top",
            "p:options.title",
            "from",
            "key",
            "runner",
            "nodes",
            "tags",
            "env",
            "next",
            "name",
        )
        for address in (
            f"/pipelines/{pipeline.pk}/run/",
            f"/pipelines/{pipeline.pk}/run/preview/",
            "/rules/new/",
            "/quotas/new/",
        ):
            response = scene.post(address, dict.fromkeys(fields, text))
            if response.status_code >= 500:
                faults.append(f"{response.status_code} {address} {text[:50]!r}")
    assert faults == []


def test_a_refusal_is_a_sentence(scene: Client) -> None:
    assert "not valid text" in scene.get("/runs/?q=%00").content.decode()
    answer = scene.get(f"/api/v1/requests/{HUGE}")
    assert answer.status_code == 404 and answer.json()["detail"]
    assert scene.get("/api/v1/jobs?pipeline=%00").json()["detail"]
