"""Every list of records that the admin has, grouped by what people do with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "Runs and what they leave": (
        "jobs.run", "jobs.step", "jobs.noderun", "jobs.artifact", "jobs.event",
        "jobs.logchunk", "jobs.transition", "django_celery_results.taskresult", "django_celery_results.groupresult",
    ),
    "Projects and pipelines": ("jobs.project", "jobs.pipeline", "jobs.snapshot"),
    "Time": (
        "django_celery_beat.periodictask", "jobs.schedule", "jobs.tick", "jobs.backfill", "jobs.backfilldate",
        "django_celery_beat.crontabschedule", "django_celery_beat.intervalschedule",
        "django_celery_beat.clockedschedule", "django_celery_beat.solarschedule",
    ),
    "What starts what": ("jobs.rule", "jobs.firing", "jobs.arrival"),
    "Limits and batches": ("jobs.quota", "jobs.grant", "jobs.batchqueue", "jobs.item"),
    "Requests of nodes": ("jobs.requestrecord", "jobs.requestcount", "jobs.replay", "jobs.resend"),
    "Telling people": ("jobs.channel", "jobs.subscription", "jobs.delivery", "jobs.news", "jobs.notice"),
    "People and access": (
        "auth.user", "auth.group", "console.apitoken", "axes.accessfailurelog", "axes.accessattempt", "axes.accesslog",
        "jobs.act", "admin.logentry",
    ),
    "Machines": ("jobs.worker",),
}  # fmt: skip
OTHERS: Final = "Other records"


@dataclass(frozen=True)
class Records:
    """A list of the admin that this person may open."""

    title: str
    url: str
    add_url: str = ""


def grouped(apps: Iterable[dict[str, Any]]) -> dict[str, list[Records]]:
    """The admin's lists by group; one that no group names stands among the others."""
    known = {
        f"{app['app_label']}.{model['object_name'].lower()}": Records(
            str(model["name"]), model["admin_url"], model.get("add_url") or ""
        )
        for app in apps
        for model in app["models"]
        if model.get("admin_url")
    }
    found = {title: [known.pop(name) for name in names if name in known] for title, names in GROUPS.items()}
    return {title: rows for title, rows in {**found, OTHERS: list(known.values())}.items() if rows}


def records(request: HttpRequest) -> list[dict[str, Any]]:
    """The same as groups of the palette."""
    if not request.user.is_staff:
        return []
    groups = grouped(admin.site.get_app_list(request))
    return [
        {"title": title, "items": [{"title": row.title, "link": row.url, "icon": "table_rows"} for row in rows]}
        for title, rows in groups.items()
    ]
