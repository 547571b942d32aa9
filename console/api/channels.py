"""Ways to reach people: mail, chat, signed webhooks; and what was sent over them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.asked import LARGEST, Asked
from console.api.door import MISPUT, MISSING, REFUSED, Door, asked, refuse_fields
from console.api.permissions import may, name_of
from console.api.shapes import Moment
from console.api.versions import ETAG, STALE, VERSIONS, unless_stale, with_version
from jobs import clock
from jobs.models import Channel, Delivery
from jobs.models.channel import Asker
from jobs.states import ChannelKind, DeliveryStatus
from jobs.telling.edit import delete_channel, may_change, save_channel, send_test


class ChannelShape(serializers.Serializer[Any]):
    """A channel; its address is never told whole."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    kind = serializers.ChoiceField(ChannelKind.choices)
    address = serializers.CharField(source="hint", help_text="Enough of it to tell it from others.")
    owner = serializers.CharField(source="owner.username", default=None, allow_null=True, help_text="null: shared.")
    is_enabled = serializers.BooleanField()
    state = serializers.CharField(help_text="off, unused, working, trying (it failed lately) or failing.")
    failing_since = Moment(allow_null=True)
    last_sent_at = Moment(allow_null=True)
    last_error = serializers.CharField()


class NewChannelShape(ChannelShape):
    secret = serializers.CharField(help_text="Signs what a webhook is sent; told now and never again. Else empty.")


class ChannelAsked(Asked):
    """What is left out stays as it is."""

    name = serializers.CharField(max_length=100)
    kind = serializers.ChoiceField(ChannelKind.choices)
    address = serializers.CharField(max_length=2_000, help_text="A mail address, a service's address, or a URL.")
    is_shared = serializers.BooleanField(
        required=False, default=False, help_text="For all whose role may use it; only an admin makes such ones."
    )
    is_enabled = serializers.BooleanField(required=False, default=True)


class ChannelChanged(Asked):
    """What is left out stays as it is."""

    name = serializers.CharField(max_length=100, required=False)
    address = serializers.CharField(max_length=2_000, required=False)
    is_enabled = serializers.BooleanField(required=False)


class DeliveryShape(serializers.Serializer[Any]):
    """News on its way over a channel."""

    id = serializers.IntegerField(source="pk")
    kind = serializers.CharField(source="news.kind")
    title = serializers.CharField(source="news.title")
    run = serializers.IntegerField(source="news.run_id", allow_null=True, help_text="The number of its run.")
    channel = serializers.IntegerField(source="channel_id")
    channel_name = serializers.CharField(source="channel.name")
    status = serializers.ChoiceField(DeliveryStatus.choices)
    attempts = serializers.IntegerField()
    answer = serializers.CharField(help_text="What the other side said last, or why it could not be reached.")
    created_at = Moment()
    next_try_at = serializers.SerializerMethodField(help_text="null: it was sent, or given up.")
    sent_at = Moment(allow_null=True)

    def get_next_try_at(self, row: Delivery) -> str | None:
        return Moment().to_representation(row.due_at) if row.status == DeliveryStatus.WAITING else None


class DeliveriesAsked(serializers.Serializer[Any]):
    channel = serializers.IntegerField(min_value=1, max_value=LARGEST, required=False, default=None)
    status = serializers.ChoiceField(DeliveryStatus.choices, required=False, default="")
    before = serializers.IntegerField(
        min_value=1, max_value=LARGEST, required=False, default=None, help_text="Deliveries older than this id."
    )
    limit = serializers.IntegerField(min_value=1, max_value=500, required=False, default=50)


class Channels(Door):
    needs = {"GET": "jobs.view_channel", "POST": "jobs.add_channel"}

    @extend_schema(operation_id="channels_list", responses={200: ChannelShape(many=True), **REFUSED})
    def get(self, request: Request) -> Response:
        """Your own channels and those that you may use; an admin sees all."""
        rows = Channel.objects.seen_by(asker_of(request)).select_related("owner")
        return Response(ChannelShape(rows, many=True).data)

    @extend_schema(
        operation_id="channels_create", request=ChannelAsked, responses={201: NewChannelShape, **REFUSED, **MISPUT}
    )
    def post(self, request: Request) -> Response:
        """A new channel. Who is no admin makes a mail to the address of their own account."""
        given, by = checked(ChannelAsked, request), asker_of(request)
        is_own_mail = given["kind"] == ChannelKind.MAIL and not given["is_shared"]
        if not is_own_mail and not by.is_keeper:
            raise PermissionDenied("Your role may only add a mail to the address of your own account.")
        owner = None if given["is_shared"] else user_of(request)
        row = Channel(name=given["name"], kind=given["kind"], is_enabled=given["is_enabled"], owner=owner)
        secret = save_channel(row, by=by, at=clock.now(), address=given["address"])
        return Response({**ChannelShape(row).data, "secret": secret}, status=201)


class OneChannel(Door):
    needs = {"GET": "jobs.view_channel", "PATCH": "jobs.add_channel", "DELETE": "jobs.add_channel"}

    @extend_schema(operation_id="channels_show", parameters=[ETAG], responses={200: ChannelShape, **REFUSED, **MISSING})
    def get(self, request: Request, channel: int) -> Response:
        """One channel and how it stands."""
        row = _seen(request, channel)
        return with_version(Response(ChannelShape(row).data), row)

    @extend_schema(
        operation_id="channels_update",
        request=ChannelChanged,
        parameters=VERSIONS,
        responses={200: ChannelShape, **REFUSED, **MISSING, **STALE, **MISPUT},
    )
    def patch(self, request: Request, channel: int) -> Response:
        """Another name or address, or off; a webhook keeps its secret."""
        row, given = _mine(request, channel), checked(ChannelChanged, request)
        with unless_stale(row, request):
            row = _mine(request, channel)
            row.name, row.is_enabled = given.get("name", row.name), given.get("is_enabled", row.is_enabled)
            save_channel(row, by=asker_of(request), at=clock.now(), address=given.get("address"))
        return with_version(Response(ChannelShape(row).data), row)

    @extend_schema(operation_id="channels_delete", request=None, responses={204: None, **REFUSED, **MISSING})
    def delete(self, request: Request, channel: int) -> Response:
        """Gone, with the record of what was sent over it."""
        refuse_fields(request)
        delete_channel(_mine(request, channel))
        return Response(status=204)


class TestChannel(Door):
    needs = {"POST": "jobs.add_channel"}

    @extend_schema(operation_id="channels_test", request=None, responses={202: DeliveryShape, **REFUSED, **MISSING})
    def post(self, request: Request, channel: int) -> Response:
        """Send a message over it now; `GET /deliveries` says what came of it."""
        refuse_fields(request)
        row = send_test(_mine(request, channel), by=name_of(request), at=clock.now())
        return Response(DeliveryShape(row).data, status=202)


class Deliveries(Door):
    needs = {"GET": "jobs.view_delivery"}

    @extend_schema(
        operation_id="deliveries_list",
        parameters=[DeliveriesAsked],
        responses={200: DeliveryShape(many=True), **REFUSED, **MISPUT},
    )
    def get(self, request: Request) -> Response:
        """What was sent for you, or over your channels, the newest first; an admin sees all."""
        given = asked(DeliveriesAsked, request)
        rows = Delivery.objects.seen_by(asker_of(request)).select_related("news", "channel").order_by("-id")
        rows = rows.filter(channel=given["channel"]) if given["channel"] else rows
        rows = rows.filter(status=given["status"]) if given["status"] else rows
        rows = rows.filter(pk__lt=given["before"]) if given["before"] else rows
        return Response(DeliveryShape(rows[: given["limit"]], many=True).data)


def asker_of(request: Request) -> Asker:
    """Who asks: a token is allowed no more than its role."""
    return Asker(request.user, may(request, "jobs.change_channel"), may(request, "jobs.use_channel"))


def user_of(request: Request) -> User:
    """Whose it will be; a program without a token is nobody."""
    if not isinstance(request.user, User):
        raise PermissionDenied("This belongs to a person: log in, or send a token of theirs.")
    return request.user


def checked(shape: type[Asked], request: Request) -> dict[str, Any]:
    given = shape(data=request.data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


def _seen(request: Request, number: int) -> Channel:
    row = Channel.objects.seen_by(asker_of(request)).select_related("owner").filter(pk=number).first()
    if row is None:
        raise Http404(f"There is no channel {number}: `GET /api/v1/channels` lists them.")
    return row


def _mine(request: Request, number: int) -> Channel:
    row = _seen(request, number)
    if not may_change(asker_of(request), row):
        raise PermissionDenied("This channel is shared: an admin changes it.")
    return row
