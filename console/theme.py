"""The admin theme's settings: title, colours, sidebar."""

from collections.abc import Callable
from typing import Any, Final

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse, reverse_lazy


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    """Whether to show a sidebar entry to this person."""
    return lambda request: request.user.has_perm(permission)


def _may_manage(permission: str, admin_name: str) -> Callable[[HttpRequest], bool]:
    """The same for a list in the admin, which is for staff and has to be there."""

    def is_shown(request: HttpRequest) -> bool:
        return request.user.is_staff and request.user.has_perm(permission) and bool(_admin_list(admin_name))

    return is_shown


def _admin_list(name: str) -> str:
    try:
        return reverse(f"admin:{name}_changelist")
    except NoReverseMatch:  # that model has no page in the admin
        return ""


def _here(name: str, *others: str) -> Callable[[HttpRequest], bool]:
    """Whether the sidebar entry is the page that one is on."""
    return lambda request: bool(request.resolver_match and request.resolver_match.url_name in (name, *others))


def _page(title: str, icon: str, name: str, permission: str, *others: str) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(name),
        "active": _here(name, *others),
        "permission": _may(permission),
    }


def _list(title: str, icon: str, model: str) -> dict[str, Any]:
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": lambda request: _admin_list(f"{app}_{name}"),
        "active": lambda request: request.path.startswith(_admin_list(f"{app}_{name}") or "//"),
        "permission": _may_manage(f"{app}.view_{name}", f"{app}_{name}"),
    }


def _all_records() -> dict[str, Any]:
    """The admin's front page, which leads to every list of records."""
    return {
        "title": "All records",
        "icon": "table_rows",
        "link": reverse_lazy("admin:index"),
        "active": _is_among_records,
        "permission": lambda request: request.user.is_staff,
    }


def _is_among_records(request: HttpRequest) -> bool:
    """In the admin, but for the lists that have entries of their own."""
    own = (_admin_list(name) for name in ("jobs_project", "auth_user", "console_apitoken"))
    return request.path.startswith(reverse("admin:index")) and not request.path.startswith(tuple(filter(None, own)))


WORK = [
    _page("Home", "home", "home", "jobs.view_run"),
    _page(
        "Library",
        "inventory_2",
        "library",
        "jobs.view_artifact",
        "artifact",
        "artifact_compare",
        "library_links",
    ),
    _page("Pipelines", "account_tree", "pipelines", "jobs.view_pipeline", "pipeline", "pipeline_run"),
    _page("Runs", "play_circle", "runs", "jobs.view_run", "run", "run_logs", "run_compare"),
    _page(
        "Schedules",
        "calendar_clock",
        "schedules",
        "jobs.view_schedule",
        "schedule",
        "schedule_edit",
        "schedule_new",
        "schedule_new_for",
    ),
    _page("Week ahead", "calendar_view_week", "week", "jobs.view_schedule"),
    _page("Backfills", "event_repeat", "backfills", "jobs.view_backfill", "backfill", "backfill_new"),
    _page(
        "Rules",
        "conversion_path",
        "rules",
        "jobs.view_rule",
        "rule",
        "rule_edit",
        "rule_new",
        "firings",
    ),
]
RESOURCES = [
    _page("Quotas", "speed", "quotas", "jobs.view_quota", "quota", "quota_new", "quota_edit"),
    _page("Batch queues", "stacks", "batch_queues", "jobs.view_batchqueue", "batch_queue"),
    _page("Requests", "lan", "requests", "jobs.view_requestrecord", "request", "replay", "run_follow_up"),
    _page("Workers", "memory", "workers", "jobs.view_worker"),
]
NEWS = _page(
    "Notifications",
    "notifications",
    "notifications",
    "jobs.view_notice",
    "subscription",
    "subscription_new",
    "channel",
    "channel_new",
)
FOR_FILES: Final = ("Library", "Pipelines")
"""What whoever comes for files alone needs each day; the rest is one click further."""


def comes_for_files(request: HttpRequest) -> bool:
    """Whether this person may take files and start nothing: an analyst."""
    may = request.user.has_perm
    return may("jobs.download_artifact") and not may("jobs.start_pipeline")


def _unless_for_files(item: dict[str, Any]) -> dict[str, Any]:
    if item["title"] in FOR_FILES:
        return item
    return {**item, "permission": lambda request: item["permission"](request) and not comes_for_files(request)}


def _for_files(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "permission": lambda request: item["permission"](request) and comes_for_files(request)}


UNFOLD: dict[str, Any] = {
    "DASHBOARD_CALLBACK": "console.admin.dashboard.dashboard",
    "SITE_TITLE": "Kedro Console",
    "SITE_HEADER": "Kedro Console",
    "SITE_SYMBOL": "account_tree",
    "SITE_URL": "/",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("console/favicon.svg")},
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": True,
    "BORDER_RADIUS": "8px",
    "STYLES": [
        lambda request: static("console/console.css"),
        lambda request: static("console/pages.css"),
    ],
    "SCRIPTS": [
        lambda request: static("vendor/idiomorph/idiomorph.min.js"),
        lambda request: static("console/console.js"),
        lambda request: static("console/confirm.js"),
        lambda request: static("console/admin.js"),
        lambda request: static("console/palette.js"),
    ],
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 266)",
            "100": "oklch(94% .028 266)",
            "200": "oklch(88.5% .055 266)",
            "300": "oklch(80% .095 266)",
            "400": "oklch(71% .135 266)",
            "500": "oklch(64% .165 266)",
            "600": "oklch(52% .19 266)",
            "700": "oklch(46% .175 266)",
            "800": "oklch(39.5% .14 266)",
            "900": "oklch(34% .11 266)",
            "950": "oklch(26% .08 266)",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {
                "title": "Work",
                "items": [item if item["title"] in FOR_FILES else _unless_for_files(item) for item in WORK],
            },
            {"title": "Resources", "items": [_unless_for_files(item) for item in RESOURCES]},
            {
                "title": "Settings",
                "items": [
                    _list("Projects", "folder_open", "jobs.project"),
                    _list("People", "group", "auth.user"),
                    _list("Tokens", "key", "console.apitoken"),
                    _unless_for_files(NEWS),
                    _page("Activity", "history", "activity", "jobs.view_act"),
                    _all_records(),
                ],
            },
            {
                "title": "More",
                "collapsible": True,
                "items": [_for_files(item) for item in [*WORK, *RESOURCES, NEWS] if item["title"] not in FOR_FILES],
            },
        ],
    },
}
