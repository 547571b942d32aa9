from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ConsoleConfig(AppConfig):
    name = "console"
    verbose_name = "Console"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from console import checks as checks
        from console.access import refusals
        from console.groups import make_groups

        post_migrate.connect(make_groups, sender=self, dispatch_uid="console.groups")
        refusals.listen()
