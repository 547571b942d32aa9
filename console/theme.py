"""The admin theme's settings: title, colours, sidebar."""

from collections.abc import Callable
from typing import Any

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


UNFOLD: dict[str, Any] = {
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
        lambda request: static("console/logs.js"),
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
                "items": [
                    _page("Home", "home", "home", "jobs.view_run"),
                    _page("Pipelines", "account_tree", "pipelines", "jobs.view_pipeline", "pipeline", "pipeline_run"),
                    _page("Runs", "play_circle", "runs", "jobs.view_run", "run", "run_logs"),
                    _page(
                        "Library",
                        "inventory_2",
                        "library",
                        "jobs.view_artifact",
                        "artifact",
                        "artifact_compare",
                        "library_links",
                    ),
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
                    _page("Backfills", "event_repeat", "backfills", "jobs.view_backfill", "backfill", "backfill_new"),
                    _page("Batch queues", "stacks", "batch_queues", "jobs.view_batchqueue", "batch_queue"),
                    _page("Quotas", "speed", "quotas", "jobs.view_quota", "quota", "quota_new", "quota_edit"),
                    _page(
                        "Requests", "lan", "requests", "jobs.view_requestrecord", "request", "replay", "run_follow_up"
                    ),
                    _page("Workers", "memory", "workers", "jobs.view_worker"),
                    _page("Activity", "history", "activity", "jobs.view_act"),
                    _page(
                        "Notifications",
                        "notifications",
                        "notifications",
                        "jobs.view_notice",
                        "subscription",
                        "subscription_new",
                        "channel",
                        "channel_new",
                    ),
                ],
            },
            {
                "title": "Workshop",
                "separator": True,
                "items": [
                    _list("Projects", "folder_open", "jobs.project"),
                    _list("Pipeline settings", "tune", "jobs.pipeline"),
                    _list("Run rows", "table_rows", "jobs.run"),
                    _list("Artifact rows", "draft", "jobs.artifact"),
                    _list("Batch queue settings", "stacks", "jobs.batchqueue"),
                    _list("Item rows", "package_2", "jobs.item"),
                    _list("Quota rows", "speed", "jobs.quota"),
                    _list("Failed request rows", "wifi_off", "jobs.requestrecord"),
                    _list("Request counts", "query_stats", "jobs.requestcount"),
                    _list("Replays", "replay", "jobs.replay"),
                    _list("Schedules", "calendar_clock", "django_celery_beat.periodictask"),
                    _list("Backfill rows", "event_repeat", "jobs.backfill"),
                    _list("Rule rows", "conversion_path", "jobs.rule"),
                    _list("Firings", "bolt", "jobs.firing"),
                    _list("Task results", "task", "django_celery_results.taskresult"),
                ],
            },
            {
                "title": "People",
                "separator": True,
                "items": [
                    _list("Users", "group", "auth.user"),
                    _list("Roles", "shield_person", "auth.group"),
                    _list("API tokens", "key", "console.apitoken"),
                    _list("Refused logins", "person_cancel", "axes.accessfailurelog"),
                    _list("Wrong passwords", "lock_person", "axes.accessattempt"),
                ],
            },
        ],
    },
}
