"""What one is told: the news under the bell, subscriptions, channels, deliveries, and what a message would say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.forms.telling_forms import ChannelForm, SubscriptionForm
from console.pages import notifications as shown
from console.views.access import ConsoleRequest, back, needs
from console.views.shell import page, status_of
from console.whole_number import whole_number
from jobs import clock
from jobs.models import Channel, Notice, Pipeline, Run, Subscription
from jobs.models.channel import Asker
from jobs.models.subscription import USUAL_KINDS
from jobs.states import NewsKind
from jobs.telling.edit import delete_channel, delete_subscription, may_change, mute, notify_me, send_test
from jobs.telling.words import FACTS

MUTES: Final = {"1": "for an hour", "8": "for 8 hours", "24": "for a day", "168": "for a week"}


@require_GET
@needs("jobs.view_notice")
def notifications(request: ConsoleRequest) -> HttpResponse:
    """The page; for htmx the deliveries alone."""
    before = whole_number(request.GET.get("before", ""))
    context: dict[str, Any] = {"deliveries": shown.deliveries(request.user)[: shown.SHOWN], "at": clock.now()}
    if request.htmx:
        return render(request, "notifications/_deliveries.html", context)
    notices, asker = shown.notices(request.user, before), Asker.of(request.user)
    more = {
        "notices": notices[: shown.SHOWN],
        "older": notices[shown.SHOWN - 1].pk if len(notices) > shown.SHOWN else None,
        "subscriptions": shown.subscriptions(request.user),
        "channels": [(row, may_change(asker, row)) for row in Channel.objects.seen_by(asker).select_related("owner")],
        "mutes": MUTES,
    }
    return page(request, "notifications/index.html", {**context, **more}, title="Notifications")


@require_GET
@needs("jobs.view_notice")
def bell(request: ConsoleRequest) -> HttpResponse:
    """The bell alone, as it stands now."""
    return render(request, "notifications/_bell.html", {"bell": shown.bell(request.user)})


@require_POST
@needs("jobs.view_notice")
def notices_read(request: ConsoleRequest) -> HttpResponse:
    """All that was shown is read; what came since then is not."""
    Notice.objects.read(request.user.pk or 0, clock.now(), whole_number(request.POST.get("up_to", "")))
    return redirect(back(request, "notifications"))


@require_GET
@needs("jobs.view_notice")
def notice(request: ConsoleRequest, pk: int) -> HttpResponse:
    """Read it, and go to what it is about."""
    row = get_object_or_404(Notice.objects.select_related("news"), pk=pk, user=request.user)
    Notice.objects.filter(pk=row.pk, read_at=None).update(read_at=clock.now())
    return redirect(row.news.place)


# ---- subscriptions


def _mine(request: ConsoleRequest, pk: int) -> Subscription:
    return get_object_or_404(Subscription.objects.select_related("pipeline__project"), pk=pk, owner=request.user)


@require_http_methods(["GET", "POST"])
@needs("jobs.add_subscription")
def subscription_new(request: ConsoleRequest) -> HttpResponse:
    """The form; a link to it may name a pipeline, or a file."""
    row = Subscription(owner=request.user, kinds=[str(kind) for kind in USUAL_KINDS])
    if name := request.GET.get("file", "")[:255]:
        row.file_name, row.kinds = name, [str(NewsKind.FILE)]
    number = whole_number(request.GET.get("pipeline", ""))
    row.pipeline = Pipeline.objects.filter(pk=number).first() if number else None
    mine = [channel.pk for channel in Channel.objects.filter(owner=request.user)]
    return _edit(request, row, "New subscription", channels=mine)


@require_http_methods(["GET", "POST"])
@needs("jobs.change_subscription")
def subscription(request: ConsoleRequest, pk: int) -> HttpResponse:
    row = _mine(request, pk)
    return _edit(request, row, "Subscription", channels=[channel.pk for channel in row.channels.all()])


def _edit(request: ConsoleRequest, row: Subscription, title: str, *, channels: list[int]) -> HttpResponse:
    form = SubscriptionForm(request.POST or None, instance=row, initial={"channels": channels})
    if request.method == "POST" and form.is_valid() and form.saved_as_seen(lambda: form.write(clock.now())):
        messages.success(request, f"You are told of {row.about}: {row.in_words}.")
        return redirect("notifications")
    context = {"form": form, "subscription": row if row.pk else None, "facts": FACTS}
    return page(request, "notifications/subscription.html", context, title=title, status=status_of(form))


@require_POST
@needs("jobs.add_subscription")
def subscription_preview(request: ConsoleRequest) -> HttpResponse:
    """What a message would say of a run: the one that is named, else the newest that ended."""
    form = SubscriptionForm(request.POST, instance=Subscription(owner=request.user))
    form.is_valid()
    asked = request.POST.get("with_run", "").strip().removeprefix("#")
    runs = Run.objects.select_related("pipeline__project")
    if form.instance.pipeline_id and not asked:
        runs = runs.filter(pipeline=form.instance.pipeline_id)
    run = runs.filter(pk=whole_number(asked) or 0).first() if asked else runs.final().order_by("-id").first()
    wrong = {name: form.errors[name] for name in ("subject", "body") if name in form.errors}
    seen = shown.preview(form.instance, run, clock.now()) if run and not wrong else []
    return render(request, "notifications/_preview.html", {"run": run, "seen": seen, "wrong": wrong})


@require_POST
@needs("jobs.change_subscription")
def subscription_mute(request: ConsoleRequest, pk: int) -> HttpResponse:
    """Tell nothing for some hours; without hours: tell again."""
    row, hours = _mine(request, pk), request.POST.get("hours", "")
    mute(row, clock.now() + timedelta(hours=int(hours)) if hours in MUTES else None)
    said = f"You hear nothing of {row.about} {MUTES[hours]}." if hours in MUTES else f"You hear of {row.about} again."
    messages.success(request, said)
    return redirect("notifications")


@require_POST
@needs("jobs.delete_subscription")
def subscription_delete(request: ConsoleRequest, pk: int) -> HttpResponse:
    row = _mine(request, pk)
    delete_subscription(row)
    messages.success(request, f"You are no longer told of {row.about}.")
    return redirect("notifications")


@require_POST
@needs("jobs.add_subscription")
def pipeline_notify(request: ConsoleRequest, pk: int) -> HttpResponse:
    """One button: be told of this pipeline."""
    row = get_object_or_404(Pipeline.objects.select_related("project"), pk=pk)
    made = notify_me(row, request.user, clock.now())
    over = ", ".join(str(channel) for channel in made.channels.all())
    where = f"under the bell and over {over}" if over else "under the bell; for mail, add a channel"
    messages.success(request, f"You are told of {row}: {made.in_words}, {where}.")
    return redirect("pipeline", pk)


# ---- channels


def _channel(request: ConsoleRequest, pk: int) -> Channel:
    asker = Asker.of(request.user)
    row = get_object_or_404(Channel.objects.seen_by(asker), pk=pk)
    if not may_change(asker, row):
        raise Http404("There is no such channel of yours.")
    return row


@require_http_methods(["GET", "POST"])
@needs("jobs.add_channel")
def channel_new(request: ConsoleRequest) -> HttpResponse:
    return _edit_channel(request, Channel(), "New channel")


@require_http_methods(["GET", "POST"])
@needs("jobs.add_channel")
def channel(request: ConsoleRequest, pk: int) -> HttpResponse:
    row = _channel(request, pk)
    return _edit_channel(request, row, f"Channel {row}")


def _edit_channel(request: ConsoleRequest, row: Channel, title: str) -> HttpResponse:
    form = ChannelForm(request.POST or None, instance=row, by=Asker.of(request.user))
    if request.method == "POST" and form.is_valid() and form.saved_as_seen(lambda: form.write(clock.now())):
        messages.success(request, f"{row} is saved: send a test over it.")
        if form.secret:
            said = f"It signs with the secret {form.secret}: keep it now, it is not shown again."
            messages.warning(request, said)
        return redirect("notifications")
    context = {"form": form, "channel": row if row.pk else None}
    return page(request, "notifications/channel.html", context, title=title, status=status_of(form))


@require_POST
@needs("jobs.add_channel")
def channel_test(request: ConsoleRequest, pk: int) -> HttpResponse:
    row = _channel(request, pk)
    send_test(row, by=request.user.get_username(), at=clock.now())
    messages.success(request, f"A test over {row} is on its way: its answer comes under Deliveries.")
    return redirect("notifications")


@require_POST
@needs("jobs.add_channel")
def channel_delete(request: ConsoleRequest, pk: int) -> HttpResponse:
    row = _channel(request, pk)
    delete_channel(row)
    messages.success(request, f"The channel {row} was deleted.")
    return redirect("notifications")


urlpatterns = [
    path("notifications/", notifications, name="notifications"),
    path("notifications/bell/", bell, name="bell"),
    path("notifications/read/", notices_read, name="notices_read"),
    path("notifications/news/<int:pk>/", notice, name="notice"),
    path("notifications/subscriptions/new/", subscription_new, name="subscription_new"),
    path("notifications/subscriptions/preview/", subscription_preview, name="subscription_preview"),
    path("notifications/subscriptions/<int:pk>/", subscription, name="subscription"),
    path("notifications/subscriptions/<int:pk>/mute/", subscription_mute, name="subscription_mute"),
    path("notifications/subscriptions/<int:pk>/delete/", subscription_delete, name="subscription_delete"),
    path("notifications/channels/new/", channel_new, name="channel_new"),
    path("notifications/channels/<int:pk>/", channel, name="channel"),
    path("notifications/channels/<int:pk>/test/", channel_test, name="channel_test"),
    path("notifications/channels/<int:pk>/delete/", channel_delete, name="channel_delete"),
    path("pipelines/<int:pk>/notify/", pipeline_notify, name="pipeline_notify"),
]
