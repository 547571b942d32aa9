"""Whether the database has the tables that this version of the code needs: a role that starts waits for them."""

from __future__ import annotations

import pkgutil
import time
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Final

from django.apps import apps
from django.conf import settings
from django.db import Error, connection
from django.db.migrations.recorder import MigrationRecorder

from jobs.reconnect import reconnect

LOOK_SECONDS: Final = 1.0
SHOWN: Final = 3
UNDER_WAY: Final = "console_restore_under_way"
"""A table that is there while a restore has taken the old rows away, and not yet put all new ones in their place."""


def schema_is_current() -> bool:
    """Whether every migration of this version is applied; those of a newer one do no harm. django.db.Error: away."""
    return not missing()


def missing() -> list[str]:
    """The migrations, as `app.name`, that this version has and the database has not. django.db.Error: away."""
    applied = MigrationRecorder(connection).applied_migrations()
    return [f"{app}.{name}" for app, name in known() if (app, name) not in applied]


@cache
def known() -> tuple[tuple[str, str], ...]:
    """The migrations that came with this version, as (app, name); found by their files, since to load them costs."""
    found: list[tuple[str, str]] = []
    for app in apps.get_app_configs():
        package = settings.MIGRATION_MODULES.get(app.label, f"{app.name}.migrations")
        spec = find_spec(package) if package else None
        modules = pkgutil.iter_modules(spec.submodule_search_locations if spec else [])
        found += [(app.label, one.name) for one in modules if not one.ispkg and one.name[0] not in "_~"]
    return tuple(sorted(found))


def obstacle() -> str:
    """What this version waits for before it can work, as a sentence; "" when nothing."""
    try:
        if half := half_restored():
            return half
        names = missing()
    except Error as error:
        reconnect()
        return f"The database does not answer: {' '.join(str(error).split())}"
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"The database is not migrated yet: {', '.join(names[:SHOWN])}{more}. Run `python manage.py prepare`."


def half_restored() -> str:
    """That a restore did not come to its end, and what to do; "" when none did. django.db.Error: away."""
    if UNDER_WAY not in connection.introspection.table_names():
        return ""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT file FROM {UNDER_WAY}")  # noqa: S608 - our own name
        row = cursor.fetchone()
    file = row[0] if row else "FILE"
    return (
        f"A restore did not come to its end, so the rows here are not whole: run `{settings.CONSOLE_COMMAND} restore "
        f"{file} --replace` again."
    )


def wait(who: str, say: Callable[[str], None], meanwhile: Callable[[], object] = lambda: None) -> None:
    """Return when nothing stands in the way; what does is said once, and again when it is another thing."""
    said = ""
    while why := obstacle():
        if why != said:
            say(f"{who} waits. {why}")
            said = why
        meanwhile()
        time.sleep(LOOK_SECONDS)
    if said:
        say(f"{who} waited for the database and goes on: it is ready.")
    reconnect()
