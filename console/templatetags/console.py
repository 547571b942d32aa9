"""Words and marks that all pages share: durations, sizes, moments in the viewer's zone, status badges."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.conf import settings
from django.db.models import Model
from django.urls import reverse
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import localtime

from console.drawing.icons import ICONS
from console.files.ansi import to_html
from jobs.insight.durations import Bar
from jobs.models import Rule
from jobs.models.act import object_name
from jobs.states import DateStatus, Status
from jobs.structure.paths import leaves, named
from jobs.structure.spoken import brief as brief_length
from jobs.structure.values import masked as without_secrets
from jobs.structure.values import plain, without_literals

register = template.Library()

MASKED = re.compile(r"\*\*\*(?:[0-9a-f]{16}\*\*\*)?")
UNITS = ("bytes", "kB", "MB", "GB", "TB")


@register.simple_tag
def command() -> str:
    """How the commands are called here."""
    return settings.CONSOLE_COMMAND


@register.simple_tag
def start_command() -> str:
    """What starts everything here."""
    return settings.CONSOLE_START


@register.filter
def duration(value: timedelta | float | str | None) -> str:
    """`3m 10s`, `0.4s`, `2h 05m`; empty for None and for what a template does not find."""
    if value is None or value == "":
        return ""
    return brief_length(value.total_seconds() if isinstance(value, timedelta) else float(value))


@register.filter
def size(value: float | str | None) -> str:
    """`1.2 MB`; empty for None and for what a template does not find."""
    if value is None or value == "":
        return ""
    amount = float(value)
    for unit in UNITS:
        if amount < 999.5 or unit == UNITS[-1]:
            break
        amount /= 1000
    digits = 1 if unit != "bytes" and amount < 99.5 else 0
    return f"{amount:,.{digits}f} {unit}"


@register.simple_tag
def moment(value: datetime | float | None, look: str = "ago") -> SafeString | str:
    """A time that the browser shows in the viewer's zone; `look` is ago, away, short, clock or full."""
    if value is None:
        return ""
    at = (datetime.fromtimestamp(value, UTC) if isinstance(value, (int, float)) else value).astimezone(UTC)
    return format_html(
        '<time datetime="{}" data-look="{}" title="{} UTC">{} UTC</time>',
        at.isoformat(),
        look,
        at.strftime("%Y-%m-%d %H:%M:%S"),
        at.strftime("%H:%M:%S" if look == "clock" else "%Y-%m-%d %H:%M"),
    )


@register.simple_tag
def elapsing(since: datetime | None, until: datetime | None = None, at: datetime | None = None) -> SafeString | str:
    """The time between two moments; without an end the browser counts on from `at`."""
    if since is None:
        return ""
    if until is not None:
        return duration(until - since)
    return format_html(
        '<span data-since="{}">{}</span>', since.isoformat(), duration(at - since) if at is not None else ""
    )


@register.simple_tag
def remaining(until: datetime, at: datetime) -> SafeString:
    """The time that is left until a moment; the browser counts down from `at`."""
    return format_html('<span data-until="{}">{}</span>', until.isoformat(), duration(max(until - at, timedelta())))


@register.simple_tag
def badge(status: str, look: str = "") -> SafeString:
    """A status as icon and word, so that colour never carries it alone; `look`: in the colour and sign of another."""
    return format_html(
        '<span class="kc-badge kc-is-{1}">'
        '<span class="material-symbols-outlined" aria-hidden="true">{2}</span>{0}</span>',
        status,
        look or status,
        ICONS.get(look or status, "help"),
    )


@register.filter
def chosen(value: Any) -> str:
    """One of the choices of `kedro run`, as people write it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {version}" for name, version in value.items())
    return ", ".join(value) if isinstance(value, list) else ("yes" if value is True else str(value))


@register.filter
def short_parameters(value: Mapping[str, Any] | None, most: int = 3) -> str:
    """The first few parameters in one line, by the shortest text that leads to each."""
    pairs = dotted(value)
    shown = [f"{name}={brief(content)}" for name, content in pairs[:most]]
    return ", ".join(shown) + (f" +{len(pairs) - most}" if len(pairs) > most else "")


@register.filter
def dotted(value: Mapping[Any, Any] | None) -> list[tuple[str, Any]]:
    """Nested parameters by name, without their secrets; a group that is empty is a value."""
    known = without_secrets(dict(value or {}))
    return [(named(path, known), content) for path, content in leaves(known, with_empty=True)]


@register.filter
def expressions(rule: Rule) -> list[tuple[str, str]]:
    """A rule's expressions by parameter, without the secrets that are written into them."""
    return list(without_literals(rule.mapping, rule.target.secret_parameters).items())


@register.filter
def brief(value: Any, most: int = 40) -> str:
    """A value as JSON writes it, cut where it gets long; text without its quotes."""
    value = plain(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= most else f"{text[: most - 1]}…"


@register.filter
def as_json(value: Any) -> str:
    """Indented JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


@register.filter
def percent(part: float | None, whole: float | None) -> float:
    """`part` of `whole` as 0–100; 0 when either is not known."""
    return min(100.0, max(0.0, 100 * part / whole)) if part and whole else 0.0


@register.filter
def of(values: Mapping[str, Any], name: str) -> Any:
    """What `values` holds for this name; "" for nothing."""
    return values.get(name, "")


@register.filter
def plural(count: int, words: str) -> str:
    """`3|plural:"run,runs"` is “3 runs”."""
    one, _, many = words.partition(",")
    return f"{count:,} {one if count == 1 else many}"


@register.filter
def parts(number: int, is_workbook: bool) -> str:
    """What a file of several tables consists of: `3 sheets`."""
    return plural(number, "sheet,sheets" if is_workbook else "table,tables")


@register.filter
def led_by(text: str, mark: str) -> str:
    """Text with something before it; nothing stays nothing."""
    return f"{mark}{text}" if text else ""


@register.simple_tag
def bar_links(bars: Iterable[Bar]) -> str:
    """A link for each run, as high as its share of the longest; a page has hundreds, so no template is run for each."""
    first = reverse("run", args=[0]).removesuffix("0/")
    link = (
        '<a role="listitem" class="kc-is-{}" href="{}{}/" title="#{} {}{}, {}" aria-label="Run {}, {}{}">'
        '<i style="height:{}%"></i></a>'
    )
    return format_html_join("\n", link, (_of_bar(bar, first) for bar in bars))


def _of_bar(bar: Bar, first: str) -> tuple[object, ...]:
    took, at = led_by(duration(bar.seconds), ", "), f"{localtime(bar.created_at):%Y-%m-%d %H:%M}"
    return (bar.status, first, bar.number, bar.number, bar.status, took, at, bar.number, bar.status, took, bar.height)


@register.filter
def error_tone(status: str) -> str:
    """The class of an error's text: what somebody cancelled is no alarm."""
    return "kc-muted" if status == Status.CANCELLED else "kc-bad"


@register.filter
def error_tone_of_date(status: str) -> str:
    """The same for a date of a backfill: only a failure is alarming."""
    return "kc-bad" if status == DateStatus.FAILED else "kc-muted"


@register.filter
def in_zone(value: datetime, zone: ZoneInfo | str) -> str:
    """`Mon 2026-03-02 06:00`, as the clocks of that zone show it."""
    place = zone if isinstance(zone, ZoneInfo) else ZoneInfo(zone)
    return f"{value.astimezone(place):%a %Y-%m-%d %H:%M}"


@register.filter
def day_in(value: datetime, zone: ZoneInfo) -> str:
    """`Mon 2`: the day of a moment in that zone."""
    local = value.astimezone(zone)
    return f"{local:%a} {local.day}"


@register.filter
def count(number: int) -> str:
    """`35,000`."""
    return f"{number:,}"


@register.filter
def masked(text: str) -> SafeString:
    """Text of a request record, escaped, with a mark for each secret that was masked in it."""
    mark = '<span class="kc-masked" title="A secret, masked before it left the process of the node">•••</span>'
    return mark_safe(MASKED.sub(mark, escape(text)))  # noqa: S308 - escaped just before


@register.filter
def ansi(text: str, word: str = "") -> SafeString:
    """A log line, escaped, with the terminal colours it asked for, and this word marked."""
    return to_html(text, word)


@register.filter
def object_of(row: Model) -> str:
    """How a row is named where the record of acts is asked for it."""
    return object_name(row)


@register.filter
def by_wall(value: datetime | str | None, zone: str) -> str:
    """A moment as the wall of that zone shows it: `Mon 30 Nov 2026, 06:00`."""
    if not isinstance(value, datetime):
        return ""
    local = value.astimezone(ZoneInfo(zone))
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M}{f':{local:%S}' if local.second else ''}"


STATES = {"on": "running", "paused": "queued", "over": "queued", "missed": "cancelled"}


@register.filter
def of_state(state: str) -> str:
    """The colour of a schedule's state, as the status of a run that has it."""
    return STATES.get(state, "failed")


@register.filter
def fact(value: Any) -> str:
    """A column's value as people read it."""
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
