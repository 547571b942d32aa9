from django.apps import AppConfig
from django.db.models.signals import post_migrate


class JobsConfig(AppConfig):
    name = "jobs"
    verbose_name = "Pipelines and runs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from jobs import checks  # noqa: F401 - registers the system checks
        from jobs.backfills import start_next
        from jobs.rules import rules
        from jobs.schedules import lateness, mirror  # noqa: F401 - mirror hears of what is edited in periodic tasks
        from jobs.steps.on_end import FOLLOWERS
        from jobs.telling import on_run_end

        post_migrate.connect(give_schedules, sender=self)
        followers = (rules.FOLLOWER, lateness.FOLLOWER, start_next.FOLLOWER, on_run_end.FOLLOWER)
        FOLLOWERS.extend(each for each in followers if each not in FOLLOWERS)


def give_schedules(plan: object = None, **_: object) -> None:
    """After an upgrade each periodic task that starts a pipeline has its schedule, as beat has counted until then."""
    from jobs import clock, schema
    from jobs.schedules.mirror import adopt_all

    if plan and not schema.obstacle():
        adopt_all(clock.now())
