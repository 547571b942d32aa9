"""Who is told of what and over which channels: looked at here, switched on and off, tried, muted and deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from console.admin.lists import AMONG, Facts, link, run_link
from jobs import clock
from jobs.models import Channel, Delivery, News, Notice, Subscription
from jobs.models.act import recorded
from jobs.telling.edit import delete_channel, delete_subscription, mute, send_test

STATE_COLOURS = {"working": "success", "failing": "danger", "trying": "warning", "off": "info", "unused": "info"}
DELIVERY_COLOURS = {"waiting": "info", "sent": "success", "failed": "danger"}


class ForKeepers(Facts):
    """What belongs to people is for those who keep all channels."""

    ordering: tuple[str, ...] = ("-id",)
    sortable_by = ()

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("jobs.change_channel")

    def has_keep_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.change_channel")


def _switch(row: Channel | Subscription, *, is_enabled: bool) -> None:
    with recorded("switched on" if is_enabled else "switched off", row):
        row.is_enabled = is_enabled
        row.save(update_fields=["is_enabled"])


@admin.register(Channel)
class ChannelAdmin(ForKeepers):
    list_display = ("name", "kind", "of", "address_hint", "state", "last_sent_at", "page")
    list_select_related = ("owner",)
    list_filter = ("kind", "is_enabled")
    search_fields = ("name", "owner__username")
    actions = ("switch_on", "switch_off", "test", "drop")
    fields = (
        *("page", "name", "kind", "of", "address_hint", "state", "is_enabled", "failing_since", "failures"),
        *("last_error", "last_sent_at", "created_at"),
    )

    @display(description="Owner")
    def of(self, channel: Channel) -> str:
        return str(channel.owner or "shared")

    @display(description="Address")
    def address_hint(self, channel: Channel) -> str:
        return channel.hint

    @display(description="State", label=STATE_COLOURS)
    def state(self, channel: Channel) -> str:
        return channel.state

    @display(description="Page")
    def page(self, channel: Channel) -> str:
        return link("Change", channel.get_absolute_url())

    @admin.action(description="Switch on", permissions=["keep"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        self._each(request, queryset, "Switched on.", lambda row: _switch(row, is_enabled=True))

    @admin.action(description="Switch off", permissions=["keep"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        self._each(request, queryset, "Switched off.", lambda row: _switch(row, is_enabled=False))

    @admin.action(description="Send a test", permissions=["keep"])
    def test(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        by, at = request.user.get_username(), clock.now()
        self._each(request, queryset, "On its way: see Deliveries.", lambda row: send_test(row, by=by, at=at))

    @admin.action(description="Delete, with what was sent", permissions=["keep"])
    def drop(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        self._each(request, queryset, "Deleted.", delete_channel)

    def _each(self, request: HttpRequest, rows: QuerySet[Channel], said: str, do: Any) -> None:
        for row in rows:
            do(row)
        self.message_user(request, said, messages.SUCCESS)


@admin.register(Subscription)
class SubscriptionAdmin(ForKeepers):
    list_display = ("about_what", "owner", "news", "is_enabled", "muted_until")
    list_select_related = ("owner", "pipeline__project", "project")
    list_filter = ("is_enabled",)
    search_fields = ("owner__username", "pipeline__name", "project__name", "file_name")
    actions = ("mute_a_day", "unmute", "switch_on", "switch_off", "drop")
    fields = (
        *("about_what", "owner", "news", "over", "is_enabled", "muted_until", "file_name", "every", "expected_by"),
        *("expected_days", "waits_seconds", "zone", "quiet_from", "quiet_until", "subject", "body", "created_at"),
    )

    @display(description="About")
    def about_what(self, row: Subscription) -> str:
        return row.about

    @display(description="Told of")
    def news(self, row: Subscription) -> str:
        return row.in_words

    @display(description="Over")
    def over(self, row: Subscription) -> str:
        return row.over or "the bell alone"

    @admin.action(description="Mute for a day", permissions=["keep"])
    def mute_a_day(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        until = clock.now() + timedelta(days=1)
        self._each(request, queryset, "Muted for a day.", lambda row: mute(row, until))

    @admin.action(description="Tell again", permissions=["keep"])
    def unmute(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        self._each(request, queryset, "They are told again.", lambda row: mute(row, None))

    @admin.action(description="Switch on", permissions=["keep"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        self._each(request, queryset, "Switched on.", lambda row: _switch(row, is_enabled=True))

    @admin.action(description="Switch off", permissions=["keep"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        self._each(request, queryset, "Switched off.", lambda row: _switch(row, is_enabled=False))

    @admin.action(description="Delete", permissions=["keep"])
    def drop(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        self._each(request, queryset, "Deleted.", delete_subscription)

    def _each(self, request: HttpRequest, rows: QuerySet[Subscription], said: str, do: Any) -> None:
        for row in rows:
            do(row)
        self.message_user(request, said, messages.SUCCESS)


@admin.register(News)
class NewsAdmin(Facts):
    list_display = ("title", "kind", "at", "times", "ended_at", "of_run")
    list_filter = ("kind",)
    search_fields = ("title",)
    search_help_text = f"A part of a title, {AMONG}"
    ordering = ("-id",)
    sortable_by = ()
    fields = ("title", "kind", "key", "pipeline", "of_run", "at", "last_at", "times", "ended_at", "facts")

    @display(description="Run")
    def of_run(self, news: News) -> str:
        return run_link(news.run_id) if news.run_id else "–"


@admin.register(Notice)
class NoticeAdmin(ForKeepers):
    list_display = ("news", "user", "at", "read_at")
    list_select_related = ("news", "user")
    search_fields = ("user__username", "news__title")
    search_help_text = f"A person or a part of a title, {AMONG}"


@admin.register(Delivery)
class DeliveryAdmin(ForKeepers):
    list_display = ("news", "channel", "state", "attempts", "answer", "due_at", "sent_at")
    list_select_related = ("news", "channel")
    list_filter = ("status",)
    search_fields = ("news__title", "channel__name", "answer")
    search_help_text = f"A title, a channel or a part of an answer, {AMONG}"
    fields = (
        *("news", "channel", "state", "attempts", "answer", "seconds", "created_at", "due_at", "sent_at"),
        *("subject", "body"),
    )

    @display(description="State", label=DELIVERY_COLOURS)
    def state(self, delivery: Delivery) -> str:
        return delivery.status
