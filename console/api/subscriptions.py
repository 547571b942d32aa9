"""What somebody wants to be told of, and in which words."""

from __future__ import annotations

from typing import Any, Final

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.asked import LARGEST, Asked
from console.api.channels import asker_of, checked, user_of
from console.api.door import MISPUT, MISSING, REFUSED, Door, asked, refuse_fields
from console.api.shapes import Moment
from console.api.versions import ETAG, STALE, VERSIONS, unless_stale, with_version
from console.pages.notifications import preview
from jobs import clock
from jobs.models import Channel, Run, Subscription
from jobs.models.channel import Asker
from jobs.models.subscription import OPEN_TO_ALL
from jobs.runs.find import find_pipeline, find_project
from jobs.telling.edit import delete_subscription, save_subscription

PLAIN: Final = (
    "kinds", "is_enabled", "file_name", "every", "expected_by", "expected_days", "waits_seconds", "zone",
    "quiet_from", "quiet_until", "muted_until", "subject", "body",
)  # fmt: skip
HHMM: Final = "%H:%M"


class SubscriptionShape(serializers.Serializer[Any]):
    """A subscription; pipeline and project null: everything."""

    id = serializers.IntegerField(source="pk")
    pipeline = serializers.CharField(source="pipeline.name", default=None, allow_null=True)
    project = serializers.SerializerMethodField(help_text="Of the pipeline, or the project that it is about.")
    kinds = serializers.ListField(child=serializers.CharField())
    channels = serializers.SerializerMethodField(help_text="Their ids; the bell is always there.")
    is_enabled = serializers.BooleanField()
    file_name = serializers.CharField()
    every = serializers.IntegerField()
    expected_by = serializers.TimeField(format=HHMM, allow_null=True)
    expected_days = serializers.CharField()
    waits_seconds = serializers.IntegerField()
    zone = serializers.CharField()
    quiet_from = serializers.TimeField(format=HHMM, allow_null=True)
    quiet_until = serializers.TimeField(format=HHMM, allow_null=True)
    muted_until = Moment(allow_null=True)
    subject = serializers.CharField()
    body = serializers.CharField()
    created_at = Moment()

    def get_project(self, row: Subscription) -> str | None:
        project = row.pipeline.project if row.pipeline else row.project
        return project.name if project else None

    def get_channels(self, row: Subscription) -> list[int]:
        return [channel.pk for channel in row.channels.all()]


class SubscriptionAsked(Asked):
    """What is left out stays as it is; of a new one as the form has it."""

    pipeline = serializers.CharField(
        max_length=300, required=False, allow_null=True, help_text="Its name, or “project/pipeline”; null: all."
    )
    project = serializers.CharField(max_length=80, required=False, allow_null=True, help_text="null: all.")
    kinds = serializers.ListField(
        child=serializers.ChoiceField([(kind.value, kind.label) for kind in OPEN_TO_ALL]), max_length=20
    )
    channels = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=LARGEST), required=False, max_length=50
    )
    is_enabled = serializers.BooleanField(required=False)
    file_name = serializers.CharField(
        max_length=255, required=False, allow_blank=True, help_text="For `file`; * = any."
    )
    every = serializers.IntegerField(min_value=2, max_value=10_000, required=False, help_text="For `still_failing`.")
    expected_by = serializers.TimeField(
        format=HHMM, input_formats=[HHMM], required=False, allow_null=True, help_text="For `late`: HH:MM."
    )
    expected_days = serializers.CharField(max_length=7, required=False, help_text="1 is Monday, 7 is Sunday.")
    waits_seconds = serializers.IntegerField(
        min_value=10, max_value=30 * 86400, required=False, help_text="For `waiting`."
    )
    zone = serializers.CharField(max_length=64, required=False)
    quiet_from = serializers.TimeField(format=HHMM, input_formats=[HHMM], required=False, allow_null=True)
    quiet_until = serializers.TimeField(format=HHMM, input_formats=[HHMM], required=False, allow_null=True)
    muted_until = Moment(required=False, allow_null=True)
    subject = serializers.CharField(max_length=200, required=False, allow_blank=True)
    body = serializers.CharField(max_length=4_000, required=False, allow_blank=True)


class SubscriptionChanged(SubscriptionAsked):
    kinds = serializers.ListField(
        child=serializers.ChoiceField([(kind.value, kind.label) for kind in OPEN_TO_ALL]),
        max_length=20,
        required=False,
    )


class PreviewAsked(serializers.Serializer[Any]):
    run = serializers.IntegerField(min_value=1, max_value=LARGEST, help_text="The number of a run.")


class PreviewShape(serializers.Serializer[Any]):
    kind = serializers.CharField()
    subject = serializers.CharField()
    body = serializers.CharField()


class Subscriptions(Door):
    needs = {"GET": "jobs.view_subscription", "POST": "jobs.add_subscription"}

    @extend_schema(operation_id="subscriptions_list", responses={200: SubscriptionShape(many=True), **REFUSED})
    def get(self, request: Request) -> Response:
        """Your own."""
        return Response(SubscriptionShape(_mine(request), many=True).data)

    @extend_schema(
        operation_id="subscriptions_create",
        request=SubscriptionAsked,
        responses={201: SubscriptionShape, **REFUSED, **MISSING, **MISPUT},
    )
    def post(self, request: Request) -> Response:
        """Be told of something."""
        given = checked(SubscriptionAsked, request)
        row = _write(Subscription(owner=user_of(request)), given, [], asker_of(request))
        return Response(SubscriptionShape(row).data, status=201)


class OneSubscription(Door):
    needs = {
        "GET": "jobs.view_subscription",
        "PATCH": "jobs.change_subscription",
        "DELETE": "jobs.delete_subscription",
    }

    @extend_schema(
        operation_id="subscriptions_show", parameters=[ETAG], responses={200: SubscriptionShape, **REFUSED, **MISSING}
    )
    def get(self, request: Request, subscription: int) -> Response:
        """One of yours."""
        row = _found(request, subscription)
        return with_version(Response(SubscriptionShape(row).data), row)

    @extend_schema(
        operation_id="subscriptions_update",
        request=SubscriptionChanged,
        parameters=VERSIONS,
        responses={200: SubscriptionShape, **REFUSED, **MISSING, **STALE, **MISPUT},
    )
    def patch(self, request: Request, subscription: int) -> Response:
        """Change it; `muted_until` mutes it."""
        row, given = _found(request, subscription), checked(SubscriptionChanged, request)
        with unless_stale(row, request):
            row = _found(request, subscription)
            _write(row, given, list(row.channels.all()), asker_of(request))
        row = _found(request, subscription)
        return with_version(Response(SubscriptionShape(row).data), row)

    @extend_schema(operation_id="subscriptions_delete", request=None, responses={204: None, **REFUSED, **MISSING})
    def delete(self, request: Request, subscription: int) -> Response:
        """Be told no longer."""
        refuse_fields(request)
        delete_subscription(_found(request, subscription))
        return Response(status=204)


class Preview(Door):
    needs = {"GET": "jobs.view_subscription"}

    @extend_schema(
        operation_id="subscriptions_preview",
        parameters=[PreviewAsked],
        responses={200: PreviewShape(many=True), **REFUSED, **MISSING, **MISPUT},
    )
    def get(self, request: Request, subscription: int) -> Response:
        """What it would say of this run."""
        row, number = _found(request, subscription), asked(PreviewAsked, request)["run"]
        run = Run.objects.select_related("pipeline__project").filter(pk=number).first()
        if run is None:
            raise Http404(f"There is no run {number}.")
        words = [
            {"kind": kind, "subject": subject, "body": body} for kind, subject, body in preview(row, run, clock.now())
        ]
        return Response(PreviewShape(words, many=True).data)


def _mine(request: Request) -> Any:
    rows = Subscription.objects.filter(owner=request.user.pk).select_related("pipeline__project", "project")
    return rows.prefetch_related("channels")


def _found(request: Request, number: int) -> Subscription:
    row: Subscription | None = _mine(request).filter(pk=number).first()
    if row is None:
        raise Http404(f"You have no subscription {number}: `GET /api/v1/subscriptions` lists yours.")
    return row


def _write(row: Subscription, given: dict[str, Any], channels: list[Channel], by: Asker) -> Subscription:
    """The row with what was given; a sentence for each field that cannot be."""
    for name in PLAIN:
        if name in given:
            setattr(row, name, given[name])
    _point(row, given)
    if "channels" in given:
        channels = list(Channel.objects.filter(pk__in=given["channels"]))
        if missing := set(given["channels"]) - {channel.pk for channel in channels}:
            raise serializers.ValidationError({"channels": f"There is no channel {min(missing)}."})
    save_subscription(row, channels, by=by, at=clock.now())
    return row


def _point(row: Subscription, given: dict[str, Any]) -> None:
    """What it is about: a pipeline by its name, a project, or neither."""
    if "project" in given and not given.get("pipeline"):
        row.project = find_project(given["project"]) if given["project"] else None
    if "pipeline" in given:
        row.pipeline = find_pipeline(given["pipeline"], given.get("project") or "") if given["pipeline"] else None
    if row.pipeline and given.get("pipeline"):
        row.project = None
