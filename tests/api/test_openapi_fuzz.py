"""Calls made up from the OpenAPI document, good and bad: every answer is one that the document promises."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import pytest
import schemathesis
from django.db import transaction
from django.test.client import ClientHandler
from django.urls import URLPattern
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.generation import GenerationMode
from schemathesis.generation.case import Case
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.schemas import APIOperation, BaseSchema

from console.access.limits import CALLS
from console.api.urls import urlpatterns
from jobs import clock
from jobs.batches.batches import put
from jobs.models import RequestRecord, Rule
from jobs.resends.replay import start_replay
from tests.api.conftest import Caller
from tests.factories import AT, make_quota
from tests.records import a_request
from tests.views.artifacts import an_artifact
from tests.views.scenes import a_worker, ended, running, with_log

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(600)]

DOORS = [pattern for pattern in urlpatterns if pattern.name not in ("openapi", "docs", "not_here")]
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "5"))
"""Of each call, in each mode; some thousands in all by hand: FUZZ_EXAMPLES=100."""
HANDLER = ClientHandler(enforce_csrf_checks=True)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
DERANDOMIZED = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
Known = dict[str, list[Any]]


def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """The console as a server sees it, on the connection of the test."""
    answer = HANDLER(environ)
    start(f"{answer.status_code} {answer.reason_phrase}", list(answer.items()))
    return [answer.getvalue()]


@pytest.fixture
def known() -> Known:
    """Rows of every kind; field → values of it that name one of them."""
    run = with_log(ended(), ["first", "second"])
    record, quota = a_request(run), make_quota()
    rule = Rule.objects.create(name="r", target=run.pipeline, created_at=AT, edited_at=AT)
    rule.sources.add(run.pipeline)
    put("words", [("a", 1), ("b", None)], at=clock.now())
    resent = a_request(run, method="GET", url="https://api.example.com/rows", headers={})
    replay = start_replay(RequestRecord.objects.filter(pk=resent.pk), at=clock.now(), by=None, by_name="olga")
    return {
        "job": [str(run.uuid), str(run.pk), str(running(pipeline=run.pipeline).pk)],
        "artifact": [str(an_artifact(run).uuid)],
        "project": ["shop"],
        "name": ["report", "cars.csv"],
        "pipeline": ["report"],
        "pipeline_name": ["report", "shop/report"],
        "target": ["report"],
        "sources": [["report"], ["shop/report"]],
        "quota": [quota.name],
        "windows": [["10 requests per minute"]],
        "queue": ["words"],
        "rule": [rule.pk],
        "worker": [a_worker().name],
        "pk": [record.pk, replay.pk],
        "host": [record.host],
        "requests": [[record.pk], [record.pk, 2**63 - 1]],
        "key": ["a"],
    }


@st.composite
def cases(draw: st.DrawFn, operation: APIOperation, mode: GenerationMode, known: Known) -> Case:
    """A call made up from the document alone, in which most names are those of rows that are there."""
    case: Case = draw(operation.as_strategy(generation_mode=mode, feedback=FeedbackSources()))
    for fields in (case.path_parameters, case.query, case.body):
        for name in sorted(known.keys() & fields.keys()) if isinstance(fields, dict) else ():
            if draw(st.integers(0, 3)):
                fields[name] = draw(st.sampled_from(known[name]))
    return case


def modes(operation: APIOperation) -> list[GenerationMode]:
    """Bad calls are made up only where something can be bad: a query or a body."""
    can_be_bad = bool(operation.query or operation.body)
    return [GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if can_be_bad else [])]


@cache
def document() -> BaseSchema:
    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application)


def operations(pattern: URLPattern) -> list[APIOperation]:
    """What the document has at this address."""
    address = "/api/v1/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern))
    return [each for each in (every.ok() for every in document().get_all_operations()) if each.path == address]


def tried(operation: APIOperation, mode: GenerationMode, known: Known, secret: str) -> set[int]:
    """The statuses of what it answered; each answer was as the document says."""
    found = set()
    checks = CHECKS[1:] if operation.path.endswith("/health") else CHECKS

    @DERANDOMIZED
    @given(cases(operation, mode, known))
    def each(case: Case) -> None:
        CALLS.forget()
        with transaction.atomic():
            answer = case.call(headers={"Authorization": secret})
            transaction.set_rollback(True)
        found.add(answer.status_code)
        case.validate_response(answer, checks=checks)

    each()
    return found


@pytest.mark.parametrize("pattern", DOORS, ids=[str(pattern.name) for pattern in DOORS])
def test_every_answer_is_one_that_the_document_promises(pattern: URLPattern, known: Known, caller: Caller) -> None:
    secret = caller("admin").defaults["HTTP_AUTHORIZATION"]
    calls = operations(pattern)
    assert calls
    for operation in calls:
        statuses = {status for mode in modes(operation) for status in tried(operation, mode, known, secret)}
        assert statuses
        assert not statuses & {401, 403, 429}, operation.label
