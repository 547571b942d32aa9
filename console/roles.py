"""The four roles, each with what it may do beyond the one before it."""

from typing import Final

from django.db import models


class Role(models.TextChoices):
    VIEWER = "viewer", "viewer"
    ANALYST = "analyst", "analyst"
    OPERATOR = "operator", "operator"
    ADMIN = "admin", "admin"


_SEE = [
    f"jobs.view_{model}"
    for model in (
        "arrival",
        "artifact",
        "backfill",
        "backfilldate",
        "batchqueue",
        "channel",
        "delivery",
        "event",
        "firing",
        "grant",
        "ignoredhost",
        "item",
        "logchunk",
        "news",
        "noderun",
        "notice",
        "pipeline",
        "project",
        "quota",
        "replay",
        "requestcount",
        "requestrecord",
        "resend",
        "rule",
        "run",
        "schedule",
        "snapshot",
        "step",
        "subscription",
        "taking",
        "tick",
        "transition",
        "unkeptfile",
        "worker",
    )
]
_SCHEDULES = ("periodictask", "crontabschedule", "intervalschedule", "clockedschedule", "solarschedule")

PERMISSIONS: Final[dict[Role, list[str]]] = {
    Role.VIEWER: [
        *_SEE,
        *[f"jobs.{verb}_subscription" for verb in ("add", "change", "delete")],  # one's own
        "jobs.add_channel",  # one's own, which is a mail to the address of the account
    ],
    Role.ANALYST: ["jobs.download_artifact", "jobs.share_artifact"],
    Role.OPERATOR: [
        "jobs.view_act",
        "jobs.start_pipeline",
        "jobs.control_backfill",
        "jobs.use_channel",
        "jobs.cancel_run",
        "jobs.retry_run",
        "jobs.control_worker",
        "jobs.add_item",
        "jobs.dismiss_requestrecord",
        "jobs.pause_quota",
        "jobs.pause_schedule",
        "jobs.replay_requestrecord",
        "jobs.retry_item",
        "jobs.test_rule",
        "django_celery_results.view_taskresult",
        *[f"django_celery_beat.view_{model}" for model in _SCHEDULES],
    ],
    Role.ADMIN: [
        *[
            f"jobs.{verb}_{model}"
            for verb in ("add", "change", "delete")
            for model in ("project", "pipeline", "rule", "quota", "schedule")
        ],
        *[f"jobs.{verb}_batchqueue" for verb in ("add", "change", "delete")],
        "jobs.delete_item",
        "jobs.view_share",
        "jobs.delete_share",
        *[f"jobs.{verb}_channel" for verb in ("change", "delete")],
        *[f"django_celery_beat.{verb}_{model}" for verb in ("add", "change", "delete") for model in _SCHEDULES],
        *[f"auth.{verb}_{model}" for verb in ("add", "change", "delete", "view") for model in ("user", "group")],
        *[f"console.{verb}_apitoken" for verb in ("add", "change", "delete", "view")],
        *[f"axes.view_{model}" for model in ("accessattempt", "accessfailurelog", "accesslog")],
        "axes.delete_accessattempt",  # which unlocks
    ],
}


def permissions(role: str) -> set[str]:
    """All permissions of a role, `app.codename`; those of the lesser roles included."""
    order = list(Role)
    held: set[str] = set()
    for lesser in order[: order.index(Role(role)) + 1]:
        held.update(PERMISSIONS[lesser])
    return held
