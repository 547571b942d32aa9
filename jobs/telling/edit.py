"""Make, change and try channels and subscriptions: what every door asks, with a sentence for each wrong field."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from jobs.errors import BadParameters, did_you_mean, nearest_of
from jobs.models import Channel, Delivery, Pipeline, Subscription
from jobs.models.act import record, recorded
from jobs.models.channel import Asker
from jobs.models.subscription import LOOKED_FOR, OPEN_TO_ALL, USUAL_KINDS
from jobs.states import ChannelKind, NewsKind
from jobs.telling.service import SERVICES
from jobs.telling.tell import Tidings, begin, send
from jobs.telling.ways import check_service
from jobs.telling.words import refusal
from kedro_console.wire import Json

SECRET_BYTES: Final = 32
LONGEST_ADDRESS: Final = 2_000
COLUMNS: Final = (*Channel.EDITED, "secret")


def may_change(asker: Asker, channel: Channel) -> bool:
    """Whose channel it is, and admins."""
    return asker.is_keeper or (channel.owner_id is not None and channel.owner_id == asker.user.pk)


def save_channel(channel: Channel, *, by: Asker, at: datetime, address: str | None = None) -> str:
    """Write it, with another address if one is given; the secret that signs a new webhook, to be shown once, or "".

    BadParameters has a sentence for each field that cannot be.
    """
    is_new = channel.pk is None
    if address is not None:
        channel.address = address.strip()
    if wrong := _wrong_channel(channel, by, has_new_address=address is not None or is_new):
        raise BadParameters(wrong)
    made = ""
    if channel.kind == ChannelKind.WEBHOOK and not channel.secret:
        channel.secret = made = secrets.token_urlsafe(SECRET_BYTES)
    if address is not None:
        channel.failures, channel.failing_since, channel.last_error = 0, None, ""
    columns = [*COLUMNS, *(("failures", "failing_since", "last_error") if address is not None else ())]
    _write(channel, columns, is_new=is_new, at=at)
    return made


def _write(channel: Channel, columns: list[str], *, is_new: bool, at: datetime) -> None:
    """What is sent over it meanwhile notes its own columns."""
    channel.created_at = channel.created_at or at
    try:
        with transaction.atomic():
            if is_new:
                channel.save()
                record("added", channel, after={"kind": channel.kind, "shared": channel.owner_id is None})
            else:
                with recorded("changed", channel):
                    channel.save(update_fields=columns)
    except IntegrityError as error:
        raise BadParameters({"name": "There is a channel of this name."}) from error


def _wrong_channel(channel: Channel, by: Asker, *, has_new_address: bool) -> dict[str, str]:
    wrong: dict[str, str] = {}
    if not channel.name.strip():
        wrong["name"] = "Give it a name."
    if channel.kind not in ChannelKind.values:
        wrong["kind"] = f"Write one of {', '.join(ChannelKind.values)}."
    elif has_new_address and (why := _wrong_address(channel, by)):
        wrong["address"] = why
    return wrong


def _wrong_address(channel: Channel, by: Asker) -> str:
    address = str(channel.address or "")
    if not address or len(address) > LONGEST_ADDRESS or not address.isprintable():
        return "Write the address, in one line."
    if channel.kind == ChannelKind.MAIL:
        return _wrong_mail(address, by)
    if not by.is_keeper:
        return "Your role may only add a mail to the address of your own account."
    if channel.kind == ChannelKind.WEBHOOK:
        return _wrong_url(address)
    scheme = address.partition("://")[0].lower()
    if "://" not in address or scheme not in SERVICES:
        hint = did_you_mean(nearest_of(scheme[:40], SERVICES), " docs/notifications.md lists them.")
        return f"It has to begin with the name of a service and ://, such as slack:// or ntfy://.{hint}"
    return check_service(address)


def _wrong_mail(address: str, by: Asker) -> str:
    """Whoever is no admin writes to the address of their own account alone."""
    try:
        validate_email(address)
    except ValidationError:
        return "Write one mail address, such as olga@example.org."
    if by.is_keeper:
        return ""
    mine = by.user.email if isinstance(by.user, User) else ""
    if not mine:
        return "Your account has no mail address: an admin enters it under People → Users."
    return "" if address.lower() == mine.lower() else f"Write the address of your account, {mine}."


def _wrong_url(address: str) -> str:
    try:
        parts = urlsplit(address)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole:
        return "Write a whole address that begins with https:// or http://."
    if parts.username or parts.password or parts.fragment:
        return "Write it without a login and without #: what is sent is signed instead."
    return ""


def delete_channel(channel: Channel) -> None:
    """With what was sent over it; subscriptions that name it stay."""
    with transaction.atomic():
        record("deleted", channel, before={"kind": channel.kind})
        channel.delete()


def send_test(channel: Channel, *, by: str, at: datetime) -> Delivery:
    """Something to be sent over it now: its delivery, which says what came of it."""
    key = f"test:{channel.pk}:{secrets.token_hex(8)}"
    title = f"A test of the channel {channel}, sent by {by or 'somebody'}"
    with transaction.atomic():
        news, _ = begin(Tidings(NewsKind.TEST, key, title), at)
        send(news, [(channel, None)], at)
        record("tested", channel)
    return Delivery.objects.get(news=news, channel=channel)


# ---- subscriptions


def check_subscription(subscription: Subscription, channels: list[Channel], by: Asker) -> dict[str, str]:
    """A sentence for each field that cannot be; {} when it can be written."""
    found = {
        "kinds": _wrong_kinds(subscription),
        "file_name": _wrong_file(subscription),
        "expected_by": _wrong_time(subscription),
        "expected_days": _wrong_days(subscription.expected_days),
        "zone": _wrong_zone(subscription.zone),
        "quiet_until": _wrong_quiet(subscription),
        "subject": refusal(subscription.subject),
        "body": refusal(subscription.body),
        "channels": _wrong_channels(subscription, channels, by),
        "pipeline": "Choose a pipeline or a project, not both."
        if subscription.pipeline_id and subscription.project_id
        else "",
    }
    return {name: why for name, why in found.items() if why}


def _wrong_kinds(subscription: Subscription) -> str:
    if not subscription.kinds:
        return "Choose what you want to be told of."
    names = [str(kind) for kind in OPEN_TO_ALL]
    unknown = next((str(kind) for kind in subscription.kinds if kind not in names), "")
    return f"There is no news “{unknown[:40]}”.{did_you_mean(nearest_of(unknown[:40], names))}" if unknown else ""


def _wrong_file(subscription: Subscription) -> str:
    has_name = bool(subscription.file_name.strip())
    if (NewsKind.FILE in subscription.kinds) == has_name:
        return ""
    return "This name is used with “new file” alone." if has_name else "Write the name of the file."


def _wrong_time(subscription: Subscription) -> str:
    if NewsKind.LATE not in subscription.kinds:
        return ""
    if subscription.expected_by is None:
        return "Write until when it is expected, as HH:MM."
    return "" if subscription.pipeline_id else "Choose the pipeline that is expected by then."


def _wrong_days(days: str) -> str:
    return "" if days and set(days) <= set("1234567") else "Write digits from 1 (Monday) to 7 (Sunday), such as 12345."


def _wrong_zone(zone: str) -> str:
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        return "Write a time zone such as Europe/Berlin."
    return ""


def _wrong_quiet(subscription: Subscription) -> str:
    is_half = (subscription.quiet_from is None) != (subscription.quiet_until is None)
    return "Quiet hours need both a beginning and an end." if is_half else ""


def _wrong_channels(subscription: Subscription, channels: list[Channel], by: Asker) -> str:
    """What it names already may stay."""
    usable = set(Channel.objects.usable_by(by).values_list("pk", flat=True))
    if subscription.pk:
        usable |= set(subscription.channels.values_list("pk", flat=True))
    strange = next((each for each in channels if each.pk not in usable), None)
    return f"You cannot be told over the channel {strange}: it is not yours." if strange else ""


def save_subscription(subscription: Subscription, channels: list[Channel], *, by: Asker, at: datetime) -> None:
    """Write it and over which channels it speaks; BadParameters has a sentence for each field that cannot be."""
    if wrong := check_subscription(subscription, channels, by):
        raise BadParameters(wrong)
    subscription.created_at = subscription.created_at or at
    subscription.kinds = list(dict.fromkeys(subscription.kinds))
    subscription.is_looked_for = bool(LOOKED_FOR.intersection(subscription.kinds))
    with transaction.atomic():
        if subscription.pk is None:
            subscription.save()
            subscription.channels.set(channels)
            record("added", subscription, after=_told(subscription, channels))
        else:
            with recorded("changed", subscription):
                subscription.save()
                subscription.channels.set(channels)


def _told(subscription: Subscription, channels: list[Channel]) -> dict[str, Json]:
    return {"about": subscription.about, "kinds": subscription.kinds, "channels": [str(each) for each in channels]}


def mute(subscription: Subscription, until: datetime | None) -> None:
    """Tell nothing until then; None: tell again."""
    with transaction.atomic(), recorded("changed", subscription):
        subscription.muted_until = until
        subscription.save(update_fields=["muted_until"])


def delete_subscription(subscription: Subscription) -> None:
    with transaction.atomic():
        record("deleted", subscription, before={"about": subscription.about, "kinds": subscription.kinds})
        subscription.delete()


def notify_me(pipeline: Pipeline, user: User, at: datetime) -> Subscription:
    """What one button does: a subscription of this person to the pipeline, with the channels that are theirs."""
    known = Subscription.objects.filter(owner=user, pipeline=pipeline, is_enabled=True).order_by("pk").first()
    if known:
        return known
    made = Subscription(owner=user, pipeline=pipeline, kinds=[str(kind) for kind in USUAL_KINDS])
    save_subscription(made, list(Channel.objects.filter(owner=user, is_enabled=True)), by=Asker(user), at=at)
    return made
