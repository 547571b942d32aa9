"""The week ahead: what is due, what stands in its way, and which quotas fall short."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.http import require_GET

from console.drawing.week import chart
from console.views.access import ConsoleRequest, needs
from console.views.shell import page
from jobs import clock
from jobs.insight.ahead import week_ahead

DAYS: Final = 7
SHOWN: Final = 40
DAY: Final = timedelta(days=1)


@require_GET
@needs("jobs.view_schedule")
def week(request: ConsoleRequest) -> HttpResponse:
    """The seven days that begin today, or one of them."""
    zone, at = ZoneInfo(settings.TIME_ZONE), clock.now()
    today = at.astimezone(zone).date()
    found = week_ahead(at, until=_midnight(today + DAYS * DAY, zone))
    day = _day(request.GET.get("day", ""), today)
    begin = _midnight(day or today, zone)
    end = _midnight(day + DAY, zone) if day else found.end
    context = {
        "week": found,
        "problems": found.problems[:SHOWN],
        "more_problems": max(0, len(found.problems) - SHOWN),
        "chart": chart(found, begin, end, zone),
        "days": [today + number * DAY for number in range(DAYS)],
        "day": day,
        "zone": zone,
    }
    return page(request, "week/show.html", context, title="Week ahead")


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _day(text: str, today: date) -> date | None:
    """The day that the address asks for, if it is one of the seven."""
    try:
        asked = date.fromisoformat(text)
    except ValueError:
        return None
    return asked if today <= asked < today + DAYS * DAY else None


urlpatterns = [path("week/", week, name="week")]
