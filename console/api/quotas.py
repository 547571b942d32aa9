"""The limits of outside APIs: what is used and left, pause and open, a forecast."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.asked import Asked
from console.api.door import MISPUT, MISSING, REFUSED, Door, asked, refuse_fields
from console.api.permissions import name_of
from console.api.shapes import Moment
from console.api.versions import ETAG, STALE, VERSIONS, unless_stale, with_version
from jobs import clock
from jobs.errors import RequestError
from jobs.insight.forecast import forecast
from jobs.models import Quota, Window
from jobs.quotas.quotas import changing, pause, reopen
from jobs.quotas.usage import Usage, usage, usages
from jobs.quotas.windows import parse_line, replace
from jobs.steps.admit import bring_forward


class WindowShape(serializers.Serializer[Any]):
    words = serializers.CharField(source="window", help_text="Such as “10 requests per minute”.")
    unit = serializers.ChoiceField(Window.Unit.choices, source="window.unit")
    allowed = serializers.IntegerField(source="window.allowed")
    seconds = serializers.IntegerField(source="window.seconds", allow_null=True, help_text="null: a calendar day.")
    zone = serializers.CharField(source="window.zone")
    used = serializers.IntegerField()
    left = serializers.IntegerField()
    resets_at = Moment(allow_null=True, help_text="When nothing of it counts any more.")


class QuotaShape(serializers.Serializer[Any]):
    """A quota and how it stands."""

    name = serializers.CharField(source="quota.name")
    description = serializers.CharField(source="quota.description")
    is_paused = serializers.BooleanField()
    paused_until = Moment(source="quota.paused_until", allow_null=True)
    closed_until = Moment(source="quota.closed_until", allow_null=True, help_text="What the API itself asked for.")
    closed = serializers.CharField(help_text="Why it lets nothing through now; empty when it does.")
    windows = WindowShape(many=True)
    waiting = serializers.IntegerField(help_text="Grants that are asked for and not given.")
    held = serializers.IntegerField(help_text="Grants whose answer has not come.")


class WindowsField(serializers.ListField):
    """Windows in words; each line that is not understood has its sentence."""

    child = serializers.CharField(max_length=200)

    def to_internal_value(self, data: Any) -> list[Window]:
        try:
            return [parse_line(line.strip()) for line in super().to_internal_value(data)]
        except RequestError as refusal:
            raise serializers.ValidationError(str(refusal)) from refusal


class QuotaAsked(Asked, serializers.ModelSerializer[Quota]):
    """What is left out stays as it is."""

    windows = WindowsField(required=False, max_length=20, help_text="“10 requests per minute” and the like.")

    class Meta:
        model = Quota
        fields = ("name", "description", "windows")
        extra_kwargs = {"description": {"required": False, "allow_blank": True}}

    def write(self) -> Quota:
        windows = self.validated_data.pop("windows", None)
        quota = self.instance or Quota()
        with changing(quota):
            for name, value in self.validated_data.items():
                setattr(quota, name, value)
            quota.save(update_fields=list(self.validated_data) if quota.pk else None)
            if windows is not None:
                replace(quota, windows)
        bring_forward(clock.now())
        return quota


class PauseAsked(Asked):
    reason = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)
    until = Moment(required=False, allow_null=True, default=None, help_text="null: until it is opened.")


class ForecastAsked(serializers.Serializer[Any]):
    items = serializers.IntegerField(min_value=0, max_value=10**9)
    requests_each = serializers.FloatField(min_value=0, max_value=10**6, required=False, default=1.0)
    rows_each = serializers.FloatField(min_value=0, max_value=10**6, required=False, default=0.0)


class ForecastShape(serializers.Serializer[Any]):
    done_at = Moment(allow_null=True, help_text="null: not within ten years, or not before somebody opens it.")


class Quotas(Door):
    needs = {"GET": "jobs.view_quota", "POST": "jobs.add_quota"}

    @extend_schema(operation_id="quotas_list", responses={200: QuotaShape(many=True), **REFUSED})
    def get(self, request: Request) -> Response:
        """All quotas, by name."""
        return Response(QuotaShape(usages(clock.now()), many=True).data)

    @extend_schema(operation_id="quotas_create", request=QuotaAsked, responses={201: QuotaShape, **REFUSED, **MISPUT})
    def post(self, request: Request) -> Response:
        """A new quota."""
        given = QuotaAsked(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(QuotaShape(_usage(given.write())).data, status=201)


class OneQuota(Door):
    needs = {"GET": "jobs.view_quota", "PATCH": "jobs.change_quota"}

    @extend_schema(operation_id="quotas_show", parameters=[ETAG], responses={200: QuotaShape, **REFUSED, **MISSING})
    def get(self, request: Request, quota: str) -> Response:
        """How it stands."""
        return _one(_found(quota))

    @extend_schema(
        operation_id="quotas_update",
        request=QuotaAsked,
        parameters=VERSIONS,
        responses={200: QuotaShape, **REFUSED, **MISSING, **STALE, **MISPUT},
    )
    def patch(self, request: Request, quota: str) -> Response:
        """Other windows, or another name; they hold from now on, and what was used counts in them."""
        row = _found(quota)
        with unless_stale(row, request):
            given = QuotaAsked(Quota.objects.get(pk=row.pk), data=request.data, partial=True)
            given.is_valid(raise_exception=True)
            row = given.write()
        return _one(row)


class Pause(Door):
    needs = {"POST": "jobs.pause_quota"}

    @extend_schema(
        operation_id="quotas_pause", request=PauseAsked, responses={200: QuotaShape, **REFUSED, **MISSING, **MISPUT}
    )
    def post(self, request: Request, quota: str) -> Response:
        """Let nothing through."""
        given = PauseAsked(data=request.data)
        given.is_valid(raise_exception=True)
        row = pause(_found(quota).name, at=clock.now(), by=name_of(request), **given.validated_data)
        return Response(QuotaShape(_usage(row)).data)


class Open(Door):
    needs = {"POST": "jobs.pause_quota"}

    @extend_schema(operation_id="quotas_open", request=None, responses={200: QuotaShape, **REFUSED, **MISSING})
    def post(self, request: Request, quota: str) -> Response:
        """End a pause, or what the API asked for."""
        refuse_fields(request)
        row = reopen(_found(quota).name)
        bring_forward(clock.now())
        return Response(QuotaShape(_usage(row)).data)


class Forecast(Door):
    needs = {"GET": "jobs.view_quota"}

    @extend_schema(
        operation_id="quotas_forecast",
        parameters=[ForecastAsked],
        responses={200: ForecastShape, **REFUSED, **MISSING, **MISPUT},
    )
    def get(self, request: Request, quota: str) -> Response:
        """When so many items have found room under its limits, if nobody else uses it."""
        given = asked(ForecastAsked, request)
        items = given.pop("items")
        return Response(ForecastShape({"done_at": forecast(items, _found(quota), clock.now(), **given)}).data)


def _found(name: str) -> Quota:
    row = Quota.objects.filter(name=name).first()
    if row is None:
        raise Http404(f"There is no quota {name[:80]}: `GET /api/v1/quotas` lists them.")
    return row


def _one(row: Quota) -> Response:
    return with_version(Response(QuotaShape(_usage(row)).data), row)


def _usage(row: Quota) -> Usage:
    return usage(row, clock.now())
