"""What a job left behind while it ran: nodes, log lines, events and artifacts."""

from __future__ import annotations

from django.http import StreamingHttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.asked import RecordsAsked
from console.api.door import MISPUT, MISSING, REFUSED, Door, asked, find_job
from console.api.shapes import WORDS, ArtifactShape, EventShape, LogShape, NodeShape, shaped
from console.pages.log_text import whole_log
from jobs.insight.read_logs import newer


class Nodes(Door):
    needs = {"GET": "jobs.view_noderun"}

    @extend_schema(operation_id="jobs_nodes", responses={200: NodeShape(many=True), **REFUSED, **MISSING})
    def get(self, request: Request, job: str) -> Response:
        """The job's nodes in topological order."""
        return Response(NodeShape(find_job(job).node_runs.all(), many=True).data)


class Logs(Door):
    needs = {"GET": "jobs.view_logchunk"}

    @extend_schema(
        operation_id="jobs_logs", parameters=[RecordsAsked], responses={200: LogShape, **REFUSED, **MISSING, **MISPUT}
    )
    def get(self, request: Request, job: str) -> Response:
        """The log lines that follow line `after`."""
        wanted, run = asked(RecordsAsked, request), find_job(job)
        page = newer(run, wanted["after"], most=wanted["limit"])
        body = {
            "lines": [{**line._asdict(), "text": line.plain} for line in page.lines],
            "last_seq": page.last,
            "has_more": page.has_newer,
            "status": WORDS[run.status],
        }
        return Response(body)


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

    @extend_schema(operation_id="jobs_artifacts", responses={200: ArtifactShape(many=True), **REFUSED, **MISSING})
    def get(self, request: Request, job: str) -> Response:
        """The files that the job left behind."""
        rows = find_job(job).artifacts.select_related("run").order_by("id")
        return Response(shaped(rows, request))
