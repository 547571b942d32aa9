"""System checks: what an operator has to put right before the first run."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's own names
from django.core.files.storage import FileSystemStorage

from jobs.interpreters import boundary
from jobs.interpreters.artifacts import store
from jobs.interpreters.confine import CANNOT_SWITCH, may_switch

LONGEST_SOCKET_FOLDER = 60


@register()
def artifact_store_is_writable(**_: object) -> list[CheckMessage]:
    target = store()
    if not isinstance(target, FileSystemStorage):
        return []
    folder = Path(target.location)
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if os.access(place, os.W_OK):
        return []
    hint = "Give the console's user write permission there, or set ARTIFACT_STORE to another folder."
    return [Error(f"The artifact store {folder} is not writable.", hint=hint, id="jobs.E001")]


@register()
def sockets_fit(**_: object) -> list[CheckMessage]:
    folder = settings.CONSOLE_SOCKETS
    if len(str(folder)) <= LONGEST_SOCKET_FOLDER:
        return []
    hint = "A Unix socket's path has at most 108 bytes: set CONSOLE_VAR to a shorter folder."
    return [Warning(f"The folder for sockets, {folder}, has a long path.", hint=hint, id="jobs.W001")]


@register(Tags.security)
def projects_are_kept_apart(**_: object) -> list[CheckMessage]:
    """What the settings ask for can be had here, and what cannot is said."""
    user = settings.CONSOLE_RUN_AS
    if user and not may_switch():
        hint = "Start the console as root, or leave the setting out."
        return [Error(CANNOT_SWITCH.format(user.name), hint=hint, id="jobs.E002")]
    if settings.CONSOLE_BOUNDARY == boundary.OFF or boundary.way():
        return []
    what = f"Code of projects is not kept from CONSOLE_VAR: {boundary.NOT_DRAWN}"
    if settings.CONSOLE_BOUNDARY == "required":
        return [Error(what, hint="Set CONSOLE_BOUNDARY=auto to run projects all the same.", id="jobs.E003")]
    if user:
        return []
    hint = "Start the console as root with CONSOLE_RUN_AS, or register only projects that you trust with its keys."
    return [Warning(what, hint=hint, id="jobs.W002")]
