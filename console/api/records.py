"""What a job left behind while it ran: nodes, log lines, events and artifacts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.http import urlencode
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.asked import FilesAsked, LogAsked, LogLinesAsked, RecordsAsked
from console.api.door import MISPUT, MISSING, REFUSED, Door, asked, find_job
from console.api.shapes import (
    WORDS,
    ArtifactShape,
    EventShape,
    LogCountsShape,
    LogHitsShape,
    LogShape,
    NodeShape,
    WaitShape,
    shaped,
)
from console.pages.log_text import whole_log
from jobs import clock
from jobs.insight.explain import why_waiting
from jobs.insight.find_in_logs import beside, outline
from jobs.insight.read_logs import Only, newer

MOST_HITS: Final = 200
"""Of one answer that has the lines around them too."""


class Nodes(Door):
    needs = {"GET": "jobs.view_noderun"}

    @extend_schema(operation_id="jobs_nodes", responses={200: NodeShape(many=True), **REFUSED, **MISSING})
    def get(self, request: Request, job: str) -> Response:
        """The job's nodes in topological order."""
        return Response(NodeShape(find_job(job).node_runs.all(), many=True).data)


class Waits(Door):
    needs = {"GET": "jobs.view_run"}

    @extend_schema(operation_id="jobs_waits", responses={200: WaitShape(many=True), **REFUSED, **MISSING})
    def get(self, request: Request, job: str) -> Response:
        """What the job waits for, the worst first, with what helps; empty when it does not wait."""
        return Response(WaitShape(why_waiting(find_job(job), clock.now()), many=True).data)


class Logs(Door):
    needs = {"GET": "jobs.view_logchunk"}

    @extend_schema(
        operation_id="jobs_logs", parameters=[LogLinesAsked], responses={200: LogShape, **REFUSED, **MISSING, **MISPUT}
    )
    def get(self, request: Request, job: str) -> Response:
        """The log lines that follow line `after`, those alone that are asked for, and so many around each."""
        wanted, run = asked(LogLinesAsked, request), find_job(job)
        only, context = _only(wanted), wanted["context"] if wanted["level"] or wanted["text"] else 0
        page = newer(run, wanted["after"], only, most=min(wanted["limit"], MOST_HITS) if context else wanted["limit"])
        shown = beside(run, page, only, context)
        lines = [{**line._asdict(), "text": line.plain, "is_hit": line.seq in shown.hits} for line in shown.lines]
        body = {"lines": lines, "last_seq": page.last, "has_more": page.has_newer, "status": WORDS[run.status]}
        return Response(body)


class LogHits(Door):
    needs = {"GET": "jobs.view_logchunk"}

    @extend_schema(
        operation_id="jobs_log_hits",
        parameters=[LogAsked],
        responses={200: LogHitsShape, **REFUSED, **MISSING, **MISPUT},
    )
    def get(self, request: Request, job: str) -> Response:
        """Which lines match, by their numbers: as far as one question looks."""
        wanted = asked(LogAsked, request)
        page = newer(find_job(job), wanted["after"], _only(wanted), most=wanted["limit"])
        numbers = [line.seq for line in page.lines]
        return Response({"hits": numbers, "last_seq": page.last, "has_more": page.has_newer})


class LogCounts(Door):
    needs = {"GET": "jobs.view_logchunk"}

    @extend_schema(
        operation_id="jobs_log_counts",
        parameters=[LogAsked],
        responses={200: LogCountsShape, **REFUSED, **MISSING, **MISPUT},
    )
    def get(self, request: Request, job: str) -> Response:
        """How many lines, hits and errors each node wrote: as far as one question looks."""
        wanted = asked(LogAsked, request)
        counted = outline(find_job(job), _only(wanted), wanted["after"])
        nodes = {name: asdict(count) for name, count in counted.nodes.items()}
        return Response({"nodes": nodes, "last_seq": counted.last, "has_more": counted.has_more})


def _only(wanted: dict[str, Any]) -> Only:
    return Only(node=wanted["node"], level=wanted["level"], text=wanted["text"])


class LogText(Door):
    needs = {"GET": "jobs.view_logchunk"}

    @extend_schema(operation_id="jobs_log_text", responses={(200, "text/plain"): str, **REFUSED, **MISSING})
    def get(self, request: Request, job: str) -> StreamingHttpResponse:
        """The whole log as text, also what its rows do not hold."""
        return whole_log(find_job(job))


class Events(Door):
    needs = {"GET": "jobs.view_event"}

    @extend_schema(
        operation_id="jobs_events",
        parameters=[RecordsAsked],
        responses={200: EventShape(many=True), **REFUSED, **MISSING, **MISPUT},
    )
    def get(self, request: Request, job: str) -> Response:
        """The events that follow event `after`, in order."""
        wanted = asked(RecordsAsked, request)
        rows = find_job(job).events.filter(seq__gt=wanted["after"]).order_by("seq")
        return Response(EventShape(rows[: wanted["limit"]], many=True).data)


class Artifacts(Door):
    needs = {"GET": "jobs.view_artifact"}

    @extend_schema(
        operation_id="jobs_artifacts",
        parameters=[FilesAsked],
        responses={200: ArtifactShape(many=True), **REFUSED, **MISSING, **MISPUT},
    )
    def get(self, request: Request, job: str) -> Response:
        """The files that the job left behind; the header `Link: <…>; rel="next"` leads to more of them."""
        wanted, run = asked(FilesAsked, request), find_job(job)
        rows = run.artifacts.select_related("run").order_by("id")
        if wanted["after"]:
            rows = rows.filter(pk__gt=get_object_or_404(run.artifacts, uuid=wanted["after"]).pk)
        found = list(rows[: wanted["limit"] + 1])
        page = found[: wanted["limit"]]
        answer = Response(shaped(page, request))
        if len(found) > len(page):
            query = urlencode({**request.GET.dict(), "after": str(page[-1].uuid)})
            answer["Link"] = f'<{request.build_absolute_uri(f"{request.path}?{query}")}>; rel="next"'
        return answer
