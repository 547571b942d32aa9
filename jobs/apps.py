from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"
    verbose_name = "Pipelines and runs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from jobs import checks  # noqa: F401 - registers the system checks
        from jobs.backfills import start_next
        from jobs.rules import rules
        from jobs.steps.on_end import FOLLOWERS

        FOLLOWERS.extend(each for each in (rules.FOLLOWER, start_next.FOLLOWER) if each not in FOLLOWERS)
