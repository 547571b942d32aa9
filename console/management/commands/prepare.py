"""`manage.py prepare`: what `up` does before it starts anything, for those who start the roles themselves."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.env import ENV
from console.tree import prepare
from jobs import clock
from jobs.errors import ConsoleError


class Command(BaseCommand):
    help = "Migrate, make the first administrator and register the projects of DEMO_API_URL and KEDRO_PROJECT_PATH."
    requires_system_checks: list[str] = []

    def handle(self, *_: Any, **__: Any) -> None:
        try:
            prepare.check_project_path()
            prepare.prepare_folder(ENV.var)
            prepare.is_database_new()
            prepare.prepare_database(self.stdout.write)
            if password := prepare.make_administrator(self.stdout.write):
                self.stdout.write(f"Log in as {ENV.admin_user} with the password {password} (shown only now).")
            for sentence in prepare.warnings():
                self.stderr.write(sentence)
            for sentence in prepare.register_projects(ENV.demo_api_url, at=clock.now(), say=self.stdout.write):
                self.stdout.write(sentence)
        except ConsoleError as error:
            raise CommandError(str(error)) from error
