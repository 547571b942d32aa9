"""System checks: what an operator has to put right before the first run."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's own names
from django.core.files.storage import FileSystemStorage

from jobs.interpreters.artifacts import store

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
