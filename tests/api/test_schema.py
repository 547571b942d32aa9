from __future__ import annotations

import json
import re

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import get_resolver

from tests.api.conftest import get

pytestmark = pytest.mark.django_db


def test_the_openapi_document_is_valid_and_made_without_a_warning(tmp_path) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "openapi.yaml"))


def document() -> dict:
    answer = Client().get("/api/v1/openapi.json")
    assert answer.status_code == 200
    return json.loads(answer.content)


def test_every_call_is_in_the_document_with_a_summary_and_its_refusals() -> None:
    paths = document()["paths"]
    resolver = next(part for part in get_resolver().url_patterns if getattr(part, "app_name", "") == "api")
    routes = {str(part.pattern) for part in resolver.url_patterns if part.name not in ("openapi", "docs", "not_here")}
    assert set(paths) == {"/api/v1/" + re.sub(r"<(?:[a-z]+:)?([a-z]+)>", r"{\1}", route) for route in routes}
    for path, calls in paths.items():
        for method, call in calls.items():
            assert call["description"], (method, path)
            assert path.endswith("health") or {"400", "401", "403"} <= set(call["responses"]), (method, path)


def test_the_document_names_the_fields_of_a_job() -> None:
    schemas = document()["components"]["schemas"]
    promised = {
        "id", "pipeline_name", "user_id", "status", "parameters", "results", "error_message", "created_at",
        "started_at", "completed_at", "execution_time",
    }  # fmt: skip
    assert promised <= set(schemas["JobShape"]["properties"])
    assert schemas["JobStatus"]["enum"] == ["pending", "running", "completed", "failed", "cancelled"]


def test_what_is_sent_is_closed_and_what_is_answered_is_open() -> None:
    schemas = document()["components"]["schemas"]
    closed = {name for name, shape in schemas.items() if shape.get("additionalProperties") is False}
    assert {"JobAsked", "ResumeAsked", "QuotaAsked", "PatchedQuotaAsked", "RuleAsked", "PatchedRuleAsked"} <= closed
    assert not closed & {"JobShape", "QuotaShape", "RuleShape"}


def test_a_call_without_a_body_says_how_it_refuses_one() -> None:
    for name in ("cancel", "retry"):
        assert {"411", "413", "415", "422"} <= set(
            document()["paths"][f"/api/v1/jobs/{{job}}/{name}"]["post"]["responses"]
        )


def test_the_docs_page_takes_everything_from_us_and_runs_no_script_of_its_own() -> None:
    page = get(Client(), "/docs")
    assert page.status_code == 200
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.content.decode())
    assert addresses
    assert all(address.startswith("/") for address in addresses)
    assert not re.search(r"<script>|<script [^>]*>[^<\s]", page.content.decode())
    assert "script-src 'self'" in page["Content-Security-Policy"]
    script = get(Client(), "/docs?script=")
    assert script["Content-Type"].startswith("application/javascript")
    assert b"/api/v1/openapi.json" in script.content
