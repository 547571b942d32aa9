from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"
    verbose_name = "Pipelines and runs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from jobs import checks  # noqa: F401 - registers the system checks
        from jobs.rules.rules import FOLLOWER
        from jobs.steps.on_end import FOLLOWERS

        if FOLLOWER not in FOLLOWERS:
            FOLLOWERS.append(FOLLOWER)
