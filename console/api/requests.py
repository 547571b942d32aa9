"""Failed requests: list, show, send again, dismiss; and how many a job made at all."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.asked import Asked
from console.api.door import MISPUT, MISSING, REFUSED, Door, asked, find_job
from console.api.jobs import CLASH
from console.api.permissions import name_of
from console.api.shapes import Moment, address
from jobs import clock
from jobs.models import IgnoredHost, Replay, RequestRecord, Run
from jobs.models.request_record import RequestRecordQuerySet
from jobs.requests import TEXTS, by_node, counts
from jobs.resends.replay import start_replay
from jobs.states import ReplayStatus, RequestStatus, ResendStatus

LARGEST = 2**63 - 1


class RequestBrief(serializers.Serializer[Any]):
    """A failed request. What was secret in it stands as `***fingerprint***`."""

    id = serializers.IntegerField(source="pk")
    url_of_page = serializers.SerializerMethodField()
    job = serializers.UUIDField(source="run.uuid")
    job_number = serializers.IntegerField(source="run_id")
    node = serializers.CharField()
    method = serializers.CharField()
    url = serializers.CharField()
    host = serializers.CharField()
    status_code = serializers.IntegerField(help_text="0: there was no answer.")
    reason = serializers.CharField(help_text="What the inbox groups by, with the host.")
    status = serializers.ChoiceField(RequestStatus.choices)
    at = Moment()
    last_at = Moment()

    def get_url_of_page(self, record: RequestRecord) -> str:
        return address(self.context, record.get_absolute_url())


class AttemptShape(serializers.Serializer[Any]):
    at = serializers.FloatField(help_text="Seconds since 1970, UTC.")
    seconds = serializers.FloatField()
    status = serializers.IntegerField()
    error = serializers.CharField()


class RequestShape(RequestBrief):
    library = serializers.CharField()
    headers = serializers.DictField(child=serializers.CharField())
    body = serializers.CharField()
    is_body_whole = serializers.BooleanField()
    response_headers = serializers.DictField(child=serializers.CharField())
    response = serializers.CharField()
    is_response_whole = serializers.BooleanField()
    exception = serializers.CharField()
    message = serializers.CharField()
    seconds = serializers.FloatField()
    attempts = AttemptShape(many=True)
    quota = serializers.CharField()
    task_id = serializers.UUIDField(source="step.task_id", help_text="The Celery task of its step.")
    why_no_replay = serializers.CharField(help_text="Why it cannot be sent again; empty when it can.")
    settled_at = Moment(allow_null=True)
    settled_by = serializers.CharField()
    settled_why = serializers.CharField()


class CountShape(serializers.Serializer[Any]):
    node = serializers.CharField()
    host = serializers.CharField()
    status_code = serializers.IntegerField(help_text="0: there was no answer.")
    count = serializers.IntegerField()
    seconds = serializers.FloatField(help_text="Of all of them together.")


class RequestsOfJob(serializers.Serializer[Any]):
    total = serializers.IntegerField(help_text="All requests that its nodes made.")
    failed = serializers.IntegerField(help_text="Those that failed in the end.")
    counts = CountShape(many=True)
    records = RequestBrief(many=True, help_text="The newest failed ones, at most 500.")


class ResendShape(serializers.Serializer[Any]):
    request = serializers.IntegerField(source="record_id")
    status = serializers.ChoiceField(ResendStatus.choices)
    status_code = serializers.IntegerField()
    error = serializers.CharField()
    seconds = serializers.FloatField()
    response = serializers.CharField(help_text="Its beginning, secrets masked.")


class ReplayShape(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="pk")
    url = serializers.SerializerMethodField()
    status = serializers.ChoiceField(ReplayStatus.choices)
    total = serializers.IntegerField()
    done = serializers.IntegerField()
    failed = serializers.IntegerField()
    wait_reason = serializers.CharField()
    eligible_at = Moment(allow_null=True)
    created_at = Moment()
    started_at = Moment(allow_null=True)
    finished_at = Moment(allow_null=True)

    def get_url(self, replay: Replay) -> str:
        return address(self.context, replay.get_absolute_url())


class ReplayWhole(ReplayShape):
    requests = serializers.SerializerMethodField(help_text="At most 1,000 of them.")

    @extend_schema_field(ResendShape(many=True))
    def get_requests(self, replay: Replay) -> list[dict[str, Any]]:
        return list(ResendShape(replay.resends.order_by("position")[:1000], many=True).data)


class RequestsAsked(serializers.Serializer[Any]):
    limit = serializers.IntegerField(min_value=1, max_value=500, required=False, default=50)
    before = serializers.IntegerField(
        min_value=1, max_value=LARGEST, required=False, default=None, help_text="Requests older than this id."
    )
    status = serializers.ChoiceField(RequestStatus.choices, required=False, default=RequestStatus.OPEN)
    host = serializers.CharField(max_length=255, required=False, default="")
    reason = serializers.CharField(max_length=120, required=False, default="")


class Chosen(Asked):
    """Which failed requests: by their ids, or all open ones of a host and reason."""

    requests = serializers.ListField(child=serializers.IntegerField(min_value=1), required=False, max_length=10_000)
    host = serializers.CharField(max_length=255, required=False)
    reason = serializers.CharField(max_length=120, required=False)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if "requests" not in given and not {"host", "reason"} <= set(given):
            raise serializers.ValidationError("Send `requests`, a list of ids, or `host` and `reason`.")
        return given

    @property
    def rows(self) -> RequestRecordQuerySet:
        given, rows = self.validated_data, RequestRecord.objects.open()
        if "requests" in given:
            return rows.filter(pk__in=given["requests"])
        return rows.filter(host=given["host"], reason=given["reason"])


class Dismissal(Chosen):
    why = serializers.CharField(max_length=500, help_text="Stays with the requests.")


class HostAsked(Asked):
    host = serializers.CharField(max_length=255, help_text="As the requests show it, with its port if it has one.")


class IgnoredShape(serializers.Serializer[Any]):
    host = serializers.CharField()
    ignored_at = Moment()
    ignored_by = serializers.CharField()


class HostShape(serializers.Serializer[Any]):
    host = serializers.CharField()
    requests = serializers.IntegerField(help_text="How many left the inbox, or came back.")


class DismissedShape(serializers.Serializer[Any]):
    dismissed = serializers.IntegerField()


class JobRequests(Door):
    needs = {"GET": "jobs.view_requestrecord"}

    @extend_schema(operation_id="jobs_requests", responses={200: RequestsOfJob, **REFUSED, **MISSING})
    def get(self, request: Request, job: str) -> Response:
        """The HTTP requests of a job's nodes: counts by node, host and status, and the failed ones."""
        run: Run = find_job(job)
        records = run.requests.newest().defer(*TEXTS)[:500]
        body = {**counts(run), "counts": by_node(run), "records": records}
        return Response(RequestsOfJob(body, context={"request": request}).data)


class Requests(Door):
    needs = {"GET": "jobs.view_requestrecord"}

    @extend_schema(
        operation_id="requests_list",
        parameters=[RequestsAsked],
        responses={200: RequestBrief(many=True), **REFUSED, **MISPUT},
    )
    def get(self, request: Request) -> Response:
        """Failed requests, the newest first; go on with `before` = the last id."""
        wanted = asked(RequestsAsked, request)
        rows = RequestRecord.objects.filter(status=wanted["status"])
        for name in ("host", "reason"):
            rows = rows.filter(**{name: wanted[name]}) if wanted[name] else rows
        rows = rows.filter(pk__lt=wanted["before"]) if wanted["before"] else rows
        page = rows.newest().defer(*TEXTS)[: wanted["limit"]]
        return Response(RequestBrief(page, many=True, context={"request": request}).data)


class OneRequest(Door):
    needs = {"GET": "jobs.view_requestrecord"}

    @extend_schema(operation_id="requests_show", responses={200: RequestShape, **REFUSED, **MISSING})
    def get(self, request: Request, pk: int) -> Response:
        """One failed request, whole."""
        record = RequestRecord.objects.newest().filter(pk=pk).first()
        if record is None:
            raise Http404(f"There is no request {pk}: `GET /api/v1/requests` lists the open ones.")
        return Response(RequestShape(record, context={"request": request}).data)


class ReplayRequests(Door):
    needs = {"POST": "jobs.replay_requestrecord"}

    @extend_schema(
        operation_id="requests_replay",
        request=Chosen,
        responses={201: ReplayShape, **REFUSED, **CLASH, **MISPUT},
    )
    def post(self, request: Request) -> Response:
        """Send requests again, one after the other, under their quota."""
        given = Chosen(data=request.data)
        given.is_valid(raise_exception=True)
        by = request.user if request.user.is_authenticated else None
        rows = given.rows.newest().defer(*TEXTS)
        replay = start_replay(rows, at=clock.now(), by=by, by_name=name_of(request))
        return Response(ReplayShape(replay, context={"request": request}).data, status=201)


class IgnoredHosts(Door):
    needs = {
        "GET": "jobs.view_requestrecord",
        "POST": "jobs.dismiss_requestrecord",
        "DELETE": "jobs.dismiss_requestrecord",
    }

    @extend_schema(operation_id="ignored_hosts_list", responses={200: IgnoredShape(many=True), **REFUSED})
    def get(self, request: Request) -> Response:
        """The hosts whose failed requests do not come into the inbox."""
        return Response(IgnoredShape(IgnoredHost.objects.all(), many=True).data)

    @extend_schema(
        operation_id="ignored_hosts_add", request=HostAsked, responses={201: HostShape, **REFUSED, **CLASH, **MISPUT}
    )
    def post(self, request: Request) -> Response:
        """Ignore a host from now on; what is open of it leaves the inbox."""
        host = self._host(request)
        count = IgnoredHost.ignore(host, at=clock.now(), by=name_of(request))
        return Response({"host": host, "requests": count}, status=201)

    @extend_schema(
        operation_id="ignored_hosts_remove",
        parameters=[HostAsked],
        responses={200: HostShape, **REFUSED, **CLASH, **MISPUT},
    )
    def delete(self, request: Request) -> Response:
        """Stop ignoring a host; what was ignored of it is open again. It may also stand in a body, as for POST."""
        host = self._host(request)
        return Response({"host": host, "requests": IgnoredHost.heed(host)})

    def _host(self, request: Request) -> str:
        given = HostAsked(data=request.data or request.query_params.dict())
        given.is_valid(raise_exception=True)
        return str(given.validated_data["host"])


class DismissRequests(Door):
    needs = {"POST": "jobs.dismiss_requestrecord"}

    @extend_schema(
        operation_id="requests_dismiss", request=Dismissal, responses={200: DismissedShape, **REFUSED, **MISPUT}
    )
    def post(self, request: Request) -> Response:
        """Take requests out of the inbox, with the reason."""
        given = Dismissal(data=request.data)
        given.is_valid(raise_exception=True)
        count = given.rows.dismiss(at=clock.now(), by=name_of(request), why=given.validated_data["why"])
        return Response({"dismissed": count})


class OneReplay(Door):
    needs = {"GET": "jobs.view_replay"}

    @extend_schema(operation_id="replays_show", responses={200: ReplayWhole, **REFUSED, **MISSING})
    def get(self, request: Request, pk: int) -> Response:
        """How a replay goes, and what each of its requests got."""
        replay = Replay.objects.filter(pk=pk).first()
        if replay is None:
            raise Http404(f"There is no replay {pk}.")
        return Response(ReplayWhole(replay, context={"request": request}).data)
