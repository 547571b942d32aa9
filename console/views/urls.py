from importlib import import_module

from django.urls import URLPattern

PAGES = (
    "activity",
    "home",
    "login",
    "palette",
    "runs",
    "run",
    "resume",
    "compare",
    "logs",
    "workers",
    "pipelines",
    "run_form",
    "library",
    "artifacts",
    "look",
    "backfills",
    "shares",
    "batch_queues",
    "firings",
    "notifications",
    "quotas",
    "replays",
    "requests",
    "rule_form",
    "rules",
    "schedule_form",
    "schedules",
    "week",
)

urlpatterns: list[URLPattern] = [
    pattern for page in PAGES for pattern in import_module(f"console.views.{page}").urlpatterns
]
